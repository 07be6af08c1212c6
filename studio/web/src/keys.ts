// What keys do. The list of keys on the page is made of the same table.
import { assign, copy, duplicate, nudge, paste, remove, turn } from './edits';
import { format } from './hcl';
import { toggle } from './left';
import { scrub } from './timeline';
import { attributeOf, get, only, order, send, set, shown } from './store';

interface Key { keys: string[]; words: string; shown: string; run: (e: KeyboardEvent) => void; everywhere?: boolean }

const each = (use: (address: string) => void) => () => get().selected.forEach(use);

function raise(d: number): void {
  const e = only();
  if (!e?.block) return;
  const a = attributeOf(get(), e.block, 'z');
  if (!a || a.plain) assign(e.block, 'z', String(e.z + d));
}

function around(d: number): void {
  const panes = [...document.querySelectorAll<HTMLElement>('[data-pane]')], at = document.activeElement?.closest<HTMLElement>('[data-pane]');
  const next = panes[(panes.indexOf(at!) + d + panes.length) % panes.length];
  const first = next?.querySelector<HTMLElement>('.cm-content, [tabindex="0"], button:not(:disabled), input, textarea');
  (first ?? next)?.focus();
}

/** Closes what is open, or deselects. Escape during a gesture is the canvas's. */
function escape(): void {
  const s = get();
  if (s.keys) set({ keys: false });
  else if (s.draft) set({ draft: null });
  else if (s.tool !== 'select') set({ tool: 'select' });
  else set({ selected: [], derived: null, message: '' });
}

