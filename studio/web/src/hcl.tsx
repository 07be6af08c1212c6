// The text of the scene: what is typed is saved, what others change is followed.
import { autocompletion, closeBrackets, type CompletionContext } from '@codemirror/autocomplete';
import { defaultKeymap, history, indentWithTab } from '@codemirror/commands';
import { bracketMatching, indentUnit } from '@codemirror/language';
import { lintGutter, setDiagnostics, type Diagnostic as Squiggle } from '@codemirror/lint';
import { Annotation, EditorState, Compartment, RangeSetBuilder, StateEffect, StateField, type Text } from '@codemirror/state';
import { Decoration, EditorView, drawSelection, hoverTooltip, keymap, lineNumbers, type DecorationSet } from '@codemirror/view';
import { useEffect, useRef, useState } from 'preact/hooks';
import { colour } from './canvas';
import { choices, meaning, whereIs } from './complete';
import { hcl } from './hcl-language';
import { Icon } from './icons';
import { get, send, set, shown, useApp, type State } from './store';
import { hunk, merged } from './text';
import type { Diagnostic } from './types';

const ours = Annotation.define<boolean>(); // a change that the page makes, not somebody's keys

/** Lines that belong to entities, those of the selected ones, and those that differ from the picture's text. */
interface Marks { colours: Map<number, number>; chosen: Set<number> }
const setMarks = StateEffect.define<Marks>();
const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(value, tr) {
    value = value.map(tr.changes);
    for (const e of tr.effects) if (e.is(setMarks)) value = decorated(tr.state.doc, e.value);
    return value;
  },
  provide: f => EditorView.decorations.from(f),
});

function decorated(doc: Text, m: Marks): DecorationSet {
  const b = new RangeSetBuilder<Decoration>();
  for (let n = 1; n <= doc.lines; n++) {
    const c = m.colours.get(n);
    if (c === undefined && !m.chosen.has(n)) continue;
    const attributes: Record<string, string> = { class: `${c === undefined ? '' : 'owned'}${m.chosen.has(n) ? ' in' : ''}` };
    if (c !== undefined) attributes['data-c'] = String(c);
    const at = doc.line(n).from;
    b.add(at, at, Decoration.line({ attributes }));
  }
  return b.finish();
}

/** What was typed and isn't saved yet; while it is on its way, what others write waits for the answer. */
let base = '', pending = 0, typed = false, saving = false;

export function Hcl() {
  const s = useApp();
  const box = useRef<HTMLDivElement>(null), view = useRef<EditorView | null>(null), locked = useRef(new Compartment());
  const [conflict, showConflict] = useState<{ mine: string } | null>(null);
  const setConflict = (c: { mine: string } | null) => {
    showConflict(c);
    set({ conflict: c !== null });
  };
  const save = async () => {
    const v = view.current!;
    if (!typed || saving) return;
    const text = v.state.doc.toString();
    typed = false;
    saving = true;
    const answer = await send({ kind: 'text', name: 'type', text, base: versionOf(base) });
    saving = false;
    if (answer?.error && answer.state.text !== base) return joinOr(answer.state.text, v.state.doc.toString());
    if (!answer || answer.error) {
      typed = true; // the next key tries again
      return;
    }
    base = text;
    follow(v, get(), joinOr);
    if (typed) void save();
  };
  saveNow = save;
  const joinOr = (theirs: string, mine: string) => {
    const both = merged(base, mine, theirs);
    base = theirs;
    if (both === null) return setConflict({ mine });
    put(view.current!, both);
    typed = true;
    void save();
  };
  useEffect(() => {
    view.current = editor(box.current!, locked.current, () => {
      typed = true;
      clearTimeout(pending);
      pending = window.setTimeout(() => void save(), 300);
    });
    return () => view.current?.destroy();
  }, []);
  useEffect(() => follow(view.current, s, joinOr), [s.scene?.version]);
  useEffect(() => {
    if (view.current) preview(view.current, s);
  }, [s.drag]);
  useEffect(() => {
    view.current?.dispatch({ effects: locked.current.reconfigure(EditorState.readOnly.of(!!s.scene?.readOnly)) });
  }, [s.scene?.readOnly]);
  useEffect(() => {
    if (view.current && s.scene) paint(view.current, s);
  }, [s.scene, s.selected, s.render]);
  useEffect(() => {
    const r = shown(s), e = r?.entities.find(n => n.address === s.selected[0]);
    const b = e && s.scene?.blocks.find(n => n.address === e.block);
    if (b && view.current && !view.current.hasFocus) reveal(view.current, b.line);
  }, [s.selected]);
  useEffect(() => {
    if (!s.goto || !view.current) return;
    reveal(view.current, s.goto, true);
    set({ goto: 0 });
  }, [s.goto]);
  const settle = (mine: boolean) => {
    const text = mine ? conflict!.mine : get().scene!.text;
    setConflict(null);
    base = get().scene!.text;
    put(view.current!, text);
    typed = mine;
    void save();
  };
  return (
    <aside class="hcl" aria-label={s.scene?.name} data-pane="hcl">
      <div class="head"><h2 class="grow clip">{s.scene?.name}</h2><Changed s={s} /></div>
      {conflict && (
        <div class="strip" role="alert" key="conflict">
          <Icon name="warning" tone="warn" /><span class="grow"><b>The same lines were changed on disk and here.</b> Nothing is saved until you choose.</span>
          <span class="row acts"><button class="btn low" onClick={() => settle(true)}>Keep mine</button>
            <button class="btn low" onClick={() => settle(false)}>Take the file’s</button></span>
        </div>
      )}
      {!conflict && !!s.scene?.outside && (
        <div class="strip a" role="status" key="outside"><Icon name="file" tone="acc" /><span class="grow">{s.scene.outside}</span>
          <button class="btn low bare" onClick={() => void send({ kind: 'undo' })}>Undo</button></div>
      )}
      <div class="code" key="code" ref={box} />
      <Problems s={s} />
    </aside>
  );
}

