// The picture, and the regions on it.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Brush } from './brush';
import { add, addPoint, aim, commit, fitted, keyPlace, placeKey, removePoint, shifted, type Aim } from './edits';
import { figure, inside, pathOf, resized, snapped, tokensOf } from './geometry';
import { attributeOf, get, only, previewsOf, set, shown, useApp, type State } from './store';
import type { Bounds, Derived, Entity, Figure, Render } from './types';

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
export const letter = (i: number) => letters[i % letters.length]!;
export const colour = (i: number) => i % 8;

/** Where the canvas lies in its bed, in screen pixels. */
interface View { left: number; top: number; scale: number; width: number; height: number }

/** A gesture from the pointer going down to its going up. */
interface Gesture {
  kind: 'move' | 'resize' | 'point' | 'middle' | 'key' | 'draw' | 'pan' | 'none';
  x: number; y: number; // where it began, in pixels of the screen
  began: boolean; // beyond the threshold
  entities: Entity[];
  handle: [number, number]; // of a resize
  index: number; // of a polygon's point, or of a key
  track: number;
  to: [number, number]; // where a new point or a key goes
  pan: [number, number];
  aims: [Entity, Aim][];
}

const threshold = 3, reach = 6;
const px = (n: number) => `${n}px`;

export function Canvas() {
  const s = useApp(), r = shown(s);
  const bed = useRef<HTMLDivElement>(null), gesture = useRef<Gesture | null>(null);
  const [size, setSize] = useState<[number, number]>([800, 600]);
  const [at, setAt] = useState<[number, number] | null>(null);
  const drawn = useRef<number[]>([]), [points, showPoints] = useState<number[]>([]);
  const setPoints = (list: number[]) => {
    drawn.current = list;
    showPoints(list);
  };
  useEffect(() => {
    const o = new ResizeObserver(([e]) => e && setSize([e.contentRect.width, e.contentRect.height]));
    o.observe(bed.current!);
    return () => o.disconnect();
  }, []);
  // Before the next event: a click that follows at once is the first point.
  useLayoutEffect(() => setPoints([]), [s.tool]);
  useLayoutEffect(() => {
    if (s.tool !== 'polygon') return;
    const close = (e: KeyboardEvent) => {
      const points = drawn.current;
      if (e.key === 'Enter' && points.length >= 6) {
        e.preventDefault();
        set({ draft: figure('polygon', points), tool: 'select' });
      }
    };
    addEventListener('keydown', close);
    return () => removeEventListener('keydown', close);
  }, [s.tool]);

  const view = viewOf(s, r, size);
  const place = (e: PointerEvent | MouseEvent): [number, number] => {
    const b = bed.current!.getBoundingClientRect();
    return [(e.clientX - b.left - view.left) / view.width, (e.clientY - b.top - view.top) / view.height];
  };

  const down = (e: PointerEvent) => {
    if (!r || (e.target as Element).closest('.naming') || e.button > 1) return;
    (document.activeElement as HTMLElement | null)?.blur?.();
    bed.current!.setPointerCapture(e.pointerId);
    // What is drawn or moved is what the scene says, not a moment of its clip.
    if (get().frame !== null && get().tool !== 'pan') set({ frame: null, playing: false });
    if (get().tool === 'brush') {
      const hit = topmost(get(), r, ...place(e));
      return hit ? set({ selected: [hit.address] }) : set({ message: 'Select the entity whose mask is painted, or draw one first.' });
    }
    const g = begin(e, r, place(e));
    if (get().tool === 'polygon' && g.kind === 'none') {
      const points = drawn.current;
      const [x, y] = corner(place(e), r, view, e.altKey);
      const near = points.length >= 6 && Math.hypot((x - points[0]!) * view.width, (y - points[1]!) * view.height) < 10;
      if (near) set({ draft: figure('polygon', points), tool: 'select' });
      else setPoints([...points, x, y]);
    }
    gesture.current = g;
  };
  const move = (e: PointerEvent) => {
    const p = place(e);
    setAt(p);
    const g = gesture.current;
    if (!g || !r || g.kind === 'none') return;
    if (!g.began && Math.hypot(e.clientX - g.x, e.clientY - g.y) < threshold) return;
    g.began = true;
    drag(g, e, p, r, view);
  };
  const up = () => {
    const g = gesture.current;
    gesture.current = null;
    if (!g || !g.began) return;
    if (g.kind === 'move') void commit(() => g.aims, 'move');
    if (g.kind === 'resize' || g.kind === 'point') void commit(() => g.aims, 'resize');
    if (g.kind === 'middle') void addPoint(g.entities[0]!, g.index, g.to, r!);
    if (g.kind === 'key') void placeKey(g.track, g.index, g.to, r!);
    if (g.kind === 'draw') {
      const b = get().draft?.bounds;
      if (b && r && (b[2] - b[0]) * r.width >= 2 && (b[3] - b[1]) * r.height >= 2) set({ tool: 'select', drag: null });
      else set({ draft: null, drag: null });
    }
  };
  /** Puts back what a gesture has done so far. */
  const cancel = () => {
    const g = gesture.current;
    gesture.current = null;
    if (!g?.began) return;
    if (g.kind === 'pan') set({ pan: g.pan });
    else set({ drag: null, draft: g.kind === 'draw' ? null : get().draft });
  };
  // Before the table of keys: the Escape that ends a gesture does nothing else.
  useEffect(() => {
    const escape = (e: KeyboardEvent) => {
      if (e.key !== 'Escape' || !gesture.current) return;
      if (gesture.current.began) e.stopImmediatePropagation();
      cancel();
    };
    addEventListener('keydown', escape, true);
    return () => removeEventListener('keydown', escape, true);
  }, []);
  const wheel = (e: WheelEvent) => {
    if (!e.ctrlKey && !e.metaKey) {
      set({ pan: [s.pan[0] - e.deltaX, s.pan[1] - e.deltaY] });
    } else {
      const zoom = Math.min(16, Math.max(0.25, s.zoom * Math.exp(-e.deltaY / 300)));
      const b = bed.current!.getBoundingClientRect(), cx = e.clientX - b.left - size[0] / 2, cy = e.clientY - b.top - size[1] / 2;
      const k = zoom / s.zoom;
      set({ zoom, pan: [cx - (cx - s.pan[0]) * k, cy - (cy - s.pan[1]) * k] });
    }
    e.preventDefault();
  };
  useEffect(() => {
    const el = bed.current!;
    el.addEventListener('wheel', wheel, { passive: false });
    return () => el.removeEventListener('wheel', wheel);
  });

  return (
    <div class={`bed tool-${s.tool}`} ref={bed} onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={cancel}
      onPointerLeave={() => setAt(null)} tabIndex={-1} data-pane="canvas">
      {r && (
        <div class="stage" style={{ left: px(view.left), top: px(view.top), width: px(view.width), height: px(view.height) }}>
          <Latest s={s} r={r} />
          <Shapes s={s} r={r} view={view} points={points} at={at} />
          {s.tool === 'brush' && only(s) && <Brush key={only(s)!.address} s={s} r={r} e={only(s)!} />}
        </div>
      )}
      {!r && s.scene && <p class="empty">The scene has no render yet.</p>}
      {r && <Readout s={s} r={r} at={at} />}
    </div>
  );
}

