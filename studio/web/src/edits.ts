// From what somebody wants to what is sent.
import { figure, numberText, shapeFigure, shapeNumbers, turned } from './geometry';
import { attributeOf, get, lastSent, only, send, set, shown, type State } from './store';
import { nameOf, quote } from './text';
import type { Bounds, Change, Derived, Entity, Figure, Render } from './types';

/** What becomes of an entity that should have a figure: numbers that are worked out hold. */
export interface Aim { figure: Figure; numbers: string[]; held: Derived | null; attribute: string }

export function aim(e: Entity, r: Render, wanted: Figure): Aim {
  const a = attributeOf(get(), e.block, e.attribute);
  const none = { figure: e.figure, numbers: [], attribute: e.attribute };
  if (!a) return { ...none, held: { block: e.block || e.address, attribute: e.attribute, slot: -1, text: '', refs: [] } };
  if (!a.shape) return { ...none, held: { block: e.block, attribute: e.attribute, slot: -1, text: a.text, refs: a.refs } };
  const { call, pixels, slots } = a.shape;
  const now = shapeNumbers(call, pixels, e.figure, r.width, r.height), want = shapeNumbers(call, pixels, wanted, r.width, r.height);
  const numbers: string[] = [];
  let held: Derived | null = null;
  const made = now.map((value, i) => {
    const slot = slots[i], side = pixels ? 1 : i % 2 ? r.height : r.width, next = want[i] ?? value;
    numbers[i] = '';
    if (!slot || Math.abs(next - value) * side < 0.01) return value;
    if (!slot.plain) {
      held ??= { block: e.block, attribute: e.attribute, slot: i, text: slot.text, refs: slot.refs };
      return value;
    }
    const text = numberText(next, side, slot.text);
    numbers[i] = text === slot.text ? '' : text;
    return Number(text);
  });
  return { figure: shapeFigure(call, pixels, made, r.width, r.height), numbers, held, attribute: e.attribute };
}

/** A figure moved by fractions of the canvas. */
export function shifted(f: Figure, dx: number, dy: number): Figure {
  if (f.kind === 'outline') return f;
  const n = f.numbers.map((v, i) => (f.kind === 'ellipse' && i > 1 ? v : v + (i % 2 ? dy : dx)));
  return figure(f.kind, n);
}

/** A figure fitted into a box. */
export function fitted(f: Figure, b: Bounds): Figure {
  if (f.kind === 'ellipse') return figure('ellipse', [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2, (b[2] - b[0]) / 2, (b[3] - b[1]) / 2]);
  if (f.kind !== 'polygon') return figure('box', b);
  const [x0, y0, x1, y1] = f.bounds, sx = (b[2] - b[0]) / (x1 - x0 || 1), sy = (b[3] - b[1]) / (y1 - y0 || 1);
  return figure('polygon', f.numbers.map((v, i) => (i % 2 ? b[1] + (v - y0) * sy : b[0] + (v - x0) * sx)));
}

/** Sends the numbers of entities as one change. They are aimed when all edits before are answered. */
export async function commit(aims: () => [Entity, Aim][], verb: string): Promise<void> {
  let held: Derived | null = null;
  await send(() => {
    const list = aims(), moved = list.filter(([, a]) => a.numbers.some(n => n !== ''));
    held = list.find(([, a]) => a.held)?.[1].held ?? null;
    if (held) set({ derived: held });
    if (moved.length === 0) {
      set({ drag: null });
      return null;
    }
    const name = `${verb} ${moved.length > 1 ? `${moved.length} entities` : moved[0]![0].address}`;
    return {
      kind: 'change', name, changes: moved.map(([e, a]) => ({ kind: 'numbers', block: e.block, attribute: a.attribute, numbers: a.numbers })),
    };
  });
  if (held) set({ derived: held });
}

/** A nudge whose turn to be sent has not come. */
interface Nudge { addresses: string[]; dx: number; dy: number; sent: unknown }
let waiting: Nudge | null = null;

/** Moves the entities that are selected by pixels. Keys come faster than answers: what waits is sent as one move. */
export function nudge(dx: number, dy: number): void {
  const s = get(), addresses = s.selected.filter(a => !s.locked.includes(a));
  if (waiting && waiting.sent === lastSent() && waiting.addresses.join() === addresses.join()) {
    waiting.dx += dx;
    waiting.dy += dy;
    return;
  }
  const mine: Nudge = { addresses, dx, dy, sent: null };
  const aims = (): [Entity, Aim][] => {
    if (waiting === mine) waiting = null;
    const r = shown(), moving = r?.entities.filter(e => addresses.includes(e.address)) ?? [];
    return moving.map(e => [e, aim(e, r!, shifted(e.figure, mine.dx / r!.width, mine.dy / r!.height))]);
  };
  void commit(aims, 'move');
  mine.sent = lastSent();
  waiting = mine;
}

