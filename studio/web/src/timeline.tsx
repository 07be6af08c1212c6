// What moves: tracks with keys that are dragged in time, and a playhead that shows a moment on the canvas.
import { useEffect, useRef, useState } from 'preact/hooks';
import { colour, letter } from './canvas';
import { Icon } from './icons';
import { Field } from './fields';
import { numberText, shapeNumbers } from './geometry';
import { attributeOf, get, lastSent, loadPoses, send, set, shown, useApp, type State } from './store';
import { curvePath, timeBetween, timeText } from './time';
import type { Change, Render, Timeline as Time, Track } from './types';

/** Goes on or back by frames. */
export function scrub(d: number): void {
  const t = shown()?.timeline;
  if (t) set({ frame: Math.max(0, Math.min(t.frames - 1, Math.round(get().frame ?? 0) + d)), playing: false });
}

const edit = (name: string, change: Change) => send({ kind: 'change', name, changes: [change] });

export function Timeline() {
  const s = useApp(), r = shown(s), t = r?.timeline ?? null;
  useEffect(() => void loadPoses(), [s.scene?.version, s.render]);
  usePlay(s, t);
  if (!r || !t) return null;
  const at = s.frame ?? 0;
  return (
    <section class="time" aria-label="Timeline" data-pane="time">
      <div class="head">
        <button class="ib" aria-label={s.playing ? 'Stop playing' : 'Play'} title="Play (K)" onClick={() => set({ playing: !s.playing, frame: at })}>
          <Icon name={s.playing ? 'pause' : 'play'} /></button>
        <h2>{t.address.replace(/^timeline\./, '')}</h2>
        <span class="small dim num nw">frame {Math.round(at)} of {t.frames}, {(at / t.fps).toFixed(2)} s</span>
        <input type="range" aria-label="Frame that the canvas shows" min="0" max={t.frames - 1} step="1" value={at}
          style={{ '--v': `${(100 * at) / Math.max(1, t.frames - 1)}%` }} onInput={e => set({ frame: Number(e.currentTarget.value), playing: false })} />
        {s.frame !== null && <button class="btn low bare" onClick={() => set({ frame: null, playing: false })}>Back to the scene</button>}
      </div>
      <Strip s={s} r={r} t={t} />
      <div class="tracks">
        {t.tracks.map((track, i) => <Row key={track.target} s={s} r={r} t={t} track={track} index={i} />)}
      </div>
      {s.key && t.tracks[s.key.track]?.keys[s.key.item] && <KeyForm s={s} track={t.tracks[s.key.track]!} item={s.key.item} />}
    </section>
  );
}

/** Lets the playhead run in the clip's own time; where motion is unwanted, by single frames. */
function usePlay(s: State, t: Time | null): void {
  useEffect(() => {
    if (!s.playing || !t) return;
    const began = performance.now(), from = get().frame ?? 0;
    let next = 0;
    const step = (now: number) => {
      set({ frame: Math.floor(from + ((now - began) / 1000) * t.fps) % t.frames });
      next = requestAnimationFrame(step);
    };
    next = requestAnimationFrame(step);
    return () => cancelAnimationFrame(next);
  }, [s.playing, t?.frames, t?.fps]);
}

/** The text of a part of a key, or undefined. */
const part = (s: State, track: Track, item: number, name: string) =>
  attributeOf(s, track.block, 'keys')?.items[item]?.find(p => p.name === name);

