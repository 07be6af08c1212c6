// Earlier runs: their pictures, how two of them differ, and seeds side by side.
import { Fragment } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { colour, letter } from './canvas';
import { assign } from './edits';
import { pathOf } from './geometry';
import { Icon, type IconName } from './icons';
import { order, send, set, shown, type State } from './store';
import { dayOf, secondsText, seedsOf, timeOf } from './time';
import type { Comparison, PastPicture, PastRun } from './types';

type Mode = 'slider' | 'side' | 'difference' | 'seeds';
const modes: [Mode, IconName, string][] = [
  ['slider', 'compare', 'Slider'], ['side', 'grid', 'Side by side'], ['difference', 'diff', 'Difference'], ['seeds', 'dice', 'Seeds'],
];

/** The picture of a run that stands for it, of a render. */
function pictureOf(run: PastRun | undefined, render: string): PastPicture | null {
  return run?.made.find(p => p.render === render && p.url) ?? run?.made.find(p => p.render.startsWith(`${render}.seed-`) && p.url) ?? null;
}

export function History({ s }: { s: State }) {
  const [runs, setRuns] = useState<PastRun[] | null>(null), [a, setA] = useState(''), [b, setB] = useState(''), [mode, setMode] = useState<Mode>('slider');
  const [regions, setRegions] = useState(true), [result, setResult] = useState<Comparison | null>(null), [chosen, setChosen] = useState<PastPicture | null>(null);
  const render = shown(s)?.address ?? '';
  useEffect(() => {
    let gone = false;
    void fetch('/api/runs').then(r => r.json()).then((list: PastRun[]) => {
      if (gone) return;
      setRuns(list);
      const there = list.filter(n => pictureOf(n, render));
      setB(old => (there.some(n => n.name === old) && !s.run?.ended ? old : (there[0]?.name ?? '')));
      setA(old => (there.some(n => n.name === old) && !s.run?.ended ? old : (there[1]?.name ?? there[0]?.name ?? '')));
    });
    return () => {
      gone = true;
    };
  }, [s.run?.running, render]);
  const find = (name: string) => runs?.find(n => n.name === name);
  const pa = pictureOf(find(a), render), pb = pictureOf(find(b), render);
  useEffect(() => {
    setResult(null);
    if (!pa || !pb) return;
    let gone = false;
    void fetch(`/api/compare?a=${pa.digest}&b=${pb.digest}`).then(r => (r.ok ? r.json() : null)).then((c: Comparison | null) => gone || setResult(c));
    return () => {
      gone = true;
    };
  }, [pa?.digest, pb?.digest]);
  const seeds = find(b)?.made.filter(p => p.render.startsWith(`${render}.seed-`) && p.url) ?? [];
  return (
    <>
      <Runs runs={runs} render={render} a={a} b={b} on={(name, first) => {
        if (first) setA(name);
        else setB(name);
        setMode(mode === 'seeds' ? 'slider' : mode);
        if (!first && (find(name)?.made.filter(p => p.render.startsWith(`${render}.seed-`)).length ?? 0) > 1) setMode('seeds');
      }} />
      <main class="mid two" aria-label="Compare">
        <div class="bar">
          <div class="seg" role="group" aria-label="How to compare">
            {modes.map(([m, icon, words]) => (
              <button key={m} id={`mode-${m}`} aria-pressed={mode === m} onClick={() => setMode(m)}><Icon name={icon} /><span class="wide">{words}</span><span class="vh">{words}</span></button>
            ))}
          </div>
          <span class="grow" />
          <button class="ib" aria-pressed={regions} aria-label="Regions" title="Regions" onClick={() => setRegions(!regions)}><Icon name="box" /></button>
        </div>
        <div class="bed hist" data-pane="canvas" tabIndex={-1}>
          {runs && runs.length === 0 && <Nothing />}
          {mode === 'seeds' ? <Seeds s={s} list={seeds} chosen={chosen} on={setChosen} />
            : pa && pb && <Two a={pa} b={pb} at={[timeOf(find(a)!.began), timeOf(find(b)!.began)]} mode={mode} regions={regions} result={result} />}
          {mode !== 'seeds' && result && <div class="read"><span>{verdict(result)}</span></div>}
        </div>
      </main>
      <aside class="side" aria-label="What changed" data-pane="props">
        {mode === 'seeds' ? <Seed s={s} p={chosen && seeds.includes(chosen) ? chosen : null} n={seeds.length} /> : pa && pb && (
          <What s={s} a={pa} b={pb} result={result} at={timeOf(find(a)!.began)} />
        )}
      </aside>
    </>
  );
}

