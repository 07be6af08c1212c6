// Forms of blocks, made of the language's own declarations.
import { useState } from 'preact/hooks';
import { assign } from './edits';
import { Field } from './fields';
import { Icon } from './icons';
import { set, type State } from './store';
import type { BlockSchema } from './types';

/** What a block of an address may hold: "render.harbor.sampler" is a sampler in a render. */
export function schemaOf(s: State, address: string): BlockSchema | null {
  const parts = address.replace(/\[[^\]]*\]/g, '').split('.');
  let list = s.language?.blocks ?? [], found: BlockSchema | null = null;
  for (const [i, part] of parts.entries()) {
    const next: BlockSchema | undefined = list.find(b => b.type === part);
    if (!next) {
      if (i === 0) return null;
      continue; // a label
    }
    found = next;
    list = next.blocks ?? [];
  }
  return found;
}

/** All arguments of a block, those that are set first; mistakes stand below their field. */
export function BlockForm({ s, address, title, skip = [], open = false }: { s: State; address: string; title: string; skip?: string[]; open?: boolean }) {
  const [shown, setShown] = useState(open), schema = schemaOf(s, address), block = s.scene?.blocks.find(b => b.address === address);
  const list = schema?.arguments?.filter(a => !skip.includes(a.name)) ?? [];
  if (list.length === 0) return null;
  const given = (name: string) => block?.attributes.find(a => a.name === name);
  const wrong = (line: number | undefined) => (line ? s.scene?.diagnostics.filter(d => d.source?.line === line) : undefined) ?? [];
  const set_ = list.filter(a => given(a.name)).length;
  const faults = list.some(a => wrong(given(a.name)?.line).length > 0);
  return (
    <div class="form" data-form={address}>
      <button class="fold row" aria-expanded={shown || faults} onClick={() => setShown(!shown)}>
        <Icon name={shown || faults ? 'down' : 'right'} /><span class="grow">{title}</span><span class="small dimmer">{set_ ? `${set_} set` : ''}</span>
      </button>
      {(shown || faults) && list.map(a => {
        const now = given(a.name), id = `form-${address}-${a.name}`, faultsHere = wrong(now?.line);
        return (
          <div class="kv" key={a.name}>
            <label class="l clip" for={id} title={a.what.replace(/`/g, '')}>{a.name}</label>
            <div>
              <div class="row">
                <div class="grow"><Field id={id} label={a.name} value={now?.text ?? ''} placeholder={a.required ? 'needed' : '–'} soft={!now}
                  title={a.what.replace(/`/g, '')} readOnly={!!s.scene?.readOnly} worked={!!now && !now.plain && now.refs.length > 0} on={v => assign(address, a.name, v)} /></div>
                {now && <button class="ib" aria-label={`Go to ${a.name} in the text`} onClick={() => set({ goto: now.line })}><Icon name="link" /></button>}
              </div>
              {faultsHere.map(d => <p key={d.summary} class={`small ${d.severity === 'error' ? 'err' : 'warn'}`}>{d.summary}. {d.detail}</p>)}
            </div>
          </div>
        );
      })}
    </div>
  );
}
