// Fields that send what was typed when it is finished: Enter, or leaving the field. Escape puts back.
import { useEffect, useRef, useState } from 'preact/hooks';

/** What is typed, and the value it is of: one that changes meanwhile doesn't overwrite what is typed. */
function useTyped(value: string, on: (value: string) => void) {
  const [text, setText] = useState(value), typing = useRef(false);
  const latest = useRef(value); // what is typed, before it is drawn
  const sent = useRef(value); // its answer may not have come yet
  const put = (next: string) => {
    latest.current = next;
    setText(next);
  };
  useEffect(() => {
    sent.current = value;
    if (!typing.current) put(value);
  }, [value]);
  return {
    text,
    type(next: string) {
      typing.current = true;
      put(next);
    },
    finish() {
      if (typing.current && (latest.current !== value || latest.current !== sent.current)) on(sent.current = latest.current);
      typing.current = false;
    },
    leave() {
      typing.current = false;
      put(value);
    },
  };
}

interface FieldProps {
  id?: string; label: string; value: string; on: (value: string) => void;
  before?: string; after?: string; placeholder?: string; soft?: boolean; worked?: boolean; readOnly?: boolean; title?: string;
}

export function Field({ id, label, value, on, before, after, placeholder, soft, worked, readOnly, title }: FieldProps) {
  const typed = useTyped(value, v => on(v.trim()));
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'Enter') typed.finish();
    if (e.key === 'Escape') {
      typed.leave();
      (e.target as HTMLElement).blur();
    }
  };
  return (
    <div class={`field${soft ? ' soft' : ''}${worked ? ' fx' : ''}`} title={title}>
      {before && <span>{before}</span>}
      <input id={id} aria-label={id ? undefined : label} value={typed.text} placeholder={placeholder} readOnly={readOnly || worked} autocomplete="off"
        spellcheck={false} onInput={e => typed.type(e.currentTarget.value)} onBlur={typed.finish} onKeyDown={keys} />
      {worked && <span class="mono">fx</span>}
      {after && <span>{after}</span>}
    </div>
  );
}

export function Area({ id, value, on, readOnly, rows }: { id: string; value: string; on: (v: string) => void; readOnly?: boolean; rows: number }) {
  const typed = useTyped(value, on);
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) typed.finish();
    if (e.key === 'Escape') typed.leave();
  };
  return (
    <textarea id={id} rows={rows} value={typed.text} readOnly={readOnly} onInput={e => typed.type(e.currentTarget.value)} onBlur={typed.finish}
      onKeyDown={keys} />
  );
}
