// The properties of the entity that is selected.
import { colour, figureNow, letter } from './canvas';
import { aim, align, assign, commit, duplicate, fitted, remove, rename, replaceDerived } from './edits';
import { Field } from './fields';
import { BlockForm } from './form';
import { numberText, shapeNumbers } from './geometry';
import { Icon } from './icons';
import { toggle, unquoted } from './left';
import { attributeOf, only, set, shown, useApp, type State } from './store';
import type { Bounds, Derived, Entity, Render } from './types';

export function Props() {
  const s = useApp(), r = shown(s), e = only(s);
  if (!r || !e) {
    const n = s.selected.length;
    return (
      <aside class="props" aria-label="Properties" data-pane="props">
        <div class="head"><h2>{n > 1 ? `${n} entities` : 'Properties'}</h2></div>
        <p class="pad small dim">{n > 1 ? 'Drag or nudge them together. Delete removes them.' : 'Select a region on the canvas, or draw one.'}</p>
        {n > 1 && <Align fixed={!!s.scene?.readOnly} />}
        {s.derived && !n && <Held s={s} d={s.derived} />}
      </aside>
    );
  }
  const i = r.entities.indexOf(e), fixed = !!s.scene?.readOnly || !e.block;
  return (
    <aside class="props" aria-label={`Properties of ${e.address}`} data-pane="props">
      <div class="head">
        <span class="sw" data-c={colour(i)}>{letter(i)}</span><h2 class="grow clip"><span class="mono strong">{e.address}</span></h2>
        <button class="ib" aria-label="Hide" title="Hide (H)" aria-pressed={s.hidden.includes(e.address)} onClick={() => toggle('hidden', e.address)}>
          <Icon name={s.hidden.includes(e.address) ? 'hidden' : 'eye'} /></button>
        <button class="ib" aria-label="Lock" title="Lock (L)" aria-pressed={s.locked.includes(e.address)} onClick={() => toggle('locked', e.address)}>
          <Icon name={s.locked.includes(e.address) ? 'lock' : 'unlock'} /></button>
        <button class="ib" aria-label="Duplicate" title="Duplicate (ctrl D)" disabled={fixed || e.figure.kind === 'outline'}
          onClick={() => void duplicate()}><Icon name="copy" /></button>
        <button class="ib" aria-label="Delete" title="Delete (Del)" disabled={fixed} onClick={() => void remove()}><Icon name="trash" /></button>
      </div>
      <div class="body">
        <PromptRow s={s} e={e} fixed={fixed} />
        {e.block && (
          <div class="kv">
            <label class="l" for="entity-name">Name</label>
            <Field id="entity-name" label="Name" value={e.block.replace(/^entity\./, '')} readOnly={fixed} on={v => void rename(e, v)} />
          </div>
        )}
        <Place s={s} r={r} e={e} fixed={fixed} />
        <NumberRow s={s} e={e} name="strength" label="Strength" given="1" fixed={fixed} />
        <NumberRow s={s} e={e} name="z" label="z" given="0" fixed={fixed} note={'for overlap "over" and "layered"'} />
        {(attributeOf(s, r.block, 'overlap')?.text === '"layered"' || attributeOf(s, e.block, 'opacity')) && <NumberRow s={s} e={e} name="opacity" label="Opacity" given="1" fixed={fixed} />}
        {e.block && <BlockForm s={s} address={e.block} title="All of the entity" />}
        {!e.block && <p class="small dim">This entity comes from a module: change it there.</p>}
        {s.derived && <Held s={s} d={s.derived} />}
      </div>
    </aside>
  );
}

const edges: [0 | 1, 0 | 0.5 | 1, string][] = [
  [0, 0, 'Left'], [0, 0.5, 'Middle'], [0, 1, 'Right'], [1, 0, 'Top'], [1, 0.5, 'Centre'], [1, 1, 'Bottom'],
];