function viewOf(s: State, r: Render | null, [bw, bh]: [number, number]): View {
  if (!r) return { left: 0, top: 0, scale: 1, width: 1, height: 1 };
  const fit = Math.min((bw - 64) / r.width, (bh - 88) / r.height), scale = Math.max(0.02, fit * s.zoom);
  const width = r.width * scale, height = r.height * scale;
  return { left: (bw - width) / 2 + s.pan[0], top: (bh - 16 - height) / 2 + s.pan[1], scale, width, height };
}

/** What is drawn of an entity: as it is dragged, or as it is. */
export function figureNow(s: State, e: Entity): Figure {
  const r = shown(s), n = r?.entities.indexOf(e) ?? -1;
  if (s.frame !== null && s.poses && s.poses.version === s.scene?.version && n >= 0) {
    return s.poses.frames[Math.floor(s.frame / s.poses.every)]?.[n]?.figure ?? e.figure;
  }
  return s.drag?.figures[e.address] ?? e.figure;
}

/** Finds what a pointer takes hold of. */
function begin(e: PointerEvent, r: Render, [x, y]: [number, number]): Gesture {
  const s = get();
  const g: Gesture = { kind: 'none', x: e.clientX, y: e.clientY, began: false, entities: [], handle: [0, 0], index: 0, track: 0, to: [0, 0], pan: s.pan, aims: [] };
  if (s.tool === 'pan' || e.button === 1) return { ...g, kind: 'pan' };
  if (s.tool === 'box' || s.tool === 'ellipse') return { ...g, kind: 'draw', handle: [x, y] };
  if (s.tool !== 'select' || s.scene?.readOnly || s.scene?.stale) return g;
  const at = (e.target as HTMLElement).dataset;
  const free = (a: string) => !s.locked.includes(a);
  const held = r.entities.filter(n => s.selected.includes(n.address) && free(n.address));
  if (at['point'] && held.length === 1) return { ...g, kind: 'point', entities: held, index: Number(at['point']) };
  if (at['middle'] && held.length === 1) return { ...g, kind: 'middle', entities: held, index: Number(at['middle']) };
  if (at['dot'] && held.length === 1) {
    const [track = 0, index = 0] = at['dot'].split(',').map(Number);
    return { ...g, kind: 'key', entities: held, track, index };
  }
  if (at['handle'] && held.length === 1) {
    const [hx = 0, hy = 0] = at['handle'].split(',').map(Number);
    return { ...g, kind: 'resize', entities: held, handle: [hx, hy] };
  }
  const hit = topmost(s, r, x, y);
  if (!hit) {
    if (!e.shiftKey) set({ selected: [], derived: null });
    return g;
  }
  let selected = s.selected;
  if (e.shiftKey) selected = selected.includes(hit.address) ? selected.filter(a => a !== hit.address) : [...selected, hit.address];
  else if (!selected.includes(hit.address)) selected = [hit.address];
  if (selected !== s.selected) set({ selected, derived: null });
  return { ...g, kind: 'move', entities: r.entities.filter(n => selected.includes(n.address) && free(n.address)) };
}

