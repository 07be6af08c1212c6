// Running: what a run would do, how far it is, and the steps that it has taken.
import { useState } from 'preact/hooks';
import { Icon } from './icons';
import { secondsText as seconds } from './time';
import { order, previewsOf, set, shown, useApp, type State } from './store';
import type { Plan, StageState } from './types';

export function Dock() {
  const s = useApp();
  return (
    <section class="dock" aria-label="Run" data-pane="dock">
      {s.run?.running ? <Running s={s} /> : <Ready s={s} />}
      <Steps s={s} />
    </section>
  );
}

const kindOf = (kind: string) => kind.replace(/\/\d+$/, '');

function Ready({ s }: { s: State }) {
  const errors = (s.scene?.diagnostics ?? []).filter(d => d.severity === 'error');
  const failed = s.plan?.version === s.scene?.version && s.plan?.failed ? s.plan!.problems.find(d => d.severity === 'error') : undefined;
  const bad = errors[0] ?? failed;
  const last = s.run?.ended;
  const run = () => {
    if (!bad) void order('start');
    else if (bad.source) set({ goto: bad.source.line });
  };
  return (
    <div class="head">
      <button class="btn prime" id="run" aria-disabled={!!bad} onClick={run}><Icon name="play" />Run <kbd class="wide">Ctrl Enter</kbd></button>
      {bad && (
        <span class="row err clip"><Icon name="error" />
          <span class="clip">{errors.length > 1 ? `${errors.length} errors` : '1 error'} in {s.scene?.name}{bad.source ? `: line ${bad.source.line}` : `: ${bad.summary}`}</span>
        </span>
      )}
      {!bad && <Chip s={s} />}
      <span class="grow" />
      {s.run?.problems[0] && <span class="row err clip" role="alert"><Icon name="error" /><span class="clip">{s.run.problems[0].summary}: {s.run.problems[0].detail}</span></span>}
      {last && !s.run?.problems.length && (
        <span class="small dimmer num wide nw">{s.run?.stopped ? 'Stopped' : 'Last run'} {last}, {seconds(s.run!.seconds)}</span>
      )}
    </div>
  );
}

/** What the plan comes to, in a line. */
function summary(p: Plan): string {
  if (p.failed || p.stages.length === 0) return 'Planning…';
  if (p.missing === 0) return 'Nothing to do: the picture is up to date';
  const kinds = new Set(p.stages.filter(n => !n.cached).map(n => kindOf(n.kind)));
  if (p.missing === p.stages.length) return 'Everything is new';
  const frames = p.stages.filter(n => !n.cached && kindOf(n.kind) === 'denoise').length;
  if (frames > 1) return `${frames} pictures to denoise`;
  if (kinds.has('encode')) return 'Encode, denoise and decode';
  if (kinds.has('denoise')) return 'Denoise and decode again';
  return [...kinds].join(', ');
}

function Chip({ s }: { s: State }) {
  const [open, setOpen] = useState(false);
  const p = s.plan;
  if (!p) return <span class="plan"><b>Planning…</b></span>;
  const kept = p.stages.length - p.missing;
  return (
    <div class="anchor">
      <button class={`plan${s.planning || s.drag ? ' dimmed' : ''}`} aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="pips wide" aria-hidden="true">{pips(p.stages)}</span>
        <b class="clip">{s.drag ? 'Planning…' : summary(p)}</b>
        {!s.drag && p.seconds > 0 && <i>about {seconds(p.seconds)}</i>}
        {!s.drag && p.missing > 0 && kept > 0 && <i class="wide">{kept} of {p.stages.length} stages kept</i>}
        <Icon name="down" />
      </button>
      {open && <Popover p={p} close={() => setOpen(false)} />}
    </div>
  );
}

function pips(stages: StageState[]) {
  const most = 16, n = Math.min(most, stages.length);
  return Array.from({ length: n }, (_, i) => {
    const part = stages.slice(Math.floor((i * stages.length) / n), Math.floor(((i + 1) * stages.length) / n));
    return <u key={i} class={part.every(p => p.cached) ? 'k' : ''} />;
  });
}

function Popover({ p, close }: { p: Plan; close: () => void }) {
  return (
    <div class="pop stages-pop" role="dialog" aria-label="Plan" onKeyDown={e => e.key === 'Escape' && close()}>
      {p.changes.length > 0 && <ul class="changes">{p.changes.slice(0, 8).map(c => <li class="small" key={c}>{c}</li>)}</ul>}
      <ul class="stages" tabIndex={0} aria-label="Stages">
        {p.stages.map(n => (
          <li key={n.name}>
            <Icon name={n.cached ? 'kept' : 'play'} tone={n.cached ? 'dimmer' : 'acc'} /><span class="mono clip">{n.name}</span>
            <span class="num dimmer">{n.cached ? 'kept' : n.seconds ? seconds(n.seconds) : 'to run'}</span>
          </li>
        ))}
      </ul>
      {p.memory > 0 && <p class="small dim foot">Memory at the peak about {Math.round(p.memory / 2 ** 20)} MiB.</p>}
    </div>
  );
}

function Running({ s }: { s: State }) {
  const run = s.run!, kind = kindOf(run.kind), what = kind ? kind[0]!.toUpperCase() + kind.slice(1) : 'Starting';
  const share = run.of ? run.step / run.of : run.stages ? run.done / run.stages : 0;
  return (
    <div class="head">
      <button class="btn" id="stop" onClick={() => void order('stop')}><Icon name="stop" />Stop</button>
      <span class="num strong nw">{run.of ? `${what} ${run.step} of ${run.of}` : what}</span>
      <div class="prog" role="progressbar" aria-label={what} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100}>
        <div style={{ width: `${share * 100}%` }} />
      </div>
      <span class="small dim num nw">
        {run.speed > 0 ? `${run.speed.toFixed(1)} steps/s` : `${run.done} of ${run.stages} stages`}
        {run.speed > 0 && run.of > run.step && <span class="wide">, {seconds((run.of - run.step) / run.speed)} left</span>}
      </span>
      {run.queued ? <span class="small acc nw">Another run follows</span>
        : s.scene?.version !== run.version && <button class="btn low" onClick={() => void order('start')}>Run after this</button>}
    </div>
  );
}

/** Pictures of the steps. One that is pointed at or chosen is shown on the canvas. */
function Steps({ s }: { s: State }) {
  const previews = previewsOf(s, shown(s));
  if (previews.length === 0) return null;
  const of = previews[0]!.of, latest = previews.at(-1)!.step;
  const step = (e: KeyboardEvent) => {
    const d = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!d) return;
    e.stopPropagation();
    e.preventDefault();
    set({ step: Math.min(latest, Math.max(1, (s.step || latest) + d)) });
  };
  return (
    <ol class="steps" aria-label="Previews of the steps" onMouseLeave={() => set({ step: 0 })} onKeyDown={step}>
      {Array.from({ length: of }, (_, i) => {
        const p = previews.find(n => n.step === i + 1), now = (s.step || latest) === i + 1;
        return (
          <li key={i} class={`${p ? '' : 'wait'}${now ? ' now' : ''}`}>
            <button class="th" disabled={!p} aria-label={`Step ${i + 1}`} tabIndex={now ? 0 : -1} onMouseEnter={() => p && set({ step: i + 1 })}
              onFocus={() => p && set({ step: i + 1 })} onBlur={() => set({ step: 0 })}>{p && <img src={p.url} alt="" />}</button>
            {i + 1}
          </li>
        );
      })}
    </ol>
  );
}
