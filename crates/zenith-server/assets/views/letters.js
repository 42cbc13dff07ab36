// What did not fit: values in extra by field and reason, documents without a row, one of them whole with its fault.

import { api } from '../api.js';
import { bytes, counted, number, plainId } from '../format.js';
import { html, useMemo, useState } from '../lib.js';
import { Bars } from '../parts/bars.js';
import { Ago, Empty, ErrorNote, Skeleton } from '../parts/controls.js';
import { confirm } from '../parts/dialog.js';
import { notify } from '../parts/notices.js';
import { useQuery } from '../router.js';
import { useAsked } from './pipeline.js';
import { useForbidden } from './pause.js';

const AGAIN_MS = 10_000;

export function Letters({ name, pipeline }) {
  const letters = useAsked(() => api.letters(name), name, AGAIN_MS);
  const course = useAsked(() => api.mismatches(name), name, AGAIN_MS).value;
  const fields = useMemo(() => byField(pipeline), [pipeline.extra_values, pipeline.extra_values_last_hour]);
  if (letters.error && !letters.value) return html`<${ErrorNote} error=${letters.error} />`;
  if (!letters.value) return html`<${Skeleton} />`;
  if (!fields.length && !letters.value.length) {
    return html`<${Empty} title="Everything fits">Each value is in its column, and each document has its row. What ever does not fit is listed here with its reason.<//>`;
  }
  return html`<${Extra} fields=${fields} course=${course} />
    <${Reasons} reasons=${pipeline.dead_letters_by_reason ?? {}} course=${course} />
    <${List} name=${name} letters=${letters} />`;
}

/** A row for each field and reason, most values first. */
function byField({ extra_values: all, extra_values_last_hour: last }) {
  const rows = Object.entries(all ?? {}).flatMap(([field, reasons]) =>
    Object.entries(reasons).map(([reason, count]) => ({ field, reason, count, last: last?.[field]?.[reason] ?? 0 })));
  return rows.sort((one, other) => other.count - one.count);
}

/** What happened in the last hour; nothing as long as that is not known. */
function Course({ course, counts, field, reason, noun }) {
  if (!course) return null;
  const found = course[counts].find((each) => each.field === field && each.reason === reason);
  return html`<${Bars} counts=${found?.counts ?? course.slots.map(() => 0)} slots=${course.slots} noun=${noun} />`;
}

function Extra({ fields, course }) {
  if (!fields.length) return null;
  return html`<section class="panel" aria-labelledby="extra"><header><h2 id="extra">Values in _zenith_extra</h2><span class="muted">their rows are there; these values do not fit their column</span></header>
    <div class="scroll" tabindex="0" role="region" aria-label="Values in extra"><table><thead><tr><th>Field</th><th>Reason</th><th class="course" colspan="2">Last hour</th><th class="n">All</th></tr></thead>
    <tbody>${fields.map((row) => html`<tr key=${row.field + row.reason}><td><code>${row.field}</code></td><td>${row.reason}</td>
      <td class="course"><${Course} course=${course} counts="extra_values" field=${row.field} reason=${row.reason} noun="value" /></td><td>${number(row.last)}</td><td class="n">${number(row.count)}</td></tr>`)}</tbody></table></div></section>`;
}

/** Dead letters by reason. */
function Reasons({ reasons, course }) {
  const rows = Object.entries(reasons).sort(([, one], [, other]) => other - one);
  if (!rows.length) return null;
  return html`<section class="panel" aria-labelledby="reasons"><header><h2 id="reasons">Dead letters by reason</h2><span class="muted">documents without a row</span></header>
    <div class="scroll" tabindex="0" role="region" aria-label="Reasons"><table><thead><tr><th>Reason</th><th class="course">Last hour</th><th class="n">All</th></tr></thead>
    <tbody>${rows.map(([reason, count]) => html`<tr key=${reason}><td>${reason}</td>
      <td class="course"><${Course} course=${course} counts="dead_letters" field="" reason=${reason} noun="document" /></td><td class="n">${number(count)}</td></tr>`)}</tbody></table></div></section>`;
}