/** The smallest entity at a point, what is selected first. */
function topmost(s: State, r: Render, x: number, y: number): Entity | null {
  const area = (e: Entity) => (e.figure.bounds[2] - e.figure.bounds[0]) * (e.figure.bounds[3] - e.figure.bounds[1]);
  const there = r.entities.filter(e => !s.hidden.includes(e.address) && inside(e.figure, x, y));
  const chosen = there.find(e => s.selected.length === 1 && s.selected[0] === e.address);
  return chosen ?? there.sort((a, b) => area(a) - area(b))[0] ?? null;
}

/** The edges and middles of what isn't dragged. */
function lines(r: Render, moving: Entity[], axis: 0 | 1): number[] {
  const out = [0, 0.5, 1];
  for (const e of r.entities) if (!moving.includes(e)) out.push(e.figure.bounds[axis], e.figure.bounds[axis + 2]!);
  return out;
}

/** A corner that is drawn: on the grid, or on a whole pixel. */
function corner([x, y]: [number, number], r: Render, view: View, free: boolean): [number, number] {
  const on = get().snap && !free;
  const one = (v: number, side: number, screen: number, axis: 0 | 1) => {
    const near = on ? snapped(v, r.token / side, lines(r, [], axis), reach / screen) : { value: v, at: null };
    return near.at === null ? Math.round(v * side) / side : near.value;
  };
  return [one(x, r.width, view.width, 0), one(y, r.height, view.height, 1)];
}

