// The frame around the panes.
import { useEffect } from 'preact/hooks';
import { Canvas } from './canvas';
import { Dock } from './dock';
import { Dropping, dropTarget } from './drop';
import { Hcl } from './hcl';
import { History } from './history';
import { Icon, type IconName } from './icons';
import { table } from './keys';
import { Left } from './left';
import { Props } from './props';
import { Timeline } from './timeline';
import { loadLanguage, send, set, useApp, type State, type Tool } from './store';

export function App() {
  const s = useApp();
  useEffect(() => {
    if (s.scene) document.title = `${s.scene.name} – eligen studio`;
  }, [s.scene?.name]);
  useEffect(() => {
    void loadLanguage();
    return dropTarget();
  }, []);
  return (
    <div class={`app ${s.view}`}>
      <Top s={s} />
      {s.view === 'history' ? <History s={s} /> : (
        <>
          <Left />
          <main class="mid" aria-label="Canvas">
            <Tools s={s} />
            <Canvas />
            <div class="docks"><Timeline /><Dock /></div>
          </main>
        </>
      )}
      <div class="right" hidden={s.view === 'history'}><Props /><Hcl /></div>
      {s.message && <div class="toast" role="alert"><Icon name="error" tone="err" /><span>{s.message}</span>
        <button class="ib" aria-label="Close" onClick={() => set({ message: '' })}><Icon name="x" /></button></div>}
      {s.keys && <Keys />}
      {s.drop && <Dropping s={s} />}
    </div>
  );
}

function Saved({ s }: { s: State }) {
  if (s.scene?.readOnly) return <span class="saved"><Icon name="lock" />Read-only. {s.scene.readOnly}</span>;
  if (!s.online || s.saving === 'failed') return <span class="saved warn" role="status"><Icon name="warning" />Not saved: eligen doesn’t answer</span>;
  if (s.conflict) return <span class="saved warn"><Icon name="warning" />Not saved: choose a text</span>;
  if (s.saving === 'saving') return <span class="saved" role="status">Saving…</span>;
  return <span class="saved wide"><Icon name="check" tone="ok" />Saved</span>;
}

function dark(): boolean {
  const set = document.documentElement.dataset['theme'];
  return set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function Top({ s }: { s: State }) {
  const theme = () => {
    const next = dark() ? 'light' : 'dark';
    document.documentElement.dataset['theme'] = next;
    localStorage.setItem('theme', next);
    set({});
  };
  return (
    <header class="top">
      <div class="row">
        <svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><rect x="3.5" y="3.5" width="17" height="17" rx="3" /><rect class="f" x="11" y="10" width="6.5" height="7.5" rx="1.5" /></svg>
        <h1 class="file"><span class="wide">{s.scene ? `${s.scene.folder} / ` : ''}</span>{s.scene?.name ?? 'eligen studio'}</h1>
        <Saved s={s} />
      </div>
      <nav class="seg" aria-label="View">
        {(['scene', 'history'] as const).map(v => (
          <button key={v} id={`view-${v}`} aria-current={s.view === v ? 'page' : undefined} onClick={() => set({ view: v })}>{v === 'scene' ? 'Scene' : 'History'}</button>
        ))}
      </nav>
      <div class="row tools">
        <button class="ib" aria-label={`Undo${s.scene?.undo ? `: ${s.scene.undo}` : ''}`} title={`Undo ${s.scene?.undo ?? ''} (ctrl Z)`} disabled={!s.scene?.undo}
          onClick={() => void send({ kind: 'undo' })}><Icon name="undo" /></button>
        <button class="ib" aria-label={`Redo${s.scene?.redo ? `: ${s.scene.redo}` : ''}`} title={`Redo ${s.scene?.redo ?? ''} (ctrl Y)`} disabled={!s.scene?.redo}
          onClick={() => void send({ kind: 'redo' })}><Icon name="redo" /></button>
        <hr />
        <button class="ib wide" aria-label="Keys" title="Keys (?)" onClick={() => set({ keys: !s.keys })}><Icon name="keys" /></button>
        <button class="ib" aria-label="Light or dark" onClick={theme}><Icon name={dark() ? 'sun' : 'moon'} /></button>
      </div>
    </header>
  );
}

const tools: [Tool, IconName, string][] = [
  ['select', 'select', 'Select (V)'], ['box', 'box', 'Box (B)'], ['ellipse', 'ellipse', 'Ellipse (E)'], ['polygon', 'polygon', 'Polygon (P)'], ['brush', 'brush', 'Mask brush (M)'], ['pan', 'pan', 'Pan (space)'],
];

function Tools({ s }: { s: State }) {
  const fixed = !!s.scene?.readOnly;
  return (
    <div class="bar" role="toolbar" aria-label="Tools">
      {tools.map(([tool, icon, words]) => (
        <button key={tool} class="ib" aria-pressed={s.tool === tool} aria-label={words} title={words} disabled={fixed && tool !== 'select' && tool !== 'pan'}
          onClick={() => set({ tool, draft: null })}><Icon name={icon} /></button>
      ))}
      <hr />
      <button class="ib" aria-pressed={s.snap} aria-label="Snap to the token grid (S)" title="Snap to the token grid (S)" onClick={() => set({ snap: !s.snap })}><Icon name="snap" /></button>
      <button class="ib" aria-pressed={s.grid} aria-label="What the model sees: image tokens (G)" title="What the model sees: image tokens (G)" onClick={() => set({ grid: !s.grid })}><Icon name="grid" /></button>
      {s.poses && <button class="ib" aria-pressed={s.onion} aria-label="First and last frame (O)" title="First and last frame (O)" onClick={() => set({ onion: !s.onion })}><Icon name="copy" /></button>}
      <span class="grow" />
      <span class="row wide opacity">
        <label class="l" for="opacity">Regions</label>
        <input type="range" id="opacity" min="0" max="100" value={s.opacity * 100} style={{ '--v': `${s.opacity * 100}%` }}
          onInput={e => set({ opacity: Number(e.currentTarget.value) / 100 })} />
      </span>
      <button class="btn bare low num" title="Fit (0)" onClick={() => set({ zoom: 1, pan: [0, 0] })}>
        Fit<span class="dim wide">{Math.round(s.zoom * 100)} %</span></button>
    </div>
  );
}

function Keys() {
  return (
    <div class="pop keys" role="dialog" aria-label="Keys">
      <div class="head"><h2 class="grow">Keys</h2><button class="ib" aria-label="Close" onClick={() => set({ keys: false })}><Icon name="x" /></button></div>
      <dl>{table.filter(k => k.words).map(k => <div key={k.shown}><dt><kbd>{k.shown}</kbd></dt><dd>{k.words}</dd></div>)}</dl>
    </div>
  );
}
