// Icons of 16 by 16, drawn by strokes.
const paths = {
  select: 'M4 2.5v10.2l2.7-2.5 1.8 3.6 1.8-.9-1.8-3.5h3.6z',
  box: 'M2.5 3.5h11v9h-11z',
  ellipse: 'M2.2 8a5.8 4.6 0 1 1 11.6 0a5.8 4.6 0 1 1-11.6 0z',
  polygon: 'M8 2.2l5.8 4.3-2.2 7H4.4l-2.2-7z',
  pan: 'M8 1.8v12.4M1.8 8h12.4M6.3 3.5L8 1.8l1.7 1.7M6.3 12.5L8 14.2l1.7-1.7M3.5 6.3L1.8 8l1.7 1.7M12.5 6.3L14.2 8l-1.7 1.7',
  snap: 'M3 3v5a5 5 0 0 0 10 0V3h-3v5a2 2 0 0 1-4 0V3zM3 5.6h3M10 5.6h3',
  grid: 'M2.5 2.5h11v11h-11zM6.2 2.5v11M9.8 2.5v11M2.5 6.2h11M2.5 9.8h11',
  plus: 'M8 3v10M3 8h10',
  trash: 'M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4M6.8 6.8v4M9.2 6.8v4',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  eye: 'M1.5 8C3 5.2 5.2 3.7 8 3.7S13 5.2 14.5 8C13 10.8 10.8 12.3 8 12.3S3 10.8 1.5 8zM6 8a2 2 0 1 0 4 0a2 2 0 1 0-4 0z',
  hidden: 'M2 2l12 12M4 5.2C3 6 2.1 6.9 1.5 8c1.5 2.8 3.7 4.3 6.5 4.3 1.1 0 2.1-.2 3-.7M6.5 3.9c.5-.1 1-.2 1.5-.2 2.8 0 5 1.5 6.5 4.3-.4.8-1 1.5-1.5 2',
  lock: 'M3.5 7h9v6.5h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2',
  unlock: 'M3.5 7h9v6.5h-9zM5.5 7V5a2.5 2.5 0 0 1 4.8-1',
  undo: 'M5.5 2.5l-3 3 3 3M2.5 5.5h7a4 4 0 0 1 0 8H6',
  redo: 'M10.5 2.5l3 3-3 3M13.5 5.5h-7a4 4 0 0 0 0 8H10',
  play: 'M5 3v10l8-5z',
  stop: 'M4 4h8v8H4z',
  moon: 'M13 9.8A5.6 5.6 0 0 1 6.2 3 5.6 5.6 0 1 0 13 9.8z',
  sun: 'M5.2 8a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7',
  keys: 'M1.5 4.5h13v7h-13zM4 7h.1M6.7 7h.1M9.3 7h.1M12 7h.1M5 9.3h6',
  down: 'M4.5 6.5L8 10l3.5-3.5',
  right: 'M6.5 4.5L10 8l-3.5 3.5',
  check: 'M3 8.5l3.3 3.3L13 4.8',
  warning: 'M8 2.5l6.2 11H1.8zM8 6.5v3M8 11.5v.1',
  error: 'M2 8a6 6 0 1 0 12 0a6 6 0 1 0-12 0zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
  kept: 'M2.5 5L8 2.2 13.5 5 8 7.8zM2.5 8L8 10.8 13.5 8M2.5 11L8 13.8 13.5 11',
  file: 'M4 1.5h5.5l3 3v10H4zM9.2 1.8v3h3',
  link: 'M6.5 9.5l3-3M7 4.5l1.2-1.2a2.7 2.7 0 0 1 4 4L11 8.5M9 11.5l-1.2 1.2a2.7 2.7 0 0 1-4-4L5 7.5',
  x: 'M4 4l8 8M12 4l-8 8',
};

export type IconName = keyof typeof paths;

export function Icon({ name, tone }: { name: IconName; tone?: string }) {
  return <svg class={'i ' + (tone ?? '')} viewBox="0 0 16 16" aria-hidden="true"><path d={paths[name]} /></svg>;
}