export const table: Key[] = [
  { keys: ['ctrl+Enter'], shown: 'Ctrl Enter', words: 'run', everywhere: true, run: () => void order('start') },
  { keys: ['ctrl+s'], shown: 'Ctrl S', words: 'format the text (it is saved anyway)', everywhere: true, run: () => void format() },
  { keys: ['ctrl+z'], shown: 'Ctrl Z', words: 'undo', run: () => void send({ kind: 'undo' }) },
  { keys: ['ctrl+y', 'ctrl+shift+z'], shown: 'Ctrl Y', words: 'redo', run: () => void send({ kind: 'redo' }) },
  { keys: ['y'], shown: 'Y', words: 'the history of runs, and back', run: () => set({ view: get().view === 'scene' ? 'history' : 'scene' }) },
  { keys: ['v'], shown: 'V', words: 'select', run: () => set({ tool: 'select' }) },
  { keys: ['b'], shown: 'B', words: 'draw a box', run: () => set({ tool: 'box' }) },
  { keys: ['e'], shown: 'E', words: 'draw an ellipse', run: () => set({ tool: 'ellipse' }) },
  { keys: ['p'], shown: 'P', words: 'draw a polygon, Enter closes it', run: () => set({ tool: 'polygon' }) },
  { keys: ['m'], shown: 'M', words: 'paint a mask, Enter saves it', run: () => set({ tool: 'brush' }) },
  { keys: ['['], shown: '[ ]', words: 'a thinner or thicker brush', run: () => set({ brush: Math.max(2, Math.round(get().brush / 1.25)) }) },
  { keys: [']'], shown: '', words: '', run: () => set({ brush: Math.min(1024, Math.round(get().brush * 1.25)) }) },
  { keys: ['k'], shown: 'K', words: 'play or stop a clip', run: () => shown()?.timeline && set({ playing: !get().playing, frame: get().frame ?? 0 }) },
  { keys: [','], shown: ', .', words: 'the frame before, the next frame', run: () => scrub(-1) },
  { keys: ['.'], shown: '', words: '', run: () => scrub(1) },
  { keys: [' '], shown: 'Space', words: 'pan', run: () => set({ tool: get().tool === 'pan' ? 'select' : 'pan' }) },
  { keys: ['s'], shown: 'S', words: 'snap to the token grid', run: () => set({ snap: !get().snap }) },
  { keys: ['g'], shown: 'G', words: 'show what the model sees: image tokens', run: () => set({ grid: !get().grid }) },
  { keys: ['ArrowLeft'], shown: '← ↑ ↓ →', words: 'move by a pixel', run: () => nudge(-1, 0) },
  { keys: ['ArrowRight'], shown: '', words: '', run: () => nudge(1, 0) },
  { keys: ['ArrowUp'], shown: '', words: '', run: () => nudge(0, -1) },
  { keys: ['ArrowDown'], shown: '', words: '', run: () => nudge(0, 1) },
  { keys: ['shift+ArrowLeft'], shown: 'Shift ← ↑ ↓ →', words: 'move by a token', run: () => nudge(-(shown()?.token ?? 16), 0) },
  { keys: ['shift+ArrowRight'], shown: '', words: '', run: () => nudge(shown()?.token ?? 16, 0) },
  { keys: ['shift+ArrowUp'], shown: '', words: '', run: () => nudge(0, -(shown()?.token ?? 16)) },
  { keys: ['shift+ArrowDown'], shown: '', words: '', run: () => nudge(0, shown()?.token ?? 16) },
  { keys: ['r'], shown: 'R, Shift R', words: 'turn a polygon by 15°, back', run: () => turn(15) },
  { keys: ['shift+r'], shown: '', words: '', run: () => turn(-15) },
  { keys: ['ctrl+c'], shown: 'Ctrl C, Ctrl V', words: 'copy and paste entities', run: copy },
  { keys: ['ctrl+v'], shown: '', words: '', run: () => void paste() },
  { keys: ['o'], shown: 'O', words: 'show where things begin and end in a clip', run: () => set({ onion: !get().onion }) },
  { keys: ['ctrl+d'], shown: 'Ctrl D', words: 'duplicate', run: () => void duplicate() },
  { keys: ['Delete', 'Backspace'], shown: 'Del', words: 'delete', run: () => void remove() },
  { keys: ['h'], shown: 'H', words: 'hide or show', run: each(a => toggle('hidden', a)) },
  { keys: ['l'], shown: 'L', words: 'lock or unlock', run: each(a => toggle('locked', a)) },
  { keys: ['PageUp'], shown: 'Page Up, Page Down', words: 'raise or lower z', run: () => raise(1) },
  { keys: ['PageDown'], shown: '', words: '', run: () => raise(-1) },
  { keys: ['0'], shown: '0', words: 'fit the canvas', run: () => set({ zoom: 1, pan: [0, 0] }) },
  { keys: ['ctrl+a'], shown: 'Ctrl A', words: 'select all', run: () => set({ selected: shown()?.entities.map(e => e.address) ?? [] }) },
  { keys: ['F6'], shown: 'F6', words: 'next pane', everywhere: true, run: () => around(1) },
  { keys: ['shift+F6'], shown: '', words: '', everywhere: true, run: () => around(-1) },
  { keys: ['Escape'], shown: 'Esc', words: 'put back, close, deselect', run: escape },
  { keys: ['?'], shown: '?', words: 'this list', run: () => set({ keys: !get().keys }) },
];

/** The name of a key as the table has it. Cmd counts as Ctrl, Caps Lock doesn't count; Shift does unless the character says it. */
function nameOf(e: KeyboardEvent): string {
  const letter = e.key.length === 1 && e.key.toLowerCase() !== e.key.toUpperCase();
  return (e.ctrlKey || e.metaKey ? 'ctrl+' : '') + (e.shiftKey && (letter || e.key.length > 1) ? 'shift+' : '') + (letter ? e.key.toLowerCase() : e.key);
}

export function listenForKeys(): void {
  addEventListener('keydown', e => {
    const name = nameOf(e);
    const typing = (e.target as HTMLElement).closest?.('input, textarea, select, .cm-editor');
    const key = table.find(k => k.keys.includes(name) && (k.everywhere || !typing));
    if (!key || e.altKey) return;
    const pressed = (e.target as HTMLElement).closest?.('button');
    if (pressed && (name === ' ' || name === 'Enter')) return; // the button's own
    e.preventDefault();
    key.run(e);
  });
}