/** Turns the polygons that are selected; boxes and ellipses stand upright. */
export function turn(degrees: number): void {
  const aims = (): [Entity, Aim][] => {
    const s = get(), r = shown(s), list = r?.entities.filter(e => e.figure.kind === 'polygon' && s.selected.includes(e.address) && !s.locked.includes(e.address)) ?? [];
    return list.map(e => [e, aim(e, r!, figure('polygon', turned(e.figure.numbers, degrees, r!.width, r!.height)))]);
  };
  if (shown()?.entities.some(e => e.figure.kind === 'polygon' && get().selected.includes(e.address))) void commit(aims, 'turn');
  else if (get().selected.length) set({ message: 'Only polygons can be turned.' });
}

/** Adds a point of a polygon behind that of a number. */
export async function addPoint(e: Entity, item: number, [x, y]: [number, number], r: Render): Promise<void> {
  const a = attributeOf(get(), e.block, e.attribute), pixels = a?.shape?.pixels ?? false, like = a?.shape?.slots[item * 2]?.text ?? '.00';
  const numbers = [pixels ? numberText(x * r.width, 1, like) : numberText(x, r.width, like), pixels ? numberText(y * r.height, 1, like) : numberText(y, r.height, like)];
  await send({ kind: 'change', name: `add a point of ${e.address}`, changes: [{ kind: 'addpoint', block: e.block, attribute: e.attribute, item, numbers }] });
}

export async function removePoint(e: Entity, item: number): Promise<void> {
  await send({ kind: 'change', name: `remove a point of ${e.address}`, changes: [{ kind: 'removepoint', block: e.block, attribute: e.attribute, item }] });
}

/** Where a key puts an entity's middle, if its value is two plain numbers. */
export function keyPlace(s: State, block: string, item: number): [number, number] | null {
  const value = attributeOf(s, block, 'keys')?.items[item]?.find(p => p.name === 'value');
  const m = value?.plain && /^\[\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\]$/.exec(value.text);
  return m ? [Number(m[1]), Number(m[2])] : null;
}

/** Moves the place that a key gives. */
export async function placeKey(track: number, item: number, [x, y]: [number, number], r: Render): Promise<void> {
  const t = r.timeline?.tracks[track], old = t && attributeOf(get(), t.block, 'keys')?.items[item]?.find(p => p.name === 'value')?.text;
  if (!t || !old) return;
  const like = old.match(/-?[\d.]+/g) ?? [], value = `[${numberText(x, r.width, like[0] ?? '.00')}, ${numberText(y, r.height, like[1] ?? '.00')}]`;
  set({ key: { track, item } });
  await send({ kind: 'change', name: `move a key of ${t.target}`, changes: [{ kind: 'item', block: t.block, attribute: 'keys', item, part: 'value', value }] });
}

/** Adds an entity with a region that was drawn. */
export async function add(prompt: string): Promise<void> {
  const s = get(), r = shown(s), f = s.draft;
  if (!s.scene || !r || !f) return;
  const name = nameOf(prompt, n => s.scene!.blocks.some(b => b.address === `entity.${n}`));
  const num = (v: number, i: number) => numberText(v, i % 2 ? r.height : r.width, '.00');
  let place: string;
  if (f.kind === 'box') {
    const [x0, y0, x1, y1] = f.bounds;
    place = `box = xywh(${[x0, y0, x1 - x0, y1 - y0].map(num).join(', ')})`;
  } else if (f.kind === 'ellipse') {
    place = `region = ellipse(${f.numbers.map(num).join(', ')})`;
  } else {
    const points: string[] = [];
    for (let i = 0; i + 1 < f.numbers.length; i += 2) points.push(`[${num(f.numbers[i]!, 0)}, ${num(f.numbers[i + 1]!, 1)}]`);
    place = `region = polygon([${points.join(', ')}])`;
  }
  set({ draft: null, tool: 'select' });
  const text = `entity "${name}" {\nprompt = ${quote(prompt)}\n${place}\n}`;
  const answer = await send({ kind: 'change', name: `add entity.${name}`, changes: [{ kind: 'add', text }] });
  if (answer && !answer.error) set({ selected: [`entity.${name}`] });
}