function drag(g: Gesture, e: PointerEvent, p: [number, number], r: Render, view: View): void {
  if (g.kind === 'pan') return set({ pan: [g.pan[0] + e.clientX - g.x, g.pan[1] + e.clientY - g.y] });
  if (g.kind === 'draw') return draw(g, e, p, r, view);
  const guides: { x: number | null; y: number | null } = { x: null, y: null };
  const on = get().snap && !e.altKey;
  const snap = (v: number, side: number, screen: number, axis: 0 | 1) => {
    const near = on ? snapped(v, r.token / side, lines(r, g.entities, axis), reach / screen) : { value: v, at: null };
    if (near.at !== null) guides[axis ? 'y' : 'x'] = near.at;
    return near.at === null ? Math.round(v * side) / side : near.value;
  };
  if (g.kind === 'middle' || g.kind === 'key') {
    const e = g.entities[0]!, b = e.figure.bounds;
    g.to = [snap(p[0], r.width, view.width, 0), snap(p[1], r.height, view.height, 1)];
    const numbers = [...e.figure.numbers];
    numbers.splice(g.index * 2 + 2, 0, ...g.to);
    const f = g.kind === 'middle' ? figure('polygon', numbers) : shifted(e.figure, g.to[0] - (b[0] + b[2]) / 2, g.to[1] - (b[1] + b[3]) / 2);
    const badge = `x ${g.to[0].toFixed(2)}  y ${g.to[1].toFixed(2)}`;
    return set({ drag: { figures: { [e.address]: f }, guides, badge, held: null, texts: [] } });
  }
  const wanted = (n: Entity): Figure => {
    if (g.kind === 'point') {
      const numbers = [...n.figure.numbers];
      numbers[g.index * 2] = snap(p[0], r.width, view.width, 0);
      numbers[g.index * 2 + 1] = snap(p[1], r.height, view.height, 1);
      return figure('polygon', numbers);
    }
    const [hx, hy] = g.handle;
    const x = hx === 0.5 ? 0 : snap(p[0], r.width, view.width, 0), y = hy === 0.5 ? 0 : snap(p[1], r.height, view.height, 1);
    return fitted(n.figure, resized(n.figure.bounds, hx, hy, x, y, [1 / r.width, 1 / r.height]));
  };
  let [dx, dy] = [(e.clientX - g.x) / view.width, (e.clientY - g.y) / view.height];
  if (g.kind === 'move' && g.entities[0]) {
    if (e.shiftKey) [dx, dy] = Math.abs(e.clientX - g.x) > Math.abs(e.clientY - g.y) ? [dx, 0] : [0, dy];
    const b = g.entities[0].figure.bounds;
    dx = dx === 0 ? 0 : shift(b[0], b[2], dx, v => snap(v, r.width, view.width, 0), v => (guides.x = v));
    dy = dy === 0 ? 0 : shift(b[1], b[3], dy, v => snap(v, r.height, view.height, 1), v => (guides.y = v));
  }
  g.aims = g.entities.map(n => [n, aim(n, r, g.kind === 'move' ? shifted(n.figure, dx, dy) : wanted(n))]);
  show(g.aims, guides, r);
}

/** How far a span may move so that the edge that is nearest to something meets it. */
function shift(a: number, b: number, d: number, snap: (v: number) => number, guide: (v: number | null) => void): number {
  const first = snap(a + d) - a, second = snap(b + d) - b;
  const best = Math.abs(first - d) <= Math.abs(second - d) ? first : second;
  guide(null);
  snap(best === first ? a + d : b + d); // sets the guide of the edge that was taken
  return best;
}

