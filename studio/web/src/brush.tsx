// Painting a mask: strokes on a canvas of the render's size, saved as a picture beside the scene.
import { useEffect, useRef, useState } from 'preact/hooks';
import { colour, figureNow } from './canvas';
import { pathOf } from './geometry';
import { Icon } from './icons';
import { bring, get, set, type State } from './store';
import type { Entity, Render } from './types';

/** How many image tokens a painted canvas touches, by a sample in the middle of each. */
function tokensOf(c: HTMLCanvasElement, token: number): number {
  const { width, height } = c, data = c.getContext('2d')!.getImageData(0, 0, width, height).data;
  let n = 0;
  for (let y = 0; y < height; y += token) {
    for (let x = 0; x < width; x += token) {
      let on = false;
      for (let v = y + 4; v < y + token && v < height && !on; v += 8) {
        for (let u = x + 4; u < x + token && u < width && !on; u += 8) on = data[4 * (v * width + u) + 3]! > 127;
      }
      if (on) n++;
    }
  }
  return n;
}

export function Brush({ s, r, e }: { s: State; r: Render; e: Entity }) {
  const canvas = useRef<HTMLCanvasElement>(null), strokes = useRef<ImageData[]>([]), last = useRef<[number, number] | null>(null);
  const changed = useRef(false);
  const [erase, setErase] = useState(false), [tokens, setTokens] = useState(e.tokens), [at, setAt] = useState<[number, number] | null>(null);
  const pen = () => canvas.current!.getContext('2d', { willReadFrequently: true })!;
  /** The entity's colour: the mask is white only in its file. */
  const ink = () => getComputedStyle(document.documentElement).getPropertyValue(`--e${colour(r.entities.indexOf(e))}`);
  const keep = () => {
    strokes.current.push(pen().getImageData(0, 0, r.width, r.height));
    if (strokes.current.length > 30) strokes.current.shift();
    changed.current = true;
  };
  const count = () => setTokens(tokensOf(canvas.current!, r.token));
  useEffect(() => {
    const g = pen();
    g.fillStyle = ink();
    g.fill(new Path2D(pathOf(figureNow(get(), e), r.width, r.height)), 'evenodd');
    count();
  }, []);
  const save = async () => {
    if (!changed.current) return set({ tool: 'select' });
    const flat = document.createElement('canvas');
    flat.width = r.width;
    flat.height = r.height;
    const g = flat.getContext('2d')!;
    g.drawImage(canvas.current!, 0, 0);
    g.globalCompositeOperation = 'source-in';
    g.fillStyle = '#fff';
    g.fillRect(0, 0, r.width, r.height);
    g.globalCompositeOperation = 'destination-over';
    g.fillStyle = '#000';
    g.fillRect(0, 0, r.width, r.height);
    const data = flat.toDataURL('image/png').split(',')[1]!;
    const answer = await bring({ name: `${e.address}.png`, data, as: 'mask', block: e.block });
    if (answer && !answer.error) set({ tool: 'select' });
  };
  const back = () => {
    const was = strokes.current.pop();
    if (was) pen().putImageData(was, 0, 0);
    count();
  };
  useEffect(() => {
    const keys = (ev: KeyboardEvent) => {
      if ((ev.target as HTMLElement).closest('input, textarea, .cm-editor')) return;
      if (ev.key === 'Enter' && !ev.ctrlKey && !ev.metaKey) void save();
      else if ((ev.ctrlKey || ev.metaKey) && ev.key.toLowerCase() === 'z') back();
      else if (ev.key === 'Escape') set({ tool: 'select' });
      else if (ev.key === 'x') setErase(v => !v);
      else return;
      ev.preventDefault();
      ev.stopImmediatePropagation();
    };
    addEventListener('keydown', keys, true);
    return () => removeEventListener('keydown', keys, true);
  }, []);
  const point = (ev: PointerEvent): [number, number] => {
    const b = canvas.current!.getBoundingClientRect();
    return [((ev.clientX - b.left) / b.width) * r.width, ((ev.clientY - b.top) / b.height) * r.height];
  };
  const stroke = (from: [number, number], to: [number, number]) => {
    const g = pen();
    g.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
    g.strokeStyle = ink();
    g.lineCap = g.lineJoin = 'round';
    g.lineWidth = get().brush;
    g.beginPath();
    g.moveTo(...from);
    g.lineTo(to[0], to[1] + 0.01);
    g.stroke();
  };
  const down = (ev: PointerEvent) => {
    if (ev.button !== 0) return;
    ev.stopPropagation();
    canvas.current!.setPointerCapture(ev.pointerId);
    keep();
    last.current = point(ev);
    stroke(last.current, last.current);
  };
  const move = (ev: PointerEvent) => {
    const p = point(ev);
    setAt(p);
    if (!last.current) return;
    stroke(last.current, p);
    last.current = p;
  };
  const up = () => {
    last.current = null;
    count();
  };
  const whole = (fill: boolean) => {
    keep();
    const g = pen();
    g.globalCompositeOperation = 'source-over';
    g.fillStyle = ink();
    if (fill) g.fillRect(0, 0, r.width, r.height);
    else g.clearRect(0, 0, r.width, r.height);
    count();
  };
  const fixed = !!s.scene?.readOnly || !e.block, percent = (v: number, side: number) => `${(100 * v) / side}%`;
  return (
    <>
      <canvas class="mask" ref={canvas} width={r.width} height={r.height} onPointerDown={down} onPointerMove={move} onPointerUp={up}
        onPointerCancel={up} onPointerLeave={() => setAt(null)} aria-label={`Mask of ${e.address}`} />
      {at && <i class="tip" style={{ left: percent(at[0], r.width), top: percent(at[1], r.height), width: percent(s.brush, r.width), height: percent(s.brush, r.height) }} />}
      <div class="pop painting" role="toolbar" aria-label="Mask" onPointerDown={ev => ev.stopPropagation()}>
        <button class="btn low" aria-pressed={!erase} onClick={() => setErase(false)}>Paint</button>
        <button class="btn low" aria-pressed={erase} title="X" onClick={() => setErase(true)}>Erase</button>
        <label class="l" for="brush-size">Size</label>
        <input type="range" id="brush-size" min="2" max={Math.max(r.width, r.height) / 2} value={s.brush} title="[ ]"
          style={{ '--v': `${(200 * s.brush) / Math.max(r.width, r.height)}%` }} onInput={ev => set({ brush: Number(ev.currentTarget.value) })} />
        <button class="btn low" onClick={() => whole(true)}>Fill</button>
        <button class="btn low" onClick={() => whole(false)}>Clear</button>
        <button class="ib" aria-label="Undo the stroke" onClick={back}><Icon name="undo" /></button>
        <span class="small num nw" id="mask-tokens">{tokens} tokens</span>
        <button class="btn low prime" id="mask-save" disabled={fixed} onClick={() => void save()}>Save</button>
      </div>
    </>
  );
}