function verdict(c: Comparison): string {
  if (!c.sameSize) return 'The pictures have different sizes.';
  if (c.equal) return 'The pixels are equal.';
  return `${c.psnr.toFixed(1)} dB PSNR; ${percent(c.differ)} of the pixels differ`;
}

const percent = (v: number) => `${v < 0.0995 ? (100 * v).toFixed(1) : Math.round(100 * v)} %`;

function Nothing() {
  return (
    <div class="empty">
      <p class="dim">Pictures appear here once the scene has been run.</p>
      <button class="btn prime" onClick={() => void order('start')}><Icon name="play" />Run</button>
    </div>
  );
}

function Runs({ runs, render, a, b, on }: { runs: PastRun[] | null; render: string; a: string; b: string; on: (name: string, first: boolean) => void }) {
  const [words, setWords] = useState(''), list = useRef<HTMLUListElement>(null);
  const about = (r: PastRun) => {
    const p = pictureOf(r, render), many = r.made.filter(n => n.render.startsWith(`${render}.seed-`)).length;
    if (r.problem) return r.problem;
    if (many > 1) return `${many} seeds`;
    if (r.state !== 'ended' && !p) return r.state === 'running' ? 'running' : 'stopped';
    if (!p) return r.made.length ? 'the picture is gone from the store' : 'made nothing';
    if (p.first) return 'first run';
    return p.changes.map(c => c.replace(/^(entity|render)\./, '')).join(', ') || 'nothing changed';
  };
  const seen = (runs ?? []).filter(r => about(r).toLowerCase().includes(words.toLowerCase()) || r.made.some(p => String(p.seed) === words));
  const step = (e: KeyboardEvent) => {
    const d = e.key === 'ArrowDown' ? 1 : e.key === 'ArrowUp' ? -1 : 0;
    const items = [...(list.current?.querySelectorAll<HTMLElement>('li[data-run]') ?? [])], at = items.indexOf(document.activeElement as HTMLElement);
    if (d && at >= 0) items[at + d]?.focus();
    else if (e.key === 'Enter' && at >= 0) items[at]?.click();
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  let day = '';
  return (
    <aside class="left" aria-label="Runs" data-pane="left">
      <div class="head"><h2>Runs</h2><span class="dimmer small grow">{runs?.length ?? ''}</span>
        <div class="field soft find"><input placeholder="Find a value" aria-label="Find a run" value={words} onInput={e => setWords(e.currentTarget.value)} /></div></div>
      {runs?.length === 0 && <p class="pad dim small">No run yet. Each run of this scene is listed here with its picture, from here or from the command line.</p>}
      <ul class="runs" ref={list} aria-label="Runs, the latest first" onKeyDown={step}>
        {seen.map((r, i) => {
          const p = pictureOf(r, render), next = dayOf(r.began), head = next !== day;
          day = next;
          return (
            <Fragment key={r.name}>
              {head && <li class="day">{next}</li>}
              <li data-run={r.name} tabIndex={i === 0 ? 0 : -1} class={`inset${r.name === a || r.name === b ? ' pick' : ''}`} title="Shift: compare as A"
                onClick={e => p && on(r.name, e.shiftKey)}>
                {p ? <img src={p.url} alt="" loading="lazy" /> : <span class={`ph${r.problem ? ' err' : ''}`}><Icon name={r.problem ? 'error' : 'stop'} /></span>}
                <span class="clip"><span class="t num">{timeOf(r.began)}</span><span class="w clip" title={about(r)}>{about(r)}</span>
                  <span class="w clip dimmer num">{secondsText(r.seconds)}, {r.kept} of {r.stages} kept</span></span>
                <span class="ab">
                  {(['A', 'B'] as const).map(side => (
                    <button key={side} class={(side === 'A' ? a : b) === r.name ? 'on' : ''} disabled={!p} aria-pressed={(side === 'A' ? a : b) === r.name}
                      aria-label={`Compare ${timeOf(r.began)} as ${side}`} onClick={e => (e.stopPropagation(), on(r.name, side === 'A'))}>{side}</button>
                  ))}
                </span>
              </li>
            </Fragment>
          );
        })}
      </ul>
    </aside>
  );
}

/** Regions of both pictures that are not the same: A's dashed. */
function Outlines({ a, b }: { a: PastPicture; b: PastPicture }) {
  const w = b.width, h = b.height, all = [...new Set([...b.entities, ...a.entities])];
  return (
    <svg viewBox={`0 0 ${w} ${h}`} preserveAspectRatio="none" aria-hidden="true">
      {all.map((e, i) => {
        const da = a.figures[e] && pathOf(a.figures[e], w, h), db = b.figures[e] && pathOf(b.figures[e], w, h);
        if (da === db) return null;
        return (
          <g key={e} data-c={colour(i)}>
            {da && <g class="ghost"><path class="shape case" d={da} /><path class="shape ln" d={da} /></g>}
            {db && <g><path class="shape case" d={db} /><path class="shape ln" d={db} /></g>}
          </g>
        );
      })}
    </svg>
  );
}

function Two({ a, b, at, mode, regions, result }: {
  a: PastPicture; b: PastPicture; at: [string, string]; mode: Mode; regions: boolean; result: Comparison | null;
}) {
  const [split, setSplit] = useState(50), box = useRef<HTMLDivElement>(null), held = useRef(false);
  const place = (e: PointerEvent) => {
    const r = box.current!.getBoundingClientRect();
    setSplit(Math.round(1000 * Math.min(1, Math.max(0, (e.clientX - r.left) / r.width))) / 10);
  };
  const keys = (e: KeyboardEvent) => {
    const d = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 }[e.key];
    if (!d) return;
    setSplit(v => Math.min(100, Math.max(0, v + d)));
    e.preventDefault();
    e.stopPropagation();
  };
  const ratio = { aspectRatio: `${b.width} / ${b.height}`, '--ratio': b.width / b.height };
  const label = (side: string, time: string, style: Record<string, string>) => <span class="badge" style={style}>{side}{'\u2002'}{time}</span>;
  if (mode === 'side') {
    return (
      <div class="pair" style={{ '--ratio': b.width / b.height }}>
        {([[a, 'A', at[0]], [b, 'B', at[1]]] as const).map(([p, side, time]) => (
          <div class="cmp" key={side}><img src={p.url} alt={`${side}, ${time}`} />{regions && <Outlines a={a} b={b} />}{label(side, time, { left: '8px', top: '8px' })}</div>
        ))}
      </div>
    );
  }
  if (mode === 'difference') {
    return (
      <div class="cmp one" style={ratio}>
        {result?.url ? <img src={result.url} alt="Where A and B differ" /> : <img src={b.url} alt={`B, ${at[1]}`} />}
        {regions && <Outlines a={a} b={b} />}
        <span class="badge" style={{ left: '8px', top: '8px' }}>{result && !result.url ? 'Different sizes' : 'Red to yellow is what differs'}</span>
      </div>
    );
  }
  return (
    <div class="cmp one slider" style={ratio} ref={box} onPointerDown={e => (box.current!.setPointerCapture(e.pointerId), (held.current = true), place(e))}
      onPointerMove={e => held.current && place(e)} onPointerUp={() => (held.current = false)} onPointerCancel={() => (held.current = false)}>
      <img src={a.url} alt={`A, ${at[0]}`} draggable={false} />
      <img class="over" src={b.url} alt={`B, ${at[1]}`} draggable={false} style={{ clipPath: `inset(0 0 0 ${split}%)` }} />
      {regions && <Outlines a={a} b={b} />}
      <div class="split" style={{ left: `${split}%` }} />
      <button class="grip" role="slider" aria-label="Divider" aria-valuenow={split} aria-valuemin={0} aria-valuemax={100} style={{ left: `${split}%` }} onKeyDown={keys}>
        <Icon name="arrows" /></button>
      {label('A', at[0], { left: '8px', top: '8px' })}{label('B', at[1], { right: '8px', top: '8px' })}
    </div>
  );
}