function List({ name, letters }) {
  const [chosen, choose] = useQuery('letter');
  const forbidden = useForbidden();
  const mayNotPurge = useForbidden('admin');
  const all = letters.value;
  if (!all.length) return html`<section class="panel"><h2>Dead letters</h2><p class="muted">Each document has its row.</p></section>`;
  const retry = async (ids) => {
    try {
      const result = await api.retryLetters(name, ids);
      const { written = 0, failed = [] } = result?.pipelines?.[0] ?? result ?? {};
      notify(`Retried: ${counted(written, 'document has', 'documents have')} a row now${failed.length ? `; ${failed.length} cannot have one yet: ${failed[0].reason ?? failed[0]}` : ''}.`);
    } catch (error) {
      notify(error.message, { tone: 'failing' });
    }
    letters.again();
  };
  const purge = () => confirm({
    title: `Purge the dead letters of ${name}?`, verb: 'Purge', tone: 'danger',
    consequences: ['Their documents are removed from the table of dead letters for good. The documents in MongoDB stay.'],
    act: async () => { await api.purgeLetters(name); letters.again(); },
  });
  return html`<section class="panel" aria-labelledby="letters"><header><h2 id="letters">Dead letters</h2><span class="muted">the newest first</span></header>
    <div class="scroll" tabindex="0" role="region" aria-label="Documents without a row"><table><thead><tr><th>At</th><th>_id</th><th>Reason</th><th class="n">Size</th><th>Change</th><th><span class="hidden">Look</span></th></tr></thead>
    <tbody>${all.map((letter) => html`<tr key=${letter.id} class=${letter.id === chosen ? 'chosen' : ''}><td class="nowrap"><${Ago} time=${letter.at} /></td><td><code title=${letter._id}>${plainId(letter._id)}</code></td><td>${letter.reason}</td>
      <td class="n">${bytes(letter.bytes)}</td><td>${letter.operation ?? 'load'}</td><td class="n"><button type="button" class="small" aria-label=${`Look at the document ${plainId(letter._id)}`} aria-expanded=${letter.id === chosen} onClick=${() => choose(letter.id === chosen ? '' : letter.id)}>Look</button></td></tr>`)}</tbody></table></div>
    <div class="buttons start"><button type="button" class="main" disabled=${forbidden !== ''} title=${forbidden || undefined} onClick=${() => retry()}>Retry all</button>
      <button type="button" onClick=${() => save(name, all)}>Export</button>
      <button type="button" class="danger" disabled=${mayNotPurge !== ''} title=${mayNotPurge || undefined} onClick=${purge}>Purge…</button></div></section>
    ${chosen && html`<${Letter} key=${chosen} name=${name} id=${chosen} retry=${() => retry([chosen])} forbidden=${forbidden} />`}`;
}

/** All letters with their documents, as a file. */
async function save(name, letters) {
  const whole = await Promise.all(letters.map((letter) => api.letter(name, letter.id).catch(() => letter)));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 2)], { type: 'application/json' }));
  link.download = `${name}-dead-letters.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function Letter({ name, id, retry, forbidden }) {
  const { value: letter, error } = useAsked(() => api.letter(name, id), id);
  if (error) return html`<${ErrorNote} error=${error} />`;
  if (!letter) return html`<${Skeleton} />`;
  const text = letter.document === undefined ? letter.document_hex ?? '' : JSON.stringify(letter.document, null, 2);
  return html`<section class="panel" aria-labelledby="letter"><header><h2 id="letter">Document ${plainId(letter._id)}</h2><button type="button" class="small" disabled=${forbidden !== ''} title=${forbidden || undefined} onClick=${retry}>Retry this one</button></header>
    <p class="bad">${letter.reason}</p>
    <div class="code"><pre tabindex="0" aria-label="Document as Extended JSON">${marked(text, letter.reason)}</pre></div></section>`;
}

/** The lines of a document, that of a field which the reason names by its path marked. */
function marked(text, reason) {
  const named = new Set(reason.match(/[\w$]+(?:\.[\w$]+)*/g));
  const path = [];
  return text.split('\n').map((line) => {
    const [, indent, key] = line.match(/^(\s*)"([^"]+)":/) ?? [];
    if (!key) return `${line}\n`;
    const depth = indent.length / 2;
    path.length = depth - 1;
    path[depth - 1] = key;
    const whole = path.filter(Boolean).join('.');
    return named.has(whole) && (whole.includes('.') || whole.length > 3) ? html`<span class="fault">${line}</span>${'\n'}` : `${line}\n`;
  });
}
