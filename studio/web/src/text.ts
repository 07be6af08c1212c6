// Changes of texts. Pure.

interface Hunk { from: number; to: number; with: string }

/** The one part of a text that has to be replaced to make it another. */
export function hunk(a: string, b: string): Hunk | null {
  if (a === b) return null;
  let head = 0;
  const most = Math.min(a.length, b.length);
  while (head < most && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return { from: head, to: a.length - tail, with: b.slice(head, b.length - tail) };
}

/** Joins two changes of a text, line by line; null where they touch the same lines. */
export function merged(base: string, mine: string, theirs: string): string | null {
  if (mine === theirs) return mine;
  const a = hunk(base, mine), b = hunk(base, theirs);
  if (!a) return theirs;
  if (!b) return mine;
  const wide = (h: Hunk): [number, number] => {
    const from = base.lastIndexOf('\n', h.from - 1) + 1;
    const to = h.to > h.from && base[h.to - 1] === '\n' ? h.to : base.indexOf('\n', h.to);
    return [from, to < 0 ? base.length : to];
  };
  const [a0, a1] = wide(a), [b0, b1] = wide(b);
  if (!(a1 < b0 || b1 < a0)) return null;
  const [first, second] = a0 < b0 ? [a, b] : [b, a];
  return base.slice(0, first.from) + first.with + base.slice(first.to, second.from) + second.with + base.slice(second.to);
}

/** A name for an entity with a prompt, which no block has yet. */
export function nameOf(prompt: string, taken: (name: string) => boolean): string {
  const words = prompt.toLowerCase().normalize('NFKD').replace(/[^a-z0-9 ]/g, '').split(' ');
  const skipped = new Set(['a', 'an', 'the', 'of', 'with', 'and', 'in', 'on']);
  const stem = words.filter(w => w && !skipped.has(w)).slice(0, 3).join('_').replace(/^(?=\d)/, 'e') || 'entity';
  if (!taken(stem)) return stem;
  for (let n = 2; ; n++) if (!taken(`${stem}_${n}`)) return `${stem}_${n}`;
}

/** A string as HCL writes it. */
export function quote(s: string): string {
  return JSON.stringify(s).replace(/[$%]\{/g, s => s[0] + s);
}