function What({ s, a, b, result, at }: { s: State; a: PastPicture; b: PastPicture; result: Comparison | null; at: string }) {
  const shares = (result?.shares ?? []).map((n, i) => ({ ...n, i })).sort((x, y) => y.part - x.part).slice(0, 8);
  const restore = async () => {
    const answer = await send({ kind: 'restore', name: `restore the scene of ${at}`, picture: a.digest });
    if (answer && !answer.error) set({ view: 'scene' });
  };
  return (
    <>
      <div class="grow scroll">
        <div class="head"><h2>From A to B</h2></div>
        <div class="pad stack">
          {a.digest === b.digest && <p class="small dim">A and B are the same picture. Choose another as A: shift and a click.</p>}
          {result?.changes.length === 0 && a.digest !== b.digest && <p class="small dim">No value changed.</p>}
          <ul class="chg">{result?.changes.map(c => {
            const i = c.indexOf(': '), who = c.slice(0, i), n = b.entities.indexOf(who);
            return <li key={c}><span class="row mono tiny">{n >= 0 && <b class="sw" data-c={colour(n)}>{letter(n)}</b>}{who}</span><span class="small">{c.slice(i + 2)}</span></li>;
          })}</ul>
        </div>
        {shares.length > 0 && !result?.equal && (
          <div class="sec pad">
            <h3>Where the picture changed</h3>
            <div class="bars num">
              {shares.map(n => <Bar key={n.address} c={colour(n.i)} l={letter(n.i)} name={n.address.replace(/^entity\./, '')} part={n.part} />)}
              <Bar l="–" name="elsewhere" part={result!.elsewhere} />
            </div>
          </div>
        )}
        <div class="sec pad small">
          <h3>Picture A</h3>
          <p class="dim num">Seed {a.seed}, {a.width} × {a.height} px, {a.entities.length} {a.entities.length === 1 ? 'entity' : 'entities'}</p>
        </div>
      </div>
      <div class="act pad">
        <button class="btn prime" id="restore" disabled={!!s.scene?.readOnly} onClick={() => void restore()}>Restore the scene of A</button>
        <p class="small dimmer">It changes the values that differ from the text of now; comments stay, and Ctrl Z takes it back.</p>
      </div>
    </>
  );
}

