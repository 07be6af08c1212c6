// The entities, and the settings of the render.
import { colour, letter } from './canvas';
import { assign } from './edits';
import { Area, Field } from './fields';
import { BlockForm, schemaOf } from './form';
import { Icon } from './icons';
import { useRef, useState } from 'preact/hooks';
import { attributeOf, get, send, set, shown, useApp, type State } from './store';
import type { Render } from './types';

export function Left() {
  const s = useApp(), r = shown(s);
  return (
    <aside class="left" aria-label="Scene" data-pane="left">
      <div class="head">
        <h2>Entities</h2><span class="dimmer small grow">{r?.entities.length ?? 0}</span>
        <button class="ib" aria-label="Add an entity: draw its box" title="Add an entity (B)" disabled={!!s.scene?.readOnly}
          onClick={() => set({ tool: 'box' })}><Icon name="plus" /></button>
      </div>
      {r && <List s={s} r={r} />}
      {r && r.entities.length === 0 && <p class="pad small dim">Draw a box on the canvas to add the first one.</p>}
      {r && <Settings s={s} r={r} />}
      {r && !s.scene?.readOnly && <Words />}
    </aside>
  );
}

/** Changes the scene by words. */
function Words() {
  const field = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const go = async () => {
    const words = field.current!.value.trim();
    if (!words || busy) return;
    setBusy(true);
    const answer = await send({ kind: 'words', name: words, words });
    setBusy(false);
    if (answer && !answer.error) field.current!.value = '';
  };
  return (
    <div class="words">
      <label class="l" for="words">Change by words</label>
      <div class="field">
        <input id="words" ref={field} placeholder="move the duck to the left" autocomplete="off" onKeyDown={e => e.key === 'Enter' && void go()} />
        <button class="ib" aria-label="Change the scene so" disabled={busy} onClick={() => void go()}><Icon name="right" /></button>
      </div>
    </div>
  );
}

export function toggle(list: 'hidden' | 'locked', address: string): void {
  const now = get()[list];
  set({ [list]: now.includes(address) ? now.filter(a => a !== address) : [...now, address] });
}