function Align({ fixed }: { fixed: boolean }) {
  return (
    <div class="pad">
      <span class="l">Align</span>
      <div class="grid3" role="group" aria-label="Align">
        {edges.map(([axis, where, words]) => <button key={words} class="btn low" disabled={fixed} onClick={() => align(axis, where)}>{words}</button>)}
      </div>
    </div>
  );
}

function PromptRow({ s, e, fixed }: { s: State; e: Entity; fixed: boolean }) {
  const a = attributeOf(s, e.block, 'prompt');
  return (
    <div class="kv">
      <label class="l" for="entity-prompt">Prompt</label>
      <Field id="entity-prompt" label="Prompt" value={a?.plain ? unquoted(a.text) : e.prompt} worked={!!a && !a.plain} readOnly={fixed}
        title={a && !a.plain ? `worked out: ${a.text}` : undefined} on={v => assign(e.block, 'prompt', v, true)} />
    </div>
  );
}

const places = ['X', 'Y', 'W', 'H'];

function Place({ s, r, e, fixed }: { s: State; r: Render; e: Entity; fixed: boolean }) {
  const a = attributeOf(s, e.block, e.attribute), f = figureNow(s, e);
  const [x0, y0, x1, y1] = f.bounds, box = [x0, y0, x1 - x0, y1 - y0];
  const w = Math.round((x1 - x0) * r.width), h = Math.round((y1 - y0) * r.height), share = (100 * e.tokens) / ((r.width * r.height) / r.token ** 2);
  const whole = !a?.shape; // worked out as a whole
  const change = (i: number, text: string) => {
    const v = Number(text);
    if (text === '' || !Number.isFinite(v)) return set({ message: `${places[i]} must be a number.` });
    const b = [...box];
    b[i] = v;
    const wanted = fitted(e.figure, [b[0]!, b[1]!, b[0]! + b[2]!, b[1]! + b[3]!] as Bounds);
    void commit(() => [[e, aim(e, r, wanted)]], i < 2 ? 'move' : 'resize');
  };
  return (
    <>
      <div class="kv">
        <span class="l t">Place</span>
        <div class="grid2">
          {box.map((v, i) => (
            <Field key={i} label={places[i]!} before={places[i]} value={shownNumber(v, i % 2 ? r.height : r.width)} readOnly={fixed}
              worked={whole || isWorked(a?.shape ?? null, i)} on={t => change(i, t)} />
          ))}
        </div>
      </div>
      <div class="kv">
        <span />
        <p class="small dimmer num">
          {w} × {h} px, {e.tokens} {e.tokens === 1 ? 'token' : 'tokens'} ({share < 10 ? share.toFixed(1) : Math.round(share)} %).
          {a && <> Written as <span class="mono tiny">{a.shape ? (a.shape.pixels ? `px(${a.shape.call})` : a.shape.call) : 'an expression'}</span>.</>}
        </p>
      </div>
      {whole && a && <Held s={s} d={{ block: e.block, attribute: a.name, slot: -1, text: a.text, refs: a.refs }} />}
    </>
  );
}

const shownNumber = (v: number, side: number) => numberText(v, side, '.00');

/** Reports whether a number of the place hangs on one that is worked out. */
function isWorked(shape: { call: string; slots: { plain: boolean }[] } | null, i: number): boolean {
  if (!shape) return true;
  const fixed = (n: number) => shape.slots[n]?.plain === false;
  if (shape.call === 'xywh' || shape.call === 'xyxy') return fixed(i);
  return shape.slots.some((_, n) => fixed(n));
}