function Bar({ c, l, name, part }: { c?: number; l: string; name: string; part: number }) {
  return (
    <>
      <span class="sw" data-c={c}>{l}</span><span class="mono tiny clip">{name}</span>
      <div class="prog"><div style={{ width: `${100 * part}%` }} /></div><span class="small">{percent(part)}</span>
    </>
  );
}

function Seeds({ s, list, chosen, on }: { s: State; list: PastPicture[]; chosen: PastPicture | null; on: (p: PastPicture) => void }) {
  const field = useRef<HTMLInputElement>(null), render = shown(s);
  const go = () => {
    const seeds = seedsOf(field.current!.value);
    if (!seeds) return set({ message: 'Seeds are whole numbers, such as 0..7 or 1, 5, 9; at most 64 of them.' });
    void order('start', seeds);
  };
  return (
    <div class="seeds">
      <div class="row">
        <label class="l" for="seeds">Try seeds</label>
        <div class="field"><input id="seeds" ref={field} defaultValue="0..7" autocomplete="off" onKeyDown={e => e.key === 'Enter' && go()} /></div>
        <button class="btn low" id="try" disabled={!render || !!s.run?.running} onClick={go}><Icon name="dice" />Run them</button>
        {s.run?.running && <span class="small dim num" role="status">{s.run.done} of {s.run.stages} stages</span>}
      </div>
      {list.length === 0 && <p class="small dim">A picture of each seed is made, for the store alone: no file is written.</p>}
      <ul>
        {list.map(p => (
          <li key={p.render}>
            <button class={p === chosen ? 'on' : ''} aria-pressed={p === chosen} aria-label={`Seed ${p.seed}`} onClick={() => on(p)}><img src={p.url} alt="" /></button>
            <span class="small num">Seed {p.seed}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Seed({ s, p, n }: { s: State; p: PastPicture | null; n: number }) {
  const r = shown(s);
  if (!p) return <p class="pad dim small">{n > 0 ? `All ${n} pictures come from the same text; only the noise differs. Choose one.` : ''}</p>;
  return (
    <>
      <div class="grow"><div class="head"><h2>Seed {p.seed}</h2></div><p class="pad small dim">All {n} pictures come from the same text; only the noise differs.</p></div>
      <div class="act pad">
        <button class="btn prime" id="take-seed" disabled={!r?.block || !!s.scene?.readOnly} onClick={() => (assign(r!.block, 'seed', String(p.seed)), set({ view: 'scene' }))}>
          Write seed = {p.seed} into the scene</button>
      </div>
    </>
  );
}