function Changed({ s }: { s: State }) {
  const changes = s.plan?.changes.filter(c => !c.endsWith(': new')) ?? [], n = changes.length;
  if (s.scene?.gone) return <span class="small err">The file is gone; the next change writes it again.</span>;
  if (!n || s.plan?.failed) return null;
  return <span class="small dimmer" title={changes.join('\n')}>{n === 1 ? '1 change' : `${n} changes`} since the last run</span>;
}

function versionOf(text: string): string {
  const s = get().scene;
  return s && s.text === text ? s.version : 'outdated';
}

/** Saves what is typed, and formats the text. */
let saveNow: () => Promise<void> = async () => {};
export async function format(): Promise<void> {
  await saveNow();
  await send({ kind: 'format', name: 'format' });
}

const completion = autocompletion({
  override: [(c: CompletionContext) => {
    const { language, scene } = get(), word = c.matchBefore(/[\p{L}\p{N}_.-]*/u);
    if (!language || !word || (word.from === word.to && !c.explicit)) return null;
    const list = choices(language, scene?.blocks.map(b => b.address) ?? [], whereIs(c.state.doc.toString(), word.from));
    return list.length ? { from: word.from, options: list.map(o => ({ label: o.label, type: o.kind, apply: o.apply, info: o.what || undefined })) } : null;
  }],
});

const hover = hoverTooltip((v, pos) => {
  const { language } = get(), word = v.state.wordAt(pos);
  const what = language && word ? meaning(language, whereIs(v.state.doc.toString(), word.from), v.state.sliceDoc(word.from, word.to)) : '';
  if (!word || !what) return null;
  const dom = document.createElement('div');
  dom.className = 'meaning';
  dom.textContent = what;
  return { pos: word.from, end: word.to, create: () => ({ dom }) };
});

function editor(parent: HTMLElement, locked: Compartment, on: () => void): EditorView {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name=nonce]')?.content ?? '';
  return new EditorView({
    parent,
    state: EditorState.create({
      extensions: [
        EditorView.cspNonce.of(nonce), lineNumbers(), history({ minDepth: 0 }), drawSelection(), bracketMatching(), closeBrackets(), completion, hover, indentUnit.of('  '), hcl, marks,
        lintGutter({ hoverTime: 0 }), locked.of(EditorState.readOnly.of(false)), EditorView.contentAttributes.of({ 'aria-label': 'Text of the scene', tabindex: '0' }),
        keymap.of([
          { key: 'Mod-z', run: () => (void send({ kind: 'undo' }), true) },
          { key: 'Mod-s', preventDefault: true, run: () => (void format(), true) },
          { key: 'Mod-y', run: () => (void send({ kind: 'redo' }), true) }, { key: 'Mod-Shift-z', run: () => (void send({ kind: 'redo' }), true) },
          ...defaultKeymap.filter(k => k.key !== 'Mod-Enter'), { ...indentWithTab, key: 'Tab' },
        ]),
        EditorView.updateListener.of(u => {
          if (u.docChanged && !u.transactions.some(t => t.annotation(ours))) on();
          if (u.selectionSet && u.view.hasFocus && !u.docChanged) choose(u.state);
        }),
      ],
    }),
  });
}

/** Selects the entity in whose block the cursor is. */
function choose(state: EditorState): void {
  const line = state.doc.lineAt(state.selection.main.head).number, s = get();
  const b = s.scene?.blocks.find(n => n.address.startsWith('entity.') && line >= n.line && line <= n.last);
  const e = b && shown(s)?.entities.find(n => n.block === b.address);
  if (e && s.selected[0] !== e.address) set({ selected: [e.address], derived: null });
}

/** Makes the pane show a text, by the smallest change. */
function put(v: EditorView, text: string): void {
  const h = hunk(v.state.doc.toString(), text);
  if (h) v.dispatch({ changes: { from: h.from, to: h.to, insert: h.with }, annotations: ours.of(true) });
}

