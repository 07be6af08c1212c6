// Fields that send what was typed when it is finished: Enter, or leaving the field. Escape puts back.
import { useEffect, useState } from 'preact/hooks';

interface FieldProps {
  id?: string; label: string; value: string; on: (value: string) => void;
  before?: string; after?: string; placeholder?: string; soft?: boolean; worked?: boolean; readOnly?: boolean; title?: string;
}

export function Field({ id, label, value, on, before, after, placeholder, soft, worked, readOnly, title }: FieldProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const finish = () => {
    if (text !== value) on(text.trim());
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'Enter') finish();
    if (e.key === 'Escape') {
      setText(value);
      (e.target as HTMLElement).blur();
    }
  };
  return (
    <div class={`field${soft ? ' soft' : ''}${worked ? ' fx' : ''}`} title={title}>
      {before && <span>{before}</span>}
      <input id={id} aria-label={id ? undefined : label} value={text} placeholder={placeholder} readOnly={readOnly || worked} autocomplete="off"
        spellcheck={false} onInput={e => setText(e.currentTarget.value)} onBlur={finish} onKeyDown={keys} />
      {worked && <span class="mono">fx</span>}
      {after && <span>{after}</span>}
    </div>
  );
}

export function Area({ id, value, on, readOnly, rows }: { id: string; value: string; on: (v: string) => void; readOnly?: boolean; rows: number }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const finish = () => {
    if (text !== value) on(text);
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) finish();
    if (e.key === 'Escape') setText(value);
  };
  return <textarea id={id} rows={rows} value={text} readOnly={readOnly} onInput={e => setText(e.currentTarget.value)} onBlur={finish} onKeyDown={keys} />;
}
