// Times of keys as a scene writes them. Pure.

const plain = (n: number, digits: number) => String(Number(n.toFixed(digits)));

/** How a key's time is written, in the notation of the one before; null where that is worked out. */
export function timeText(before: string, frame: number, frames: number, fps: number): string | null {
  if (/^"\s*[\d.]+\s*%"$/.test(before)) return `"${plain((100 * frame) / Math.max(1, frames - 1), 2)}%"`;
  if (/^"[\d.]+ms"$/.test(before)) return `"${Math.round((1000 * frame) / fps)}ms"`;
  if (/^"[\d.]+s"$/.test(before)) return `"${plain(frame / fps, 3)}s"`;
  if (/^[\d.]+$/.test(before)) return plain(frame, 2);
  return null;
}

/** Where a key may go: between its neighbours, not on them. */
export function timeBetween(frame: number, before: number | undefined, after: number | undefined, last: number, whole: boolean): number {
  const gap = whole ? 1 : 0.05, f = whole ? Math.round(frame) : frame;
  const low = before === undefined ? 0 : Math.min(before + gap, last), high = after === undefined ? last : Math.max(after - gap, 0);
  return Math.max(low, Math.min(high, f));
}

/** A curve's points as an SVG path in a box of 1 by 1, with room for what overshoots. */
export function curvePath(points: [number, number][], width: number, height: number): string {
  return points.map(([x, y], i) => `${i ? 'L' : 'M'}${(x * width).toFixed(2)} ${((1 - y) * height).toFixed(2)}`).join('');
}

/** Seeds as people list them: "0..7", "1, 5, 9"; null where that is no list of at most 64. */
export function seedsOf(text: string): number[] | null {
  const out: number[] = [];
  for (const part of text.split(',')) {
    const m = /^\s*(\d{1,10})\s*(?:\.\.\s*(\d{1,10}))?\s*$/.exec(part);
    if (!m) return null;
    const from = Number(m[1]), to = m[2] === undefined ? from : Number(m[2]);
    if (to < from || to - from >= 64 || to > 0xffffffff) return null;
    for (let n = from; n <= to; n++) out.push(n);
  }
  return out.length > 0 && out.length <= 64 ? [...new Set(out)] : null;
}

/** A time of day, of a time as RFC 3339 writes it. */
export const timeOf = (t: string): string => new Date(t).toTimeString().slice(0, 5);

/** A day, as the list of runs heads it. */
export function dayOf(t: string, now = new Date()): string {
  const at = new Date(t), days = Math.round((Date.parse(now.toDateString()) - Date.parse(at.toDateString())) / 864e5);
  return days === 0 ? 'Today' : days === 1 ? 'Yesterday' : at.toLocaleDateString(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
}

/** A duration for people. */
export const secondsText = (t: number): string => (t < 9.95 ? `${t.toFixed(1)} s` : t < 90 ? `${Math.round(t)} s` : `${Math.round(t / 60)} min`);