/** Takes over the text that the server has. */
function follow(v: EditorView | null, s: State, join: (theirs: string, mine: string) => void): void {
  if (!v || !s.scene || saving) return;
  if (typed && s.scene.text !== base) return join(s.scene.text, v.state.doc.toString());
  if (typed) return;
  base = s.scene.text;
  put(v, base);
}

/** Shows the numbers of a drag in the text, as they would be saved. */
function preview(v: EditorView, s: State): void {
  if (!s.scene || typed || saving) return;
  if (!s.drag) return put(v, s.scene.text);
  const changes: { from: number; to: number; with: string }[] = [];
  for (const t of s.drag.texts) {
    const shape = s.scene.blocks.find(b => b.address === t.block)?.attributes.find(a => a.name === t.attribute)?.shape;
    t.numbers.forEach((n, i) => {
      const slot = shape?.slots[i];
      if (n !== '' && slot) changes.push({ from: slot.from, to: slot.to, with: n });
    });
  }
  let text = s.scene.text;
  for (const c of changes.sort((a, b) => b.from - a.from)) text = text.slice(0, c.from) + c.with + text.slice(c.to);
  put(v, text);
}

/** Colours the blocks of entities, and underlines what is wrong. */
function paint(v: EditorView, s: State): void {
  const colours = new Map<number, number>(), chosen = new Set<number>(), r = shown(s);
  r?.entities.forEach((e, i) => {
    const b = s.scene!.blocks.find(n => n.address === e.block);
    for (let n = b?.line ?? 1; b && n <= b.last; n++) {
      if (!colours.has(n)) colours.set(n, colour(i));
      if (s.selected.includes(e.address)) chosen.add(n);
    }
  });
  v.dispatch({ effects: setMarks.of({ colours, chosen }) });
  v.dispatch(setDiagnostics(v.state, s.scene!.diagnostics.flatMap(d => squiggle(v.state.doc, d))));
}

function squiggle(doc: Text, d: Diagnostic): Squiggle[] {
  if (!d.source || d.source.line < 1 || d.source.line > doc.lines) return [];
  const line = doc.line(d.source.line), from = Math.min(line.from + d.source.start, line.to);
  return [{ from, to: Math.min(line.from + d.source.end, line.to), severity: d.severity, message: `${d.summary}\n${d.detail ?? ''}` }];
}

function reveal(v: EditorView, line: number, focus = false): void {
  const at = v.state.doc.line(Math.min(Math.max(1, line), v.state.doc.lines)).from;
  v.dispatch({ effects: EditorView.scrollIntoView(at, { y: 'center' }), ...(focus ? { selection: { anchor: at } } : {}) });
  if (focus) v.focus();
}

function Problems({ s }: { s: State }) {
  const [at, setAt] = useState(0);
  const list = [...(s.scene?.diagnostics ?? [])];
  for (const d of s.plan?.version === s.scene?.version ? (s.plan?.problems ?? []) : []) {
    if (!list.some(n => n.summary === d.summary && n.detail === d.detail)) list.push(d);
  }
  list.sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'));
  const d = list[Math.min(at, list.length - 1)];
  if (!d) return null;
  const bad = d.severity === 'error', n = Math.min(at, list.length - 1);
  const here = d.source && s.scene!.text.split(/\r?\n/)[d.source.line - 1] === d.source.code; // the whole line, of this file
  const fix = /Did you mean "([^"]+)"\?/.exec(d.detail ?? '')?.[1], wrong = d.source?.code.slice(d.source.start, d.source.end);
  const mend = () => {
    const lines = s.scene!.text.split('\n'), i = d.source!.line - 1;
    lines[i] = lines[i]!.slice(0, d.source!.start) + fix! + lines[i]!.slice(d.source!.end);
    void send({ kind: 'text', name: `change to ${fix}`, text: lines.join('\n'), base: s.scene!.version });
  };
  return (
    <div class="diag" role={bad ? 'alert' : 'status'}>
      <Icon name={bad ? 'error' : 'warning'} tone={bad ? 'err' : 'warn'} /><b class="small">{d.summary}</b>
      <span class="small dimmer num">{list.length > 1 && `${n + 1} of ${list.length}`}{d.source && `${list.length > 1 ? ', ' : ''}${d.source.line}:${[...d.source.code.slice(0, d.source.start)].length + 1}`}</span>
      <p>{d.detail}</p>
      <div class="row">
        {d.source && <button class="btn low" onClick={() => set({ goto: d.source!.line })}>Go to it</button>}
        {fix && wrong && here && /^"?[\w-]+"?$/.test(wrong) && !s.scene?.readOnly && <button class="btn low" onClick={mend}>Change to {fix}</button>}
        {list.length > 1 && <button class="btn low bare" onClick={() => setAt((n + 1) % list.length)}>Next</button>}
      </div>
    </div>
  );
}