function List({ s, r }: { s: State; r: Render }) {
  const lines = new Map<string, { from: number; to: number }>();
  for (const b of s.scene?.blocks ?? []) lines.set(b.address, { from: b.line, to: b.last });
  const problem = (block: string) => {
    const at = lines.get(block);
    return at && s.scene?.diagnostics.some(d => d.source && d.source.line >= at.from && d.source.line <= at.to);
  };
  const step = (e: KeyboardEvent) => {
    const i = r.entities.findIndex(n => n.address === s.selected[0]), d = e.key === 'ArrowDown' ? 1 : e.key === 'ArrowUp' ? -1 : 0;
    const next = r.entities[Math.min(r.entities.length - 1, Math.max(0, i + d))];
    if (!d || !next) return;
    e.preventDefault();
    e.stopPropagation();
    set({ selected: [next.address], derived: null });
    (e.currentTarget as HTMLElement).querySelector<HTMLElement>(`[data-entity="${CSS.escape(next.address)}"]`)?.focus();
  };
  return (
    <ul class="ents" role="listbox" aria-label="Entities, in drawing order" aria-multiselectable="true" onKeyDown={step}>
      {r.entities.map((e, i) => {
        const on = s.selected.includes(e.address), hidden = s.hidden.includes(e.address), locked = s.locked.includes(e.address);
        const name = e.address.replace(/^entity\./, '');
        return (
          <li key={e.address} role="option" aria-selected={on} tabIndex={on || (i === 0 && s.selected.length === 0) ? 0 : -1} class="inset"
            data-entity={e.address}
            onClick={ev => set({ selected: ev.shiftKey ? [...s.selected, e.address] : [e.address], derived: null })}>
            <span class="sw" data-c={colour(i)}>{letter(i)}</span>
            <span class="clip"><span class="nm clip">{name}</span><span class="pr clip">{e.prompt}</span></span>
            <span class="n">
              {hidden && <Icon name="hidden" />}
              {locked && <Icon name="lock" />}
              {problem(e.block) && <Icon name="warning" tone="warn" />}
              <span title={`${e.tokens} image tokens`}>{e.tokens}<span class="vh"> tokens{hidden && ', hidden'}{locked && ', locked'}</span></span>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

/** What the file says of an attribute, or what the model takes. */
function Setting({ s, block, name, label, given, quoted }: {
  s: State; block: string; name: string; label: string; given: string; quoted?: boolean;
}) {
  const a = attributeOf(s, block, name), id = `set-${name}`;
  const value = !a ? '' : quoted && a.plain ? unquoted(a.text) : a.text;
  return (
    <>
      <label class="l" for={id}>{label}</label>
      <Field id={id} label={label} value={value} placeholder={given} soft={!a} worked={!!a && !a.plain} readOnly={!!s.scene?.readOnly}
        title={a && !a.plain ? `worked out: ${a.text}` : undefined}
        on={v => assign(block, name, v, quoted && v !== '')} />
    </>
  );
}

/** A string of HCL that is nothing else, as its characters. */
export function unquoted(text: string): string {
  if (text.startsWith('<<')) return text;
  try {
    return (JSON.parse(text) as string).replace(/\$\$\{/g, '${').replace(/%%\{/g, '%{');
  } catch {
    return text;
  }
}

/** All that can be said of a render, its inner blocks, the models, variables and timelines of the scene. */
function Blocks({ s, r }: { s: State; r: Render }) {
  const inner = (schemaOf(s, r.block)?.blocks ?? []).filter(b => !b.repeated && b.type !== 'dynamic');
  const others = (s.scene?.blocks ?? []).filter(b => /^(variable|model|adapter|timeline)\.[^.]+(\.[^.]+)?$/.test(b.address) && !b.address.includes('.track'));
  return (
    <>
      <BlockForm s={s} address={r.block} title="All of the render" skip={['prompt']} />
      {inner.map(b => <BlockForm key={b.type} s={s} address={`${r.block}.${b.type}`} title={b.type} />)}
      {others.map(b => <BlockForm key={b.address} s={s} address={b.address} title={b.address} open={b.address.startsWith('variable.')} />)}
    </>
  );
}

function Settings({ s, r }: { s: State; r: Render }) {
  const values = s.plan?.values.find(v => v.Render === r.address);
  const prompt = attributeOf(s, r.block, 'prompt'), worked = prompt !== null && !prompt.plain;
  const renders = s.scene?.renders ?? [];
  return (
    <div class="sec">
      <div class="head">
        <h2 class="grow">Render {renders.length === 1 && <span class="mono dim light">{r.address.replace(/^render\./, '')}</span>}</h2>
        {renders.length > 1 && (
          <div class="field choose">
            <select aria-label="Render that is shown" value={r.address} onChange={e => set({ render: e.currentTarget.value, selected: [] })}>
              {renders.map(n => <option key={n.address} value={n.address}>{n.address.replace(/^render\./, '')}</option>)}
            </select><Icon name="down" />
          </div>
        )}
      </div>
      <div class="pad stack">
        <label class="vh" for="prompt">Prompt of the whole picture</label>
        <Area id="prompt" rows={3} value={r.prompt.replace(/\n$/, '')} readOnly={!!s.scene?.readOnly || worked || !r.block}
          on={v => assign(r.block, 'prompt', v, true)} />
        {r.block && (
          <div class="kv">
            <Setting s={s} block={r.block} name="size" label="Size" given={`${r.width} × ${r.height}`} />
            <Setting s={s} block={r.block} name="seed" label="Seed" given={String(values?.Seed ?? 0)} />
            <Setting s={s} block={`${r.block}.sampler`} name="steps" label="Steps" given={String(values?.Steps ?? '')} />
            <Setting s={s} block={`${r.block}.sampler`} name="cfg" label="cfg" given={String(values?.CFG ?? '')} />
            <Setting s={s} block={r.block} name="negative" label="Negative" given="none" quoted />
            <Setting s={s} block={r.block} name="overlap" label="Overlap" given="blend" quoted />
          </div>
        )}
        {r.block && <Blocks s={s} r={r} />}
        <p class="small dimmer">Grey values are the model’s own; the file doesn’t set them.</p>
      </div>
    </div>
  );
}
