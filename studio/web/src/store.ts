// What the page knows, and how it hears of it.
import { useEffect, useState } from 'preact/hooks';
import type { Answer, Derived, Dropped, Edit, Entity, Figure, Language, Plan, Poses, Preview, Render, Run, Scene } from './types';

export type Tool = 'select' | 'box' | 'ellipse' | 'polygon' | 'brush' | 'pan';

/** A drag that goes on: figures in place of the scene's, and the numbers that its text would have. */
export interface Drag {
  figures: Record<string, Figure>;
  texts: { block: string; attribute: string; numbers: string[] }[];
  guides: { x: number | null; y: number | null };
  badge: string;
  held: Derived | null; // a number that is worked out, and held the drag
}

export interface State {
  view: 'scene' | 'history';
  scene: Scene | null;
  plan: Plan | null;
  planning: boolean;
  run: Run | null;
  render: string; // address of the one that is shown
  selected: string[]; // addresses of entities
  hidden: string[];
  locked: string[];
  tool: Tool;
  snap: boolean;
  grid: boolean;
  opacity: number;
  zoom: number; // 1 is as large as fits
  pan: [number, number];
  drag: Drag | null;
  draft: Figure | null; // a new region, before it has a prompt
  derived: Derived | null;
  message: string;
  saving: 'saved' | 'saving' | 'failed';
  online: boolean;
  conflict: boolean; // somebody must choose between two texts
  step: number; // of the preview that is shown; 0 is the latest
  keys: boolean; // the list of keys is open
  goto: number; // a line to scroll to
  frame: number | null; // of a clip, that the canvas shows; null shows what the scene says
  playing: boolean;
  onion: boolean; // the first and the last frame are shown too
  poses: Poses | null; // of the render that is shown
  key: { track: number; item: number } | null; // that is selected
  language: Language | null;
  drop: { file: File; data: string; answer: Dropped } | null; // a file that was brought, and isn't taken yet
  brush: number; // its width in pixels of the render
}

const initial: State = {
  view: 'scene', scene: null, plan: null, planning: false, run: null, render: '', selected: [], hidden: [], locked: [], tool: 'select', snap: true, grid: false,
  opacity: 0.8, zoom: 1, pan: [0, 0], drag: null, draft: null, derived: null, message: '', saving: 'saved', online: true, conflict: false, step: 0, keys: false,
  goto: 0, frame: null, playing: false, onion: false, poses: null, key: null, language: null, drop: null, brush: 32,
};

let state = initial;
const listeners = new Set<() => void>();

export const get = (): State => state;

export function set(patch: Partial<State>): void {
  state = { ...state, ...patch };
  for (const l of listeners) l();
}

/** The state, in a component that is drawn anew when it changes. */
export function useApp(): State {
  const [, draw] = useState(0);
  useEffect(() => {
    const l = () => draw(n => n + 1);
    listeners.add(l);
    l();
    return () => void listeners.delete(l);
  }, []);
  return state;
}

/** The render that is shown, or null where the scene has none. */
export function shown(s: State = state): Render | null {
  return s.scene?.renders.find(r => r.address === s.render) ?? s.scene?.renders[0] ?? null;
}

/** The one entity that is selected, or null. */
export function only(s: State = state): Entity | null {
  return s.selected.length === 1 ? (shown(s)?.entities.find(e => e.address === s.selected[0]) ?? null) : null;
}

/** An attribute of a block of the text. */
export function attributeOf(s: State, block: string, name: string) {
  return s.scene?.blocks.find(b => b.address === block)?.attributes.find(a => a.name === name) ?? null;
}

/** The pictures of a render's steps in the last run. */
export function previewsOf(s: State, r: Render | null): Preview[] {
  return (r && s.run?.previews.filter(p => p.renders.some(a => a === r.address || a.startsWith(`${r.address}.seed-`)))) ?? [];
}

let known = -1; // serial of the scene that was taken last

/** Takes a scene that the server has sent. Each comes by two ways, as an answer and to all pages: the second, or one that is late, is left. */
function take(scene: Scene): void {
  if (scene.serial <= known) return;
  known = scene.serial;
  const render = scene.renders.find(r => r.address === state.render) ?? scene.renders[0];
  const there = new Set(render?.entities.map(e => e.address));
  set({
    scene, render: render?.address ?? '', selected: state.selected.filter(a => there.has(a)),
    planning: state.plan?.version !== scene.version,
  });
}