/** The frames that are made, as many as there is room for. One is chosen by a click. */
function Strip({ s, r, t }: { s: State; r: Render; t: Time }) {
  const list = s.plan?.frames[r.address] ?? [], most = Math.min(t.frames, 24), made = list.filter(u => u).length;
  if (list.length === 0) return null;
  return (
    <div class="track" role="group" aria-label={`${made} of ${t.frames} frames are made`}>
      <span class="name small dim num">{made} of {t.frames} made</span>
      <ol class="strip-of">
        {Array.from({ length: most }, (_, i) => {
          const n = most === 1 ? 0 : Math.round((i * (t.frames - 1)) / (most - 1)), now = s.frame !== null && Math.round(s.frame) === n;
          return (
            <li key={n} class={now ? 'now' : ''}>
              <button aria-label={`Frame ${n}${list[n] ? '' : ', not made yet'}`} tabIndex={-1} onClick={() => set({ frame: n, playing: false })}>
                {list[n] && <img src={list[n]} alt="" loading="lazy" />}</button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

function Row({ s, r, t, track, index }: { s: State; r: Render; t: Time; track: Track; index: number }) {
  const lane = useRef<HTMLDivElement>(null), [moving, setMoving] = useState<{ item: number; frame: number } | null>(null);
  const last = Math.max(1, t.frames - 1), n = r.entities.findIndex(e => e.address === track.entity);
  const fixed = !!s.scene?.readOnly || !track.block || track.way !== 'keys';
  const frameAt = (e: MouseEvent) => {
    const b = lane.current!.getBoundingClientRect();
    return Math.max(0, Math.min(1, (e.clientX - b.left) / b.width)) * last;
  };
  const add = (e: MouseEvent) => {
    const frame = Math.round(frameAt(e));
    if (fixed || track.keys.some(k => Math.abs(k.frame - frame) < 0.5)) return;
    void addKey(index, frame);
  };
  const down = (e: PointerEvent, item: number) => {
    set({ key: { track: index, item } });
    const before = part(s, track, item, 'at')?.text ?? '';
    if (fixed || timeText(before, 0, t.frames, t.fps) === null) return;
    e.stopPropagation();
    (e.currentTarget as Element).setPointerCapture(e.pointerId);
    setMoving({ item, frame: track.keys[item]!.frame });
  };
  const move = (e: PointerEvent) => {
    if (!moving) return;
    setMoving({ ...moving, frame: timeBetween(frameAt(e), track.keys[moving.item - 1]?.frame, track.keys[moving.item + 1]?.frame, last, !e.altKey) });
  };
  const up = () => {
    if (!moving) return;
    const { item, frame } = moving;
    if (frame === track.keys[item]!.frame) return setMoving(null);
    void moveKey(s, t, track, item, frame).then(() => setMoving(null));
  };
  const keys = (e: KeyboardEvent, item: number) => {
    const d = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0, k = track.keys[item]!;
    if (e.key === 'Escape' && moving) {
      setMoving(null);
    } else if (e.key === 'Delete' || e.key === 'Backspace') {
      void removeKey(track, item);
    } else if (d) {
      void moveKey(s, t, track, item, timeBetween(k.frame + d, track.keys[item - 1]?.frame, track.keys[item + 1]?.frame, last, true));
    } else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const percent = (f: number) => `${(100 * f) / last}%`;
  return (
    <div class="track" data-c={n >= 0 ? colour(n) : undefined}>
      <span class="name clip mono tiny" title={track.target}>{n >= 0 && <b class="sw">{letter(n)}</b>}{track.target.replace(/^entity\./, '')}</span>
      <div class="lane" ref={lane} onDblClick={add} onPointerDown={e => e.target === lane.current && set({ frame: Math.round(frameAt(e)), playing: false })}
        title={fixed ? undefined : 'Double click adds a key'}>
        {track.way === 'follow' && <span class="small dimmer">follows {track.follow}</span>}
        {track.way === 'path' && <span class="small dimmer">along a path, {track.ease}</span>}
        {track.keys.slice(0, -1).map((k, i) => (
          <svg key={i} class="ease" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true"
            style={{ left: percent(k.frame), width: percent(track.keys[i + 1]!.frame - k.frame) }}><path d={curvePath(k.curve, 100, 100)} /></svg>
        ))}
        {track.keys.map((k, i) => {
          const f = moving?.item === i ? moving.frame : k.frame, on = s.key?.track === index && s.key.item === i;
          return (
            <button key={i} class={`key${on ? ' on' : ''}`} style={{ left: percent(f) }} data-key={`${index},${i}`} aria-pressed={on}
              aria-label={`Key ${i + 1} of ${track.target}, frame ${Number(f.toFixed(2))}`} onPointerDown={e => down(e, i)} onPointerMove={move}
              onPointerUp={up} onPointerCancel={() => setMoving(null)} onFocus={() => set({ key: { track: index, item: i } })} onKeyDown={e => keys(e, i)} />
          );
        })}
        {moving && <span class="badge" style={{ left: percent(moving.frame) }}>frame {Number(moving.frame.toFixed(2))}</span>}
        {s.frame !== null && <i class="head-line" style={{ left: percent(s.frame) }} />}
      </div>
    </div>
  );
}

async function moveKey(s: State, t: Time, track: Track, item: number, frame: number): Promise<void> {
  const value = timeText(part(s, track, item, 'at')?.text ?? '', frame, t.frames, t.fps);
  if (value !== null) await edit(`move a key of ${track.target}`, { kind: 'item', block: track.block, attribute: 'keys', item, part: 'at', value });
}

function removeKey(track: Track, item: number) {
  set({ key: null });
  return edit(`remove a key of ${track.target}`, { kind: 'removeitem', block: track.block, attribute: 'keys', item });
}

/** Adds a key with the value that the track has there. */
async function addKey(index: number, frame: number): Promise<void> {
  await lastSent(); // the value is that of what all edits before leave
  await loadPoses();
  const s = get(), r = shown(s), t = r?.timeline, track = t?.tracks[index];
  if (!r || !t || !track) return;
  const before = track.keys.findIndex(k => k.frame > frame), item = before < 0 ? track.keys.length : before;
  const near = part(s, track, Math.max(0, item - 1), 'value'), at = part(s, track, 0, 'at');
  const poses = s.poses, now = poses?.tracks[index]?.[Math.floor(frame / poses.every)], time = timeText(at?.text ?? '', frame, t.frames, t.fps);
  if (!now || time === null) return set({ message: 'The times of this track are worked out: add the key in the text.' });
  let value = '';
  if (now.figure) {
    const shape = near?.shape, call = shape?.call ?? (now.figure.kind === 'ellipse' ? 'ellipse' : 'xywh');
    if (now.figure.kind === 'polygon') return set({ message: 'A polygon’s key is added in the text.' });
    const pixels = shape?.pixels ?? false;
    const n = shapeNumbers(call, pixels, now.figure, r.width, r.height).map((v, i) => numberText(v, pixels ? 1 : i % 2 ? r.height : r.width, '.00'));
    value = pixels ? `px(${call}(${n.join(', ')}))` : `${call}(${n.join(', ')})`;
  } else {
    const n = now.numbers.map((v, i) => numberText(v, now.numbers.length === 2 ? (i ? r.height : r.width) : 100, '.00'));
    value = n.length > 1 ? `[${n.join(', ')}]` : n[0]!;
  }
  await edit(`add a key of ${track.target}`, { kind: 'additem', block: track.block, attribute: 'keys', item, text: `{ at = ${time}, value = ${value} }` });
  set({ key: { track: index, item } });
}

/** What a key says: when, what, and how it goes on to the next. */
function KeyForm({ s, track, item }: { s: State; track: Track; item: number }) {
  const fixed = !!s.scene?.readOnly || !track.block;
  const change = (name: string, value: string) =>
    void edit(`change a key of ${track.target}`, {
      kind: 'item', block: track.block, attribute: 'keys', item, part: name, value, replace: name === 'ease' && !part(s, track, item, name)?.refs.length,
    });
  const field = (name: string, label: string) => {
    const p = part(s, track, item, name), worked = !!p && !p.plain && (!p.shape || p.refs.length > 0);
    return <Field label={label} before={label} value={p?.text ?? ''} readOnly={fixed} worked={worked} on={v => change(name, v)} />;
  };
  const k = track.keys[item]!, ease = part(s, track, item, 'ease'), own = ease && !/^"[a-z-]+"$/.test(ease.text);
  const choose = (v: string) => {
    if (v) change('ease', v.endsWith(')') ? v : v === 'linear' ? '' : `"${v}"`);
  };
  const last = item === track.keys.length - 1;
  return (
    <div class="keyform" role="group" aria-label={`Key ${item + 1} of ${track.target}`}>
      {field('at', 'At')}
      {field('value', 'Value')}
      {!last && (
        <div class="field choose">
          <select aria-label="Ease to the next key" value={own ? '' : ease ? ease.text.slice(1, -1) : 'linear'} disabled={fixed}
            onChange={e => choose(e.currentTarget.value)}>
            {own && <option value="">{ease.text}</option>}
            {!own && <option value="bezier(0.42, 0, 0.58, 1)">bezier(…)</option>}
            {s.language?.eases.map(n => <option key={n.name} value={n.name}>{n.name}</option>)}
          </select><Icon name="down" />
        </div>
      )}
      {!last && <Curve text={ease?.text ?? '"linear"'} name={k.ease} points={k.curve} fixed={fixed} on={v => change('ease', v)} />}
      <button class="ib" aria-label="Remove the key" title="Remove the key (Del)" disabled={fixed || track.keys.length < 2}
        onClick={() => void removeKey(track, item)}><Icon name="trash" /></button>
    </div>
  );
}

/** An ease as a curve. A bezier's two handles are dragged, or moved by arrows. */
function Curve({ text, name, points, fixed, on }: { text: string; name: string; points: [number, number][]; fixed: boolean; on: (text: string) => void }) {
  const m = /^bezier\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\)$/.exec(text);
  const [held, setHeld] = useState<number[] | null>(null), which = useRef(0), svg = useRef<SVGSVGElement>(null);
  const n = held ?? (m ? m.slice(1).map(Number) : null);
  const write = (v: number[]) => on(`bezier(${v.map(x => Number(x.toFixed(2))).join(', ')})`);
  const at = (e: PointerEvent): number[] => {
    const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.current!.getScreenCTM()!.inverse()), v = [...n!];
    v[which.current] = Math.min(1, Math.max(0, p.x / 100));
    v[which.current + 1] = Math.min(1.6, Math.max(-0.6, 1 - p.y / 100));
    return v;
  };
  const down = (e: PointerEvent, i: number) => {
    if (fixed) return;
    which.current = i;
    svg.current!.setPointerCapture(e.pointerId);
    setHeld(n);
  };
  const keys = (e: KeyboardEvent, i: number) => {
    const d = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] }[e.key];
    if (!d || fixed) return;
    e.preventDefault();
    e.stopPropagation();
    const v = [...n!];
    v[i] = Math.min(1, Math.max(0, v[i]! + d[0]!));
    v[i + 1]! += d[1]!;
    write(v);
  };
  const label = ['first', 'second'];
  return (
    <svg class={`curve${n ? ' big' : ''}`} viewBox="-12 -32 124 164" ref={svg} role="group" aria-label={`Curve of ${name}`} onPointerMove={e => held && setHeld(at(e))}
      onPointerUp={() => held && (write(held), setHeld(null))} onPointerCancel={() => setHeld(null)}>
      <path class="axes" d="M0 0V100H100" />
      {n ? <path d={`M0 100C${n[0]! * 100} ${100 - n[1]! * 100} ${n[2]! * 100} ${100 - n[3]! * 100} 100 0`} /> : <path d={curvePath(points, 100, 100)} />}
      {n && <path class="arm" d={`M0 100L${n[0]! * 100} ${100 - n[1]! * 100}M100 0L${n[2]! * 100} ${100 - n[3]! * 100}`} />}
      {n && [0, 2].map(i => (
        <circle key={i} cx={n[i]! * 100} cy={100 - n[i + 1]! * 100} r="7" tabIndex={0} role="button" data-handle={i} aria-label={`The ${label[i / 2]} handle of the curve`}
          onPointerDown={e => down(e, i)} onKeyDown={e => keys(e, i)} />
      ))}
    </svg>
  );
}