function NumberRow({ s, e, name, label, given, fixed, note }: {
  s: State; e: Entity; name: string; label: string; given: string; fixed: boolean; note?: string;
}) {
  const a = attributeOf(s, e.block, name), id = `entity-${name}`;
  return (
    <div class="kv">
      <label class="l" for={id}>{label}</label>
      <div class="row">
        <div class="short">
          <Field id={id} label={label} value={a?.text ?? ''} placeholder={given} soft={!a} worked={!!a && !a.plain} readOnly={fixed}
            on={v => assign(e.block, name, v)} />
        </div>
        {note && <span class="small dimmer clip">{note}</span>}
      </div>
    </div>
  );
}

/** What people call the numbers of shapes. */
const names: Record<string, string[]> = {
  xywh: ['X', 'Y', 'The width', 'The height'], xyxy: ['The left edge', 'The upper edge', 'The right edge', 'The lower edge'],
  cxcywh: ['The middle’s X', 'The middle’s Y', 'The width', 'The height'],
  ellipse: ['The middle’s X', 'The middle’s Y', 'The radius across', 'The radius down'],
};

/** Says what a value hangs on, and offers to go there or to replace it. */
function Held({ s, d }: { s: State; d: Derived }) {
  const r = shown(s), e = r?.entities.find(n => n.block === d.block), a = attributeOf(s, d.block, d.attribute);
  const target = d.refs.map(ref => targetOf(s, ref)).find(t => t !== null) ?? null;
  let value = '';
  if (r && e && a?.shape && d.slot >= 0) {
    const n = shapeNumbers(a.shape.call, a.shape.pixels, e.figure, r.width, r.height)[d.slot] ?? 0;
    value = numberText(n, a.shape.pixels ? 1 : d.slot % 2 ? r.height : r.width, '.00');
  }
  const named = a?.shape && d.slot >= 0 && a.shape.call !== 'polygon' ? (names[a.shape.call]?.[d.slot] ?? '') : '';
  const each = d.refs.some(ref => ref.startsWith('each') || ref.startsWith('count'));
  const many = each ? (r?.entities.filter(n => n.block === d.block).length ?? 0) : 0;
  return (
    <div class="fxbox" role="status">
      <div class="row small">
        <Icon name="link" />
        <span>
          {named !== '' && <>{named} is </>}<span class="mono">{d.text || d.attribute}</span>
          {d.refs.length > 0 && d.refs[0] !== d.text ? <>, worked out from <span class="mono">{d.refs.join(', ')}</span></> : d.refs.length ? '' : ', worked out'}.
          {many > 1 && ` It is shared by ${many} entities.`}
        </span>
      </div>
      {target?.attribute && target.attribute.plain && (
        <div class="row">
          <label class="mono" for="held-value">{target.ref}</label>
          <div class="short">
            <Field id="held-value" label={target.ref} value={target.attribute.text} readOnly={!!s.scene?.readOnly}
              on={v => assign(target.block, target.attribute!.name, v)} />
          </div>
        </div>
      )}
      <div class="row">
        {target && <button class="btn low" onClick={() => set({ goto: target.line })}>Go to it</button>}
        {value !== '' && !s.scene?.readOnly && (
          <button class="btn low" onClick={() => void replaceDerived(d, value)}>Replace by {value}, here only</button>
        )}
      </div>
    </div>
  );
}

/** Where a reference leads to in the text. */
function targetOf(s: State, ref: string) {
  const [root = '', name = ''] = ref.split('.');
  const blocks = s.scene?.blocks ?? [];
  if (root === 'var') {
    const b = blocks.find(n => n.address === `variable.${name}`), a = b?.attributes.find(n => n.name === 'default');
    return b ? { ref, block: b.address, attribute: a ?? null, line: a?.line ?? b.line } : null;
  }
  if (root === 'local') {
    for (const b of blocks) {
      const a = b.address === 'locals' ? b.attributes.find(n => n.name === name) : undefined;
      if (a) return { ref, block: b.address, attribute: a, line: a.line };
    }
    return null;
  }
  const b = blocks.find(n => n.address === `${root}.${name}`);
  return b ? { ref, block: b.address, attribute: null, line: b.line } : null;
}