/** Shows what a drag comes to. */
function show(aims: [Entity, Aim][], guides: { x: number | null; y: number | null }, r: Render): void {
  const figures: Record<string, Figure> = {};
  let held: Derived | null = null;
  for (const [e, a] of aims) {
    figures[e.address] = a.figure;
    held ??= a.held;
  }
  const first = aims[0];
  let badge = '';
  if (first) {
    const b = first[1].figure.bounds, n = tokensOf(first[1].figure, r).length;
    badge = `x ${b[0].toFixed(2)}  y ${b[1].toFixed(2)} · ${n} ${n === 1 ? 'token' : 'tokens'}`;
    if (held) badge = held.refs.length ? `held by ${held.refs.join(', ')}` : 'worked out by the file';
  }
  const texts = aims.map(([e, a]) => ({ block: e.block, attribute: a.attribute, numbers: a.numbers }));
  set({ drag: { figures, guides, badge, held, texts } });
}

function draw(g: Gesture, e: PointerEvent, p: [number, number], r: Render, view: View): void {
  const [x0, y0] = corner(g.handle, r, view, e.altKey), [x1, y1] = corner(p, r, view, e.altKey);
  const b: Bounds = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
  const f = figure('box', b);
  set({ draft: get().tool === 'ellipse' ? fitted({ ...f, kind: 'ellipse' }, b) : f });
}

/** The picture of the last run, or the step that is shown. */
function Latest({ s, r }: { s: State; r: Render }) {
  const previews = previewsOf(s, r), preview = previews.find(p => p.step === s.step) ?? (s.run?.running ? previews.at(-1) : undefined);
  const picture = s.plan?.pictures[r.address];
  const frame = s.frame === null ? undefined : s.plan?.frames[r.address]?.[Math.round(s.frame)];
  const url = frame || (preview?.url ?? picture?.url);
  if (!url) return null;
  if (frame) return <img src={frame} alt={`Frame ${Math.round(s.frame!)} of ${r.address}`} draggable={false} />;
  return (
    <>
      <img src={url} alt={preview ? `Preview of step ${preview.step}` : `The latest picture of ${r.address}`} draggable={false} />
      {preview && <span class="badge" style={{ left: 0, top: '-28px' }}>Step {preview.step} of {preview.of}, a preview</span>}
    </>
  );
}

function Shapes({ s, r, view, points, at }: { s: State; r: Render; view: View; points: number[]; at: [number, number] | null }) {
  const w = r.width, h = r.height, picture = s.plan?.pictures[r.address];
  const seen = r.entities.map((e, i) => ({ e, i, f: figureNow(s, e) })).filter(({ e }) => !s.hidden.includes(e.address));
  const order = [...seen].sort((a, b) => Number(s.selected.includes(a.e.address)) - Number(s.selected.includes(b.e.address)));
  const one = s.selected.length === 1 ? seen.find(({ e }) => e.address === s.selected[0]) : undefined;
  return (
    <>
      <svg viewBox={`0 0 ${w} ${h}`} role="group" aria-label="Regions" class={s.scene?.stale ? 'stale' : ''}>
        {s.grid && <Tokens s={s} r={r} />}
        <g style={{ opacity: s.opacity }}>
          {order.map(({ e, i, f }) => {
            const was = picture?.figures[e.address], on = s.selected.includes(e.address);
            return (
              <g key={e.address} data-c={colour(i)}>
                {was && !s.run?.running && moved(was, f, r) && <Line class="ghost" d={pathOf(was, w, h)} />}
                <g class={`region${on ? ' sel' : ''}${worked(s, e) ? ' worked' : ''}`} data-entity={e.address} role="button"
                  aria-label={`${e.address}, ${f.kind}`} aria-pressed={on} tabIndex={on ? 0 : -1}
                  onFocus={() => on || set({ selected: [e.address] })}>
                  <Line d={pathOf(f, w, h)} />
                </g>
              </g>
            );
          })}
          {s.draft && <g data-c={colour(r.entities.length)} class="sel"><Line d={pathOf(s.draft, w, h)} /></g>}
          {points.length > 0 && <Open points={at ? [...points, ...at] : points} w={w} h={h} n={r.entities.length} />}
        </g>
        {s.onion && s.poses && <Onion s={s} r={r} />}
        {one && s.poses && <Way s={s} r={r} e={one.e} />}
        <Guides s={s} w={w} h={h} />
      </svg>
      {seen.map(({ e, i, f }) => <Tag key={e.address} e={e} i={i} f={f} view={view} on={one?.e === e} />)}
      {one && s.frame === null && s.tool !== 'brush' && !s.locked.includes(one.e.address) && !s.scene?.readOnly && <Handles s={s} e={one.e} f={one.f} />}
      {one && r.timeline && !s.scene?.readOnly && <Dots s={s} r={r} e={one.e} />}
      {s.drag?.badge && one && <Badge text={s.drag.badge} f={one.f} view={view} />}
      {s.draft && s.tool === 'select' && <Naming f={s.draft} />}
    </>
  );
}

