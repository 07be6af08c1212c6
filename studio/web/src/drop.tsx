// Files that are dropped on the page: pictures become part of the scene, layouts of other programs the scene.
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from './icons';
import { bring, get, only, set, shown, type State } from './store';

const most = 30 << 20;

async function base64(file: File): Promise<string> {
  const url = await new Promise<string>((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result as string);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
  return url.split(',')[1] ?? '';
}

/** Takes a file, and asks what to do with it. */
export async function offer(file: File): Promise<void> {
  if (get().scene?.readOnly) return set({ message: get().scene!.readOnly });
  if (file.size > most) return set({ message: `${file.name} has more than 30 MiB.` });
  const data = await base64(file), answer = await bring({ name: file.name, data, as: '' });
  if (answer && !answer.error) set({ drop: { file, data, answer } });
}

/** Lets files be dropped anywhere on the page. */
export function dropTarget(): () => void {
  const over = (e: DragEvent) => {
    if (e.dataTransfer?.types.includes('Files')) e.preventDefault();
  };
  const drop = (e: DragEvent) => {
    const file = e.dataTransfer?.files[0];
    if (!file) return;
    e.preventDefault();
    void offer(file);
  };
  addEventListener('dragover', over);
  addEventListener('drop', drop);
  return () => {
    removeEventListener('dragover', over);
    removeEventListener('drop', drop);
  };
}

/** What can be answered to a layout that leaves its boxes open. */
const conventions: [string, string][] = [
  ['xyxy/1', 'left, top, right, bottom as fractions'], ['xywh/1', 'left, top, width, height as fractions'], ['xyxy/px', 'left, top, right, bottom in pixels'],
  ['xywh/px', 'left, top, width, height in pixels'], ['yxyx/1000', 'top, left, bottom, right of 1000'], ['xyxy/1000', 'left, top, right, bottom of 1000'],
  ['centre/1', 'middle and size as fractions'], ['centre/px', 'middle and size in pixels'],
];

export function Dropping({ s }: { s: State }) {
  const { file, data, answer } = s.drop!, box = useRef<HTMLDivElement>(null), r = shown(s), e = only(s);
  const convention = useRef<HTMLSelectElement>(null), size = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.querySelector<HTMLElement>('select, .stack .btn')?.focus(), [answer]);
  const close = () => set({ drop: null });
  const picture = async (as: string, block: string) => {
    const done = await bring({ name: file.name, data, as, block });
    if (done && !done.error) close();
  };
  const layout = async (as: string) => {
    const m = /^(\d+)\s*[x×]\s*(\d+)$/.exec(size.current?.value.trim() ?? '');
    const says = { Convention: convention.current?.value ?? '', ...(m ? { Size: { W: Number(m[1]), H: Number(m[2]) } } : {}) };
    const done = await bring({ name: file.name, data, as, says });
    if (!done || done.error) return;
    if (as === 'layout' && done.ask.length === 0) close();
    else set({ drop: { file, data, answer: done } });
  };
  const entities = answer.counts.reduce((a, b) => a + b, 0);
  return (
    <div class="veil">
      <div class="pop dropping" role="dialog" aria-modal="true" aria-label={`What to do with ${file.name}`} ref={box} onKeyDown={ev => ev.key === 'Escape' && (ev.stopPropagation(), close())}>
        <div class="head"><h2 class="grow clip">{file.name}</h2><button class="ib" aria-label="Close" onClick={close}><Icon name="x" /></button></div>
        <div class="pad stack">
          {answer.kind === 'picture' ? (
            <>
              <p class="small dim">A copy is kept in the folder “pictures” beside the scene, or in “masks”.</p>
              {r?.block && <button class="btn" id="drop-init" onClick={() => void picture('init', r.block)}>Begin from it (init)</button>}
              {r?.block && <button class="btn" id="drop-inpaint" onClick={() => void picture('inpaint', r.block)}>Paint into it (inpaint)</button>}
              {e?.block && <button class="btn" id="drop-mask" onClick={() => void picture('mask', e.block)}>White is where {e.address.replace('entity.', '')} is (mask)</button>}
              <button class="btn bare" onClick={() => void layout('')}>Read the layout in it</button>
            </>
          ) : (
            <>
              <p class="small">Read as {answer.format}{entities > 0 && `: ${entities} ${entities === 1 ? 'entity' : 'entities'}`}. <span class="dim">{answer.why}</span></p>
              {answer.said.slice(0, 5).map(t => <p class="small dim" key={t}>{t}</p>)}
              {answer.ask.length > 0 && (
                <>
                  {answer.ask.map(t => <p class="small warn" key={t}><Icon name="warning" />{t.replace(/: pass --.*$/, '.')}</p>)}
                  <label class="l" for="convention">How are boxes written?</label>
                  <div class="field"><select id="convention" ref={convention}><option value="">as the file says</option>
                    {conventions.map(([v, words]) => <option key={v} value={v}>{words}</option>)}</select><Icon name="down" /></div>
                  <label class="l" for="drop-size">Size of the canvas</label>
                  <div class="field"><input id="drop-size" ref={size} placeholder="1024x768" autocomplete="off" /></div>
                </>
              )}
              <button class="btn prime" id="drop-import" onClick={() => void layout('layout')}>Make it the scene</button>
              <p class="small dimmer">Undo brings back the text of now.</p>
            </>
          )}
        </div>
      </div>
    </div>
  );
}
