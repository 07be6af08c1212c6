// Colours for HCL in CodeMirror.
import { HighlightStyle, StreamLanguage, syntaxHighlighting, type StreamParser } from '@codemirror/language';
import { tags } from '@lezer/highlight';

interface Mode { heredoc: string; comment: boolean; start: boolean }

const roots = new Set(['var', 'local', 'each', 'count', 'entity', 'render', 'adapter', 'model', 'timeline', 'module', 'path', 'true', 'false', 'null', 'for', 'in', 'if']);

const parser: StreamParser<Mode> = {
  name: 'hcl',
  startState: () => ({ heredoc: '', comment: false, start: true }),
  token(stream, m) {
    if (stream.sol()) m.start = true;
    if (m.heredoc) {
      if (stream.sol() && stream.match(new RegExp(`^\\s*${m.heredoc}\\s*$`))) {
        m.heredoc = '';
        return 'string';
      }
      stream.skipToEnd();
      return 'string';
    }
    if (m.comment) {
      if (stream.skipTo('*/')) {
        stream.match('*/');
        m.comment = false;
      } else stream.skipToEnd();
      return 'comment';
    }
    if (stream.eatSpace()) return null;
    if (stream.match('/*')) {
      m.comment = true;
      return 'comment';
    }
    if (stream.match('//') || stream.match('#')) {
      stream.skipToEnd();
      return 'comment';
    }
    const doc = stream.match(/^<<-?(\w+)/) as RegExpMatchArray | null;
    if (doc) {
      m.heredoc = doc[1]!;
      return 'string';
    }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string';
    if (stream.match(/^\d+(?:\.\d+)?(?:e[+-]?\d+)?/i)) return 'number';
    const word = stream.match(/^[\p{L}_][\p{L}\p{N}_-]*/u) as RegExpMatchArray | null;
    if (word) {
      const first = m.start;
      m.start = false;
      if (stream.match(/^\s*\(/, false)) return 'function';
      if (first && stream.match(/^\s*(?:"[^"]*"\s*)*\{/, false)) return 'keyword';
      if (roots.has(word[0]) && (stream.peek() === '.' || /^(?:true|false|null|for|in|if)$/.test(word[0]))) return 'atom';
      return first ? 'name' : 'variable';
    }
    stream.next();
    m.start = false;
    return null;
  },
  languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', '"'] } },
  tokenTable: {
    string: tags.string, number: tags.number, comment: tags.comment, function: tags.function(tags.variableName), keyword: tags.keyword,
    atom: tags.atom, name: tags.propertyName, variable: tags.variableName,
  },
};

const style = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--hcl-key)', fontWeight: '600' },
  { tag: tags.atom, color: 'var(--hcl-key)' },
  { tag: tags.string, color: 'var(--hcl-str)' },
  { tag: tags.number, color: 'var(--hcl-num)' },
  { tag: tags.function(tags.variableName), color: 'var(--hcl-fn)' },
  { tag: tags.comment, color: 'var(--hcl-rem)', fontStyle: 'italic' },
]);

export const hcl = [StreamLanguage.define(parser), syntaxHighlighting(style)];