const Line = ({ d, class: name = '' }: { d: string; class?: string }) => (
  <g class={name}><path class="shape case" d={d} /><path class="shape ln" d={d} /></g>
);

function Open({ points, w, h, n }: { points: number[]; w: number; h: number; n: number }) {
  return <g data-c={colour(n)} class="open"><Line d={pathOf(figure('polygon', points), w, h).slice(0, -1)} /></g>;
}

/** Reports whether a figure has moved by half a pixel. */
function moved(a: Figure, b: Figure, r: Render): boolean {
  return a.kind !== b.kind || a.path !== b.path || a.numbers.some((n, i) => Math.abs(n - (b.numbers[i] ?? 0)) * (i % 2 ? r.height : r.width) > 0.5);
}

/** Reports whether a part of where an entity is is worked out. */
function worked(s: State, e: Entity): boolean {
  const a = attributeOf(s, e.block, e.attribute);
  return !a?.shape || a.shape.slots.some(slot => !slot.plain);
}

/** Where things are in the first and the last frame. */
function Onion({ s, r }: { s: State; r: Render }) {
  return <>{[s.poses!.frames[0], s.poses!.frames.at(-1)].map(f => r.entities.map((e, i) => f?.[i] && (
    <g class="ghost" key={e.address} data-c={colour(i)}><Line d={pathOf(f[i]!.figure, r.width, r.height)} /></g>
  )))}</>;
}

/** The way that an entity's middle goes, frame by frame. */
function Way({ s, r, e }: { s: State; r: Render; e: Entity }) {
  const n = r.entities.indexOf(e), middles = s.poses!.frames.map(f => f[n]?.figure.bounds).filter(b => !!b).map(b => [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2]);
  const first = middles[0];
  if (!first || middles.every(m => Math.hypot(m[0]! - first[0]!, m[1]! - first[1]!) < 1e-6)) return null;
  const d = middles.map((m, i) => `${i ? 'L' : 'M'}${m[0]! * r.width} ${m[1]! * r.height}`).join('');
  return <g class="way" data-c={colour(n)}><path class="shape case" d={d} /><path class="shape ln" d={d} /></g>;
}

function Guides({ s, w, h }: { s: State; w: number; h: number }) {
  const g = s.drag?.guides;
  if (!g) return null;
  const d = (g.x === null ? '' : `M${g.x * w} 0V${h}`) + (g.y === null ? '' : `M0 ${g.y * h}H${w}`);
  return d ? <g class="guides"><path class="k" d={d} /><path d={d} /></g> : null;
}

const counted = new WeakMap<Figure, number[]>();

/** The image tokens of an entity's figure, counted once. */
function cellsOf(e: Entity, f: Figure, r: Render): number[] {
  let cells = counted.get(f);
  if (!cells) {
    cells = [];
    if (f.kind !== 'outline') cells = tokensOf(f, r);
    else if (f === e.figure) for (let i = 0; i + 1 < e.cells.length; i += 2) for (let k = 0; k < e.cells[i + 1]!; k++) cells.push(e.cells[i]! + k);
    counted.set(f, cells);
  }
  return cells;
}

/** How many entities each image token is in. */
function crowds(s: State, r: Render): Uint16Array {
  const out = new Uint16Array((r.width / r.token) * (r.height / r.token));
  for (const e of r.entities) if (!s.hidden.includes(e.address)) for (const c of cellsOf(e, figureNow(s, e), r)) out[c]!++;
  return out;
}

