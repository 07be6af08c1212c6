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