/** Gives an entity another name, and changes what refers to it. */
export async function rename(e: Entity, name: string): Promise<void> {
  const to = `entity.${name}`, answer = await send({ kind: 'change', name: `rename ${e.address}`, changes: [{ kind: 'rename', block: e.block, value: name }] });
  if (answer && !answer.error) set({ selected: [e.address.replace(e.block, to)] });
}

/** Removes the entities that are selected. */
export async function remove(): Promise<void> {
  const s = get(), r = shown(s);
  const blocks = [...new Set(r?.entities.filter(e => s.selected.includes(e.address) && e.block).map(e => e.block))];
  if (blocks.length === 0) return;
  const name = `remove ${blocks.length > 1 ? `${blocks.length} entities` : blocks[0]}`;
  await send({ kind: 'change', name, changes: blocks.map(block => ({ kind: 'remove', block })) });
}

/** Duplicates the entity that is selected, a token to the right and below. */
export async function duplicate(): Promise<void> {
  const s = get(), r = shown(s), e = only(s);
  if (!s.scene || !r || !e || e.figure.kind === 'outline') return;
  set({ draft: shifted(e.figure, r.token / r.width, r.token / r.height) });
  await add(e.prompt);
}

/** Gives a value that is worked out a number of its own. */
export async function replaceDerived(d: Derived, value: string): Promise<void> {
  const a = attributeOf(get(), d.block, d.attribute);
  if (!a?.shape) return;
  const numbers = a.shape.slots.map((_, i) => (i === d.slot ? value : ''));
  const change: Change = { kind: 'numbers', block: d.block, attribute: d.attribute, numbers, replace: true };
  const answer = await send({ kind: 'change', name: `replace ${d.text}`, changes: [change] });
  if (!answer?.error) set({ derived: null });
}

/** Sets an attribute of a block, or with "" leaves it to its default. */
export function assign(block: string, attribute: string, value: string, quoted = false): void {
  const name = `change ${block.split('.').slice(-1)[0]} ${attribute}`;
  const unset = value === '' && !quoted;
  void send({ kind: 'change', name, changes: [unset ? { kind: 'unset', block, attribute } : { kind: 'set', block, attribute, value, quote: quoted }] });
}

let copied: { name: string; text: string }[] = [];

/** Keeps the text of the entities that are selected, here and in the clipboard. */
export function copy(): void {
  const s = get(), lines = s.scene?.text.split(/\r?\n/) ?? [], blocks = new Set(shown(s)?.entities.filter(e => s.selected.includes(e.address)).map(e => e.block));
  copied = (s.scene?.blocks ?? []).filter(b => blocks.has(b.address))
    .map(b => ({ name: b.address.replace(/^entity\./, ''), text: lines.slice(b.line - 1, b.last).join('\n') }));
  if (copied.length) void navigator.clipboard?.writeText(copied.map(c => c.text).join('\n\n')).catch(() => {});
}

/** Adds what was copied, under names of its own. */
export async function paste(): Promise<void> {
  const taken = new Set(get().scene?.blocks.map(b => b.address)), added: string[] = [], changes: Change[] = [];
  for (const c of copied) {
    let n = 2;
    const stem = c.name.replace(/_\d+$/, '');
    while (taken.has(`entity.${stem}_${n}`)) n++;
    taken.add(`entity.${stem}_${n}`);
    added.push(`entity.${stem}_${n}`);
    changes.push({ kind: 'add', text: c.text.replace(/^(\s*entity\s+)"[^"]*"/, `$1"${stem}_${n}"`) });
  }
  if (changes.length === 0) return;
  const answer = await send({ kind: 'change', name: `paste ${added.length > 1 ? `${added.length} entities` : added[0]}`, changes });
  if (answer && !answer.error) set({ selected: added });
}

/** Lines up the entities that are selected at an edge or the middle of all of them. */
export function align(axis: 0 | 1, where: 0 | 0.5 | 1): void {
  const aims = (): [Entity, Aim][] => {
    const s = get(), r = shown(s), list = r?.entities.filter(e => s.selected.includes(e.address) && !s.locked.includes(e.address)) ?? [];
    const low = Math.min(...list.map(e => e.figure.bounds[axis])), high = Math.max(...list.map(e => e.figure.bounds[axis + 2]!));
    return list.map(e => {
      const [a, b] = [e.figure.bounds[axis], e.figure.bounds[axis + 2]!], d = low + (high - low) * where - (a + (b - a) * where);
      return [e, aim(e, r!, shifted(e.figure, axis ? 0 : d, axis ? d : 0))];
    });
  };
  void commit(aims, 'align');
}
