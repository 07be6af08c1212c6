// What can be written at a place of a scene's text, by the language's own declarations. Pure.
import type { BlockSchema, Language } from './types';

/** Where a place of the text is: in which blocks, and in the value of which argument; null is a comment. */
export interface Where { path: string[]; argument: string; string: boolean }

/** Reads a text up to an offset. */
export function whereIs(text: string, at: number): Where | null {
  const path: string[] = [];
  let line = '', depth = 0; // of brackets inside a value
  for (let i = 0; i < at;) {
    const c = text[i]!, rest = text.slice(i, i + 2);
    if (c === '#' || rest === '//') {
      const end = text.indexOf('\n', i);
      if (end < 0 || end >= at) return null;
      i = end;
    } else if (rest === '/*') {
      const end = text.indexOf('*/', i + 2);
      if (end < 0 || end + 2 > at) return null;
      i = end + 2;
    } else if (rest === '<<') {
      const mark = /^<<-?(\w+)\n/.exec(text.slice(i)), end = mark && new RegExp(`^[ \\t]*${mark[1]}[ \\t]*$`, 'm').exec(text.slice(i + mark[0].length));
      if (!mark || !end || i + mark[0].length + end.index >= at) return { path, argument: nameOf(line), string: true };
      i += mark[0].length + end.index + end[0].length;
    } else if (c === '"') {
      let j = i + 1;
      while (j < text.length && text[j] !== '"' && text[j] !== '\n') j += text[j] === '\\' ? 2 : 1;
      if (j >= at) return { path, argument: nameOf(line), string: true };
      line += text.slice(i, j + 1);
      i = j + 1;
    } else {
      if (c === '{' && depth === 0 && !line.includes('=')) {
        path.push(/[\w-]+/.exec(line)?.[0] ?? '');
        line = '';
      } else if ('{[('.includes(c)) {
        depth++;
      } else if (c === '}' && depth === 0) {
        path.pop();
        line = '';
      } else if ('}])'.includes(c)) {
        depth--;
      }
      if (c === '\n' && depth <= 0) line = '';
      else if (!(c === '{' && line === '')) line += c;
      i++;
    }
  }
  return { path, argument: nameOf(line), string: false };
}

const nameOf = (line: string): string => /^\s*([\w-]+)\s*=(?!=)/.exec(line)?.[1] ?? '';

/** The declaration of the innermost block of a path; null where there is none. */
export function declared(language: Language, path: string[]): BlockSchema | null {
  let list: BlockSchema[] | undefined = language.blocks, found: BlockSchema | null = null;
  for (const part of path) {
    found = list?.find(b => b.type === part) ?? null;
    if (!found) return null;
    list = found.blocks;
  }
  return found;
}

export interface Choice { label: string; kind: 'property' | 'type' | 'function' | 'variable' | 'enum'; apply: string; what: string }

/** What can be written there: arguments and blocks at the beginning of a line, functions and references in a value. */
export function choices(language: Language, addresses: string[], where: Where | null): Choice[] {
  if (!where) return [];
  const block = declared(language, where.path), words = (s: string) => s.replace(/`/g, '');
  if (where.string) {
    if (where.argument !== 'ease' && where.argument !== 'keys') return [];
    return language.eases.map(e => ({ label: e.name, kind: 'enum', apply: e.name, what: '' }));
  }
  if (where.argument === '') {
    const inner = where.path.length === 0 ? language.blocks : (block?.blocks ?? []);
    return [
      ...(block?.arguments ?? []).map((a): Choice => ({ label: a.name, kind: 'property', apply: `${a.name} = `, what: words(a.what) })),
      ...inner.map((b): Choice => ({ label: b.type, kind: 'type', apply: `${b.type} `, what: words(b.what) })),
    ];
  }
  const names = addresses.flatMap(a => {
    const m = /^(variable|entity|render|model|adapter|timeline)\.(.+)$/.exec(a);
    return m && !/\.(track|sampler|output)/.test(m[2]!) ? [m[1] === 'variable' ? `var.${m[2]}` : a] : [];
  });
  return [
    ...names.map((label): Choice => ({ label, kind: 'variable', apply: label, what: '' })),
    ...language.functions.map((f): Choice => ({ label: f.name, kind: 'function', apply: `${f.name}(`, what: `${f.call}\n${words(f.what)}` })),
  ];
}

/** What a word means there, or "". */
export function meaning(language: Language, where: Where | null, word: string): string {
  if (!where || where.string) return '';
  const found = choices(language, [], { ...where, argument: '' }).find(c => c.label === word) ?? choices(language, [], { ...where, argument: '?' }).find(c => c.label === word);
  return found?.what ?? '';
}
