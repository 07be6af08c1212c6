// Geometry of regions in fractions of the canvas. Pure: tests call it with what Go's region code gives.
import type { Bounds, Figure } from './types';

/** The numbers of a box in a function's notation. */
export function boxNumbers(call: string, [x0, y0, x1, y1]: Bounds): number[] {
  switch (call) {
    case 'xyxy': return [x0, y0, x1, y1];
    case 'cxcywh': return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0];
    case 'ellipse': return [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2];
    default: return [x0, y0, x1 - x0, y1 - y0];
  }
}

/** The box that a function's numbers make. */
export function numbersBox(call: string, n: number[]): Bounds {
  const [a = 0, b = 0, c = 0, d = 0] = n;
  switch (call) {
    case 'xyxy': return [a, b, c, d];
    case 'cxcywh': return [a - c / 2, b - d / 2, a + c / 2, b + d / 2];
    case 'ellipse': return [a - c, b - d, a + c, b + d];
    default: return [a, b, a + c, b + d];
  }
}

/** The box around points. */
export function around(points: number[]): Bounds {
  const b: Bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < points.length; i += 2) {
    const x = points[i]!, y = points[i + 1]!;
    b[0] = Math.min(b[0], x); b[1] = Math.min(b[1], y); b[2] = Math.max(b[2], x); b[3] = Math.max(b[3], y);
  }
  return b;
}

/** A number as text: as few decimals as keep it within a fiftieth of a pixel, and no fewer than the text of before. */
export function numberText(value: number, pixels: number, before = ''): string {
  const least = /\.(\d+)$/.exec(before)?.[1]?.length ?? 0;
  for (let digits = least; digits < 9; digits++) {
    const text = value.toFixed(digits);
    if (Math.abs(Number(text) - value) * pixels <= 0.02) return Number(text) === 0 && least === 0 ? '0' : text.replace(/^-(0(\.0*)?)$/, '$1');
  }
  return String(value);
}

/** Moves the edges of a box that a handle holds: hx and hy are 0, ½ or 1 of its width and height. It never turns inside out. */
export function resized(b: Bounds, hx: number, hy: number, x: number, y: number, least: [number, number]): Bounds {
  const out: Bounds = [...b];
  if (hx === 0) out[0] = Math.min(x, b[2] - least[0]);
  if (hx === 1) out[2] = Math.max(x, b[0] + least[0]);
  if (hy === 0) out[1] = Math.min(y, b[3] - least[1]);
  if (hy === 1) out[3] = Math.max(y, b[1] + least[1]);
  return out;
}

export interface Snap { value: number; at: number | null }

/** Snaps a value to the nearest of a grid and of lines, if one is within reach. */
export function snapped(value: number, grid: number, lines: number[], reach: number): Snap {
  let best = Infinity, at: number | null = null;
  for (const line of [Math.round(value / grid) * grid, ...lines]) {
    const d = Math.abs(line - value);
    if (d < best - 1e-12 && d <= reach) { best = d; at = line; }
  }
  return { value: at ?? value, at };
}

