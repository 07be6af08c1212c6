// What the server sends, as studio/state.go and studio/run.go declare it.

interface Source { file: string; line: number; code: string; start: number; end: number }
export interface Diagnostic {
  severity: 'error' | 'warning'; code?: string; summary: string; detail?: string; source?: Source; notes?: { text: string; source?: Source }[];
}
interface Slot { from: number; to: number; text: string; plain: boolean; refs: string[] }
interface Shape { call: string; pixels: boolean; slots: Slot[] }
export interface Attribute {
  name: string; line: number; from: number; to: number; text: string; plain: boolean; refs: string[]; shape: Shape | null; items: Attribute[][];
}
interface Block { address: string; line: number; last: number; attributes: Attribute[] }
export type Bounds = [number, number, number, number];
export interface Figure { kind: 'box' | 'ellipse' | 'polygon' | 'outline'; numbers: number[]; path: string; bounds: Bounds }
export interface Entity {
  address: string; block: string; attribute: string; prompt: string; figure: Figure; tokens: number; cells: number[]; z: number; strength: number;
}
export type Point = [number, number];
export interface Key { frame: number; ease: string; curve: Point[] }
export interface Track {
  target: string; entity: string; block: string; way: 'keys' | 'path' | 'follow'; keys: Key[]; follow: string; ease: string; curve: Point[];
}
export interface Timeline { address: string; frames: number; fps: number; tracks: Track[] }
export interface Poses {
  version: string; every: number; frames: { figure: Figure; strength: number }[][]; tracks: { numbers: number[]; figure: Figure | null }[][];
}
export interface BlockSchema {
  type: string; what: string; repeated: boolean; arguments?: { name: string; required: boolean; what: string }[]; blocks?: BlockSchema[];
}
export interface Language {
  blocks: BlockSchema[]; functions: { name: string; call: string; what: string }[]; eases: { name: string; curve: Point[] }[];
}
export interface Render {
  address: string; block: string; width: number; height: number; token: number; latent: number; prompt: string; entities: Entity[];
  timeline: Timeline | null;
}
export interface Scene {
  serial: number; version: string; name: string; folder: string; text: string; readOnly: string; gone: boolean; undo: string; redo: string; outside: string;
  blocks: Block[]; renders: Render[]; stale: boolean; diagnostics: Diagnostic[];
}
interface Picture { url: string; current: boolean; began: string; seconds: number; figures: Record<string, Figure> }
export interface StageState { name: string; kind: string; cached: boolean; seconds: number }
interface Values {
  Render: string; Size: { W: number; H: number }; Seed: number; Steps: number; CFG: number; Guidance: number; Schedule: string; Model: string;
}
export interface Plan {
  version: string; problems: Diagnostic[]; failed: boolean; stages: StageState[]; missing: number; seconds: number; memory: number;
  changes: string[]; values: Values[]; pictures: Record<string, Picture>; frames: Record<string, string[]>;
}
export interface Preview { renders: string[]; stage: string; step: number; of: number; url: string }
export interface Run {
  running: boolean; queued: boolean; version: string; stage: string; kind: string; step: number; of: number; speed: number; done: number;
  stages: number; seconds: number; ended: string; stopped: boolean; problems: Diagnostic[]; previews: Preview[];
}
export interface Derived { block: string; attribute: string; slot: number; text: string; refs: string[] }
export interface Answer { state: Scene; error?: string; derived?: Derived }
export interface Dropped extends Answer { kind: 'picture' | 'layout'; format: string; why: string; ask: string[]; said: string[]; counts: number[] }
export interface Edit {
  kind: 'change' | 'text' | 'words' | 'restore' | 'format' | 'undo' | 'redo'; picture?: string; name?: string; changes?: Change[]; text?: string; base?: string; words?: string;
}
export interface Change {
  kind: 'numbers' | 'set' | 'unset' | 'add' | 'remove' | 'rename' | 'item' | 'additem' | 'removeitem' | 'addpoint' | 'removepoint'; item?: number; part?: string; block?: string; attribute?: string; numbers?: string[]; value?: string; quote?: boolean;
  replace?: boolean; text?: string;
}
export interface PastPicture {
  render: string; digest: string; url: string; clip: boolean; seed: number; width: number; height: number; changes: string[]; first: boolean;
  figures: Record<string, Figure>; entities: string[];
}
export interface PastRun {
  name: string; began: string; seconds: number; state: string; problem: string; kept: number; stages: number; made: PastPicture[];
}
export interface Comparison {
  sameSize: boolean; equal: boolean; psnr: number; differ: number; shares: { address: string; part: number }[]; elsewhere: number; changes: string[]; url: string;
}