/** Cells of the token grid as a path. */
function cellPath(cells: Iterable<number>, r: Render): string {
  const columns = r.width / r.token;
  let d = '';
  for (const c of cells) d += `M${(c % columns) * r.token} ${Math.floor(c / columns) * r.token}h${r.token}v${r.token}h${-r.token}z`;
  return d;
}

/** What the model sees: the grid of image tokens, those of each entity in its colour, hatched where they are in several. */
function Tokens({ s, r }: { s: State; r: Render }) {
  let d = '';
  for (let x = r.token; x < r.width; x += r.token) d += `M${x} 0V${r.height}`;
  for (let y = r.token; y < r.height; y += r.token) d += `M0 ${y}H${r.width}`;
  const both = [...crowds(s, r).entries()].filter(([, n]) => n > 1).map(([c]) => c);
  return (
    <g class="tok">
      <defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="on" width="2" height="6" /></pattern></defs>
      {r.entities.map((e, i) => s.hidden.includes(e.address) || (
        <path key={e.address} class={`cells${s.selected.length > 0 && !s.selected.includes(e.address) ? ' less' : ''}`} data-c={colour(i)} data-tokens={e.address}
          d={cellPath(cellsOf(e, figureNow(s, e), r), r)} />
      ))}
      <path class="both" fill="url(#hatch)" d={cellPath(both, r)} />
      <path class="k" d={d} /><path d={d} />
    </g>
  );
}

/** Says which tokens are in several regions: there the model attends to all their prompts. */
function sharedText(s: State, r: Render): string {
  const one = only(s);
  if (one) {
    const mine = new Set(cellsOf(one, figureNow(s, one), r)), with_: string[] = [], all = new Set<number>();
    for (const e of r.entities) {
      if (e === one || s.hidden.includes(e.address)) continue;
      const both = cellsOf(e, figureNow(s, e), r).filter(c => mine.has(c));
      if (both.length) with_.push(e.address.replace(/^entity\./, ''));
      both.forEach(c => all.add(c));
    }
    return all.size ? `; ${all.size} of its tokens are in ${with_.length > 3 ? `${with_.length} others` : with_.join(', ')} too` : '';
  }
  const n = crowds(s, r).reduce((sum, c) => sum + Number(c > 1), 0);
  return n ? `; ${n} in several regions` : '';
}

function Tag({ e, i, f, view, on }: { e: Entity; i: number; f: Figure; view: View; on: boolean }) {
  const [x0, y0, x1] = f.bounds;
  const top = f.kind === 'ellipse' || f.kind === 'polygon', up = y0 * view.height > 18;
  const left = Math.min(Math.max(top ? (x0 + x1) / 2 : x0, 0), 1) * view.width;
  const name = e.address.replace(/^entity\./, '');
  return (
    <span class={`tag ${top ? (on ? 'top on' : 'top') : up ? 'up' : ''}`} data-c={colour(i)} style={{ left: px(left), top: px(Math.max(0, y0) * view.height) }} aria-hidden="true">
      <b>{letter(i)}</b>{name}
    </span>
  );
}

const grips: [number, number][] = [[0, 0], [0.5, 0], [1, 0], [0, 0.5], [1, 0.5], [0, 1], [0.5, 1], [1, 1]];

