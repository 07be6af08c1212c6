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
    void edit(`change a key of ${track.target}`, { kind: 'item', block: track.block, attribute: 'keys', item, part: name, value });
  const field = (name: string, label: string) => {
    const p = part(s, track, item, name), worked = !!p && !p.plain && (!p.shape || p.refs.length > 0);
    return <Field label={label} before={label} value={p?.text ?? ''} readOnly={fixed} worked={worked} on={v => change(name, v)} />;
  };
  const k = track.keys[item]!, ease = part(s, track, item, 'ease'), own = ease && !/^"[a-z-]+"$/.test(ease.text);
  const last = item === track.keys.length - 1;
  return (
    <div class="keyform" role="group" aria-label={`Key ${item + 1} of ${track.target}`}>
      {field('at', 'At')}
      {field('value', 'Value')}
      {!last && (
        <div class="field choose">
          <select aria-label="Ease to the next key" value={own ? '' : ease ? ease.text.slice(1, -1) : 'linear'} disabled={fixed}
            onChange={e => e.currentTarget.value && change('ease', e.currentTarget.value === 'linear' && !ease ? '' : `"${e.currentTarget.value}"`)}>
            {own && <option value="">{ease.text}</option>}
            {s.language?.eases.map(n => <option key={n.name} value={n.name}>{n.name}</option>)}
          </select><Icon name="down" />
        </div>
      )}
      {!last && <svg class="curve" viewBox="-2 -30 104 160" role="img" aria-label={`Curve of ${k.ease}`}><path class="axes" d="M0 0V100H100" /><path d={curvePath(k.curve, 100, 100)} /></svg>}
      <button class="ib" aria-label="Remove the key" title="Remove the key (Del)" disabled={fixed || track.keys.length < 2}
        onClick={() => void removeKey(track, item)}><Icon name="trash" /></button>
    </div>
  );
}