/** Reports whether a point is in a figure; an outline counts as its bounds. */
export function inside(f: Figure, x: number, y: number): boolean {
  const n = f.numbers;
  switch (f.kind) {
    case 'ellipse': {
      const u = (x - n[0]!) / n[2]!, v = (y - n[1]!) / n[3]!;
      return u * u + v * v <= 1;
    }
    case 'polygon': {
      let is = false;
      for (let i = 0, j = n.length - 2; i + 1 < n.length; j = i, i += 2) {
        const xi = n[i]!, yi = n[i + 1]!, xj = n[j]!, yj = n[j + 1]!;
        if ((yi > y) !== (yj > y) && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
      }
      return is;
    }
    default: {
      const [x0, y0, x1, y1] = f.bounds;
      return x >= x0 && x < x1 && y >= y0 && y < y1;
    }
  }
}

/** A polygon turned clockwise around the mean of its points, on a canvas of pixels: nothing is sheared. */
export function turned(numbers: number[], degrees: number, width: number, height: number): number[] {
  const n = numbers.length / 2, a = (degrees * Math.PI) / 180, sin = Math.sin(a), cos = Math.cos(a);
  let cx = 0, cy = 0;
  numbers.forEach((v, i) => (i % 2 ? (cy += (v * height) / n) : (cx += (v * width) / n)));
  return numbers.map((_, i) => {
    const k = i - (i % 2), x = numbers[k]! * width - cx, y = numbers[k + 1]! * height - cy;
    return i % 2 ? (cy + x * sin + y * cos) / height : (cx + x * cos - y * sin) / width;
  });
}

/** The figure of a box, an ellipse or a polygon by its numbers. */
export function figure(kind: Figure['kind'], numbers: number[]): Figure {
  const bounds = kind === 'ellipse' ? numbersBox('ellipse', numbers) : kind === 'polygon' ? around(numbers) : (numbers as Bounds);
  return { kind, numbers, path: '', bounds };
}

/** The canvas that tokens are counted on: its size, and the sides of a token and a latent, in pixels. */
export interface Canvas { width: number; height: number; token: number; latent: number }

/** The image tokens that a figure covers, as eligen counts them: a latent looks at one pixel, and a token is on where one of its latents is. Of an outline the server says it. */
export function tokensOf(f: Figure, c: Canvas): number[] {
  const columns = Math.floor(c.width / c.token), rows = Math.floor(c.height / c.token), patch = Math.round(c.token / c.latent);
  const u = Math.floor(c.width / c.latent), v = Math.floor(c.height / c.latent);
  const at = (i: number, n: number, side: number) => (Math.min(side - 1, Math.floor(((2 * i + 1) * side) / (2 * n))) + 0.5) / side;
  const span = (a: number, b: number, n: number): [number, number] => [Math.max(0, Math.floor(a * n) - 1), Math.min(n, Math.ceil(b * n) + 1)];
  const [x0, x1] = span(f.bounds[0], f.bounds[2], columns), [y0, y1] = span(f.bounds[1], f.bounds[3], rows), out: number[] = [];
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      let on = false;
      for (let j = 0; j < patch && !on; j++) for (let i = 0; i < patch && !on; i++) on = inside(f, at(x * patch + i, u, c.width), at(y * patch + j, v, c.height));
      if (on) out.push(y * columns + x);
    }
  }
  return out;
}

/** The numbers of a shape, as its source writes them, of a figure: fractions, or pixels. */
export function shapeNumbers(call: string, pixels: boolean, f: Figure, width: number, height: number): number[] {
  const n = call === 'polygon' ? f.numbers : boxNumbers(call, f.kind === 'ellipse' ? numbersBox('ellipse', f.numbers) : f.bounds);
  return pixels ? n.map((v, i) => v * (i % 2 ? height : width)) : n;
}

/** The figure that a shape's numbers make. */
export function shapeFigure(call: string, pixels: boolean, numbers: number[], width: number, height: number): Figure {
  const n = pixels ? numbers.map((v, i) => v / (i % 2 ? height : width)) : numbers;
  if (call === 'polygon' || call === 'ellipse') return figure(call, n);
  return figure('box', numbersBox(call, n));
}

/** A figure as an SVG path on a canvas of pixels. */
export function pathOf(f: Figure, w: number, h: number): string {
  const n = f.numbers;
  switch (f.kind) {
    case 'box': return `M${n[0]! * w} ${n[1]! * h}H${n[2]! * w}V${n[3]! * h}H${n[0]! * w}z`;
    case 'ellipse': {
      const [cx, cy, rx, ry] = [n[0]! * w, n[1]! * h, n[2]! * w, n[3]! * h];
      return `M${cx - rx} ${cy}a${rx} ${ry} 0 1 1 ${2 * rx} 0a${rx} ${ry} 0 1 1 ${-2 * rx} 0z`;
    }
    case 'polygon': {
      let d = '';
      for (let i = 0; i + 1 < n.length; i += 2) d += `${i ? 'L' : 'M'}${n[i]! * w} ${n[i + 1]! * h}`;
      return d + 'z';
    }
    default: return f.path;
  }
}