function Handles({ s, e, f }: { s: State; e: Entity; f: Figure }) {
  const a = attributeOf(s, e.block, e.attribute);
  const percent = (v: number) => `${v * 100}%`;
  const [x0, y0, x1, y1] = f.bounds;
  if (!a?.shape || f.kind === 'outline') {
    return <>{[[x0, y0], [x1, y0], [x0, y1], [x1, y1]].map(([x, y]) => <b class="hd no" style={{ left: percent(x!), top: percent(y!) }} />)}</>;
  }
  if (f.kind === 'polygon') {
    const out = [];
    for (let i = 0; i + 1 < f.numbers.length; i += 2) {
      const [x, y] = [f.numbers[i]!, f.numbers[i + 1]!], n = f.numbers.length, [u, v] = [f.numbers[(i + 2) % n]!, f.numbers[(i + 3) % n]!];
      out.push(<b class="hd c" key={i} data-point={i / 2} title="Double click removes the point" onDblClick={() => void removePoint(e, i / 2)}
        style={{ left: percent(x), top: percent(y) }} />);
      if (n <= 80) out.push(<b class="hd mid" key={`m${i}`} data-middle={i / 2} style={{ left: percent((x + u) / 2), top: percent((y + v) / 2) }} />);
    }
    return <>{out}</>;
  }
  const round = a.shape.slots.some(slot => !slot.plain) ? ' no' : '';
  return (
    <>
      {grips.map(([hx, hy]) => (
        <b class={`hd${round} ${cursor(hx, hy)}`} key={`${hx},${hy}`} data-handle={`${hx},${hy}`}
          style={{ left: percent(x0 + (x1 - x0) * hx), top: percent(y0 + (y1 - y0) * hy) }} />
      ))}
    </>
  );
}

/** The places that keys give an entity's middle: each can be dragged. */
function Dots({ s, r, e }: { s: State; r: Render; e: Entity }) {
  return (
    <>
      {r.timeline!.tracks.map((t, track) => t.entity === e.address && t.target.endsWith('.center') && t.block && t.way === 'keys'
        && t.keys.map((k, item) => {
          const at = keyPlace(s, t.block, item);
          return at && <b key={`${track},${item}`} class={`hd dot${s.key?.track === track && s.key.item === item ? ' on' : ''}`} data-dot={`${track},${item}`}
            title={`Key at frame ${k.frame}`} style={{ left: `${at[0] * 100}%`, top: `${at[1] * 100}%` }} />;
        }))}
    </>
  );
}

const cursor = (hx: number, hy: number) => (hx === 0.5 ? 'ns' : hy === 0.5 ? 'ew' : hx === hy ? 'nwse' : 'nesw');

function Badge({ text, f, view }: { text: string; f: Figure; view: View }) {
  const left = Math.min(f.bounds[2] * view.width + 12, view.width - 150), top = Math.min(f.bounds[1] * view.height + 8, view.height - 32);
  return <span class="badge" style={{ left: px(left), top: px(top) }}>{text}</span>;
}

/** Asks what is in a new region. */
function Naming({ f }: { f: Figure }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const keys = (e: KeyboardEvent) => {
    e.stopPropagation();
    const prompt = field.current!.value.trim();
    if (e.key === 'Enter' && prompt) void add(prompt);
    if (e.key === 'Escape') set({ draft: null });
  };
  return (
    <div class="pop naming" style={{ left: `${Math.min(f.bounds[0], 0.6) * 100}%`, top: `${Math.min(f.bounds[3], 0.9) * 100}%` }}>
      <label class="l" for="naming">What is here?</label>
      <div class="field"><input id="naming" ref={field} placeholder="a duck" onKeyDown={keys} autocomplete="off" /></div>
      <span class="small dimmer">Enter adds it, Escape leaves it.</span>
    </div>
  );
}

function Readout({ s, r, at }: { s: State; r: Render; at: [number, number] | null }) {
  const picture = s.plan?.pictures[r.address];
  const grid = `${r.width / r.token} × ${r.height / r.token} tokens of ${r.token} px`;
  const what = s.run?.running ? '' : !picture ? '; no picture yet' : picture.current ? '' : '; picture of an earlier text';
  const on = at && at[0] >= 0 && at[1] >= 0 && at[0] <= 1 && at[1] <= 1;
  return <div class="read"><span>{grid}<span class="shared">{sharedText(s, r)}</span><span class="wide">{what}</span></span><span>{on && `x ${at[0].toFixed(2)}\u2002y ${at[1].toFixed(2)}`}</span></div>;
}