/** An edit, or what makes it when all before it are answered; null is none. */
type Making = Edit | (() => Edit | null);

let queue: Promise<unknown> = Promise.resolve();

/** Sends a change of the text. Changes arrive in the order in which they are made. */
export function send(making: Making): Promise<Answer | null> {
  const sent = queue.then(() => {
    const edit = typeof making === 'function' ? making() : making;
    return edit && post(edit);
  });
  queue = sent.catch(() => null);
  return sent;
}

/** What was sent last: it changes with each edit. */
export const lastSent = (): unknown => queue;

/** Sends JSON, and returns what comes back with its status. */
async function ask<T>(path: string, body: unknown): Promise<[T, number]> {
  const reply = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  return [(await reply.json()) as T, reply.status];
}

/** Sends a file, in its turn among the edits. */
export function bring(body: { name: string; data: string; as: string; block?: string; says?: unknown }): Promise<Dropped | null> {
  const sent = queue.then(async () => {
    try {
      const [answer] = await ask<Dropped>('/api/drop', body);
      if (answer.state) take(answer.state);
      set({ message: answer.error ?? '', derived: answer.derived ?? null });
      return answer;
    } catch {
      set({ saving: 'failed' });
      return null;
    }
  });
  queue = sent.catch(() => null);
  return sent;
}

/** Fetches the frames of the clip that is shown, unless they are here. */
export async function loadPoses(): Promise<void> {
  const s = state, r = shown(s);
  if (!s.scene || !r?.timeline) return set({ poses: null, frame: null, playing: false });
  if (s.poses?.version === s.scene.version || s.scene.stale) return;
  const reply = await fetch(`/api/poses?render=${encodeURIComponent(r.address)}`);
  if (reply.ok) set({ poses: (await reply.json()) as Poses });
}

/** Fetches what forms are made of. */
export async function loadLanguage(): Promise<void> {
  const reply = await fetch('/api/schema');
  if (reply.ok) set({ language: (await reply.json()) as Language });
}

async function post(edit: Edit): Promise<Answer | null> {
  const late = setTimeout(() => set({ saving: 'saving' }), 1000);
  try {
    const [answer, status] = await ask<Answer>('/api/edit', edit);
    if (answer.state) take(answer.state);
    set({
      drag: null, saving: 'saved', message: answer.derived || status === 409 ? '' : (answer.error ?? ''),
      // A drag says itself what it couldn't move: what is typed there meanwhile must not go.
      derived: answer.derived ?? (answer.error || edit.changes?.some(c => c.kind === 'numbers') ? state.derived : null),
    });
    return answer;
  } catch {
    set({ drag: null, saving: 'failed' });
    return null;
  } finally {
    clearTimeout(late);
  }
}

/** Starts or stops a run; with seeds, one that makes a picture of each. */
export async function order(what: 'start' | 'stop', seeds?: number[]): Promise<void> {
  set({ step: 0 });
  await fetch('/api/run', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ do: what, seeds }) });
}

/** Listens to what happens. The browser connects again by itself. */
export function listen(): void {
  const events = new EventSource('/api/events');
  const on = <T>(name: string, use: (value: T) => void) =>
    events.addEventListener(name, e => use(JSON.parse((e as MessageEvent<string>).data) as T));
  on<Scene>('state', scene => {
    if (!state.drag || state.scene?.version !== scene.version) take(scene);
  });
  // What the model takes stays known while the text has mistakes.
  on<Plan>('plan', plan => set({ plan: plan.values.length ? plan : { ...plan, values: state.plan?.values ?? [] }, planning: state.scene?.version !== plan.version }));
  on<{ render: string; index: number; url: string }>('frame', f => {
    const plan = state.plan, list = plan?.frames[f.render];
    if (plan && list) set({ plan: { ...plan, frames: { ...plan.frames, [f.render]: list.map((u, i) => (i === f.index ? f.url : u)) } } });
  });
  on<Run>('run', run => set({ run }));
  events.onopen = () => {
    known = -1; // a server that was started again counts from the beginning
    set({ online: true });
  };
  events.onerror = () => set({ online: false });
}
