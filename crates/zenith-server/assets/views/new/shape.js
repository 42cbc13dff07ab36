// Step 3: the table: what a sample becomes, its sorting key, what is masked or left out.

import { api } from '../../api.js';
import { counted, share } from '../../format.js';
import { html, useEffect, useRef, useState } from '../../lib.js';
import { ErrorNote, Input, Skeleton } from '../../parts/controls.js';
import { Samples } from '../../parts/samples.js';
import { change, expressions, toml } from './draft.js';
import { Way } from './new.js';

const PAUSE_MS = 400;

const MODES = [
  ['changes', 'Each document as it is now'],
  ['change-log', 'One row for each change'],
  ['id-cursor', 'New documents, by ascending _id'],
  ['full', 'The collection, loaded whole now and then'],
];
/** What may become of the values of a field. */
const TREATMENTS = [
  ['', 'as they are'], ['redact', '****'], ['last4', 'last four characters'], ['hash64', 'hash, for joins'], ['null', 'null'], ['exclude', 'left out'],
];

/** The plan of what is chosen, asked for anew a moment after the last change. */
export function usePlan(text) {
  const [state, set] = useState({ plan: null, error: null, busy: true });
  const abort = useRef(null);
  useEffect(() => {
    set((before) => ({ ...before, busy: true }));
    const timer = setTimeout(async () => {
      abort.current?.abort();
      abort.current = new AbortController();
      try {
        set({ plan: await api.plan(text, abort.current.signal), error: null, busy: false });
      } catch (error) {
        if (error.name !== 'AbortError') set((before) => ({ ...before, error, busy: false }));
      }
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return state;
}

export function Shape({ of, next, back }) {
  const { plan, error, busy } = usePlan(toml(of));
  const isOne = of.collections.length === 1;
  const text = (field) => (event) => change({ [field]: event.target.value.trimStart() });
  return html`<section class="panel"><div class="inline">
      <label class="field">Name of the pipeline<input value=${of.name} spellcheck=${false} autocomplete="off" onInput=${text('name')} /></label>
      ${isOne && html`<label class="field">Table<input value=${of.table} placeholder=${of.collections[0]} spellcheck=${false} autocomplete="off" onInput=${text('table')} /></label>`}
      <label class="field">What it keeps<select value=${of.mode} onChange=${(event) => change({ mode: event.target.value })}>${MODES.map(([mode, words]) => html`<option value=${mode}>${words}</option>`)}</select></label></div>
    <${Key} of=${of} suggested=${isOne ? plan?.pipelines[0]?.inferred?.suggested_key : null} /></section>
    <${ErrorNote} error=${error} />
    ${(plan?.warnings ?? []).map((warning) => html`<p class="warn">${warning}</p>`)}
    ${plan ? plan.pipelines.map((each, index) => (each.inferred
    ? html`<${Columns} key=${each.name} planned=${each.inferred} of=${of} isOpen=${index === 0} isOne=${isOne} busy=${busy} />`
    : html`<${ErrorNote} key=${each.name} error=${each.error} />`)) : !error && html`<${Skeleton} lines=${8} />`}
    ${plan?.pipelines[0]?.inferred && html`<${Samples} key=${toml(of)} title="Documents and the rows they become" about="a few from all over the collection; nothing is written" ask=${() => api.planSample(toml(of), plan.pipelines[0].name)} />`}
    <${Way} back=${back} next=${next} isReady=${!error && !busy && of.name !== '' && (plan?.pipelines ?? []).every((each) => !each.error)} command="zenith apply --dry-run --file zenith.toml" />`;
}

function Key({ of, suggested }) {
  const isTaken = suggested && expressions(of.orderBy).join() === suggested.columns.join();
  return html`<${Input} label="Sorting key" id="key" value=${of.orderBy} placeholder="_id" onInput=${(event) => change({ orderBy: event.target.value })}
    hint="Empty means _id, by which each change finds its row. Put before it what most queries filter by, as tenant_id, toDate(created_at)." />
    ${suggested && html`<div class="suggestion"><p><b>Suggested:</b> <code>${suggested.columns.join(', ')}</code></p><p class="muted">${suggested.reason}</p>
      <button type="button" class="small" onClick=${() => change({ orderBy: isTaken ? '' : suggested.columns.join(', ') })}>${isTaken ? 'Back to _id' : 'Use this key'}</button></div>`}`;
}

function Columns({ planned, of, isOpen, isOne, busy }) {
  const treat = (field, treatment) => {
    const { [field]: _, ...masks } = of.masks;
    const exclude = of.exclude.filter((each) => each !== field);
    if (treatment === 'exclude') exclude.push(field);
    else if (treatment) masks[field] = treatment;
    change({ masks, exclude });
  };
  // Fields that are left out have no column, and stay in the list all the same.
  const rows = [...planned.columns,
    ...(isOne ? of.exclude : []).filter((field) => !planned.columns.some(({ name }) => name === field)).map((name) => ({ name, type: '', field: '', present: null, note: 'left out' }))];
  return html`<details class="panel" open=${isOpen} aria-busy=${busy}><summary><b>${planned.table}</b> <span class="muted">${counted(planned.columns.length, 'column')}${planned.documents === null ? '' : ` from ${counted(planned.documents, 'document')}`}</span></summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${`Columns of ${planned.table}`}><table><thead><tr><th>Column</th><th>ClickHouse</th><th>BSON</th><th class="n">Present</th><th>Note</th>${isOne && html`<th>Values</th>`}</tr></thead>
    <tbody>${rows.map((column) => html`<tr key=${column.name}><td><code>${column.name}</code></td><td><code>${column.type}</code></td><td class="muted">${column.field}</td><td class="n">${column.present === null || column.name.startsWith('_zenith_') ? '' : share(column.present)}</td><td class="muted">${column.note ?? ''}</td>
      ${isOne && html`<td>${/^_(id$|zenith_)/.test(column.name) ? '' : html`<select aria-label=${`Values of ${column.name}`} value=${of.exclude.includes(column.name) ? 'exclude' : of.masks[column.name] ?? ''} onChange=${(event) => treat(column.name, event.target.value)}>
        ${TREATMENTS.map(([treatment, words]) => html`<option value=${treatment}>${words}</option>`)}</select>`}</td>`}</tr>`)}</tbody></table></div></details>`;
}
