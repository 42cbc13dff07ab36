// The table of a pipeline: its columns and the fields they come from, its history, what promote would do.

import { api } from '../api.js';
import { counted, number, share } from '../format.js';
import { html, useMemo, useState } from '../lib.js';
import { Ago, Code, ErrorNote, Share, Skeleton } from '../parts/controls.js';
import { confirm } from '../parts/dialog.js';
import { Samples } from '../parts/samples.js';
import { columnChanged } from '../pipelines.js';
import { useAsked } from './pipeline.js';
import { ask } from './requests.js';
import { useForbidden } from './pause.js';

export function Table({ name, pipeline }) {
  const { value: schema, error } = useAsked(() => api.schema(name), name);
  if (error && !schema) return html`<${ErrorNote} error=${error} />`;
  if (!schema) return html`<${Skeleton} lines=${8} />`;
  return html`<${Columns} schema=${schema} pipeline=${pipeline} />
    <${Samples} title="Documents and their rows" about="a few from all over the collection, before and after what is masked or left out" ask=${() => api.sample(name)} />
    <${Promotion} name=${name} />
    <${Versions} versions=${schema.versions ?? []} />
    <${Statement} text=${schema.statement} />`;
}

const sum = (reasons) => Object.values(reasons ?? {}).reduce((all, count) => all + count, 0);

function Columns({ schema, pipeline }) {
  const inExtra = (name) => sum(pipeline.extra_values?.[name]);
  const beyond = schema.columns.filter((column) => column.clickhouse_type === null).length;
  return html`<section class="panel" aria-labelledby="columns"><header><h2 id="columns">${counted(schema.columns.length - beyond, 'column')} of ${schema.table}</h2>
      <span class="muted">${schema.table_exists ? `as the table has them, beside a sample of ${schema.collection}` : 'the table is not there yet; this is what a sample asks for'}</span></header>
    <div class="scroll" tabindex="0" role="region" aria-label="Columns"><table><thead><tr><th>Column</th><th>ClickHouse</th><th>BSON</th><th class="n">Present</th><th><span class="hidden">Share present</span></th><th class="n">In extra</th><th>Last change</th></tr></thead>
    <tbody>${schema.columns.map((column) => html`<tr key=${column.name}><td><code>${column.name}</code></td>
      <td><code>${column.clickhouse_type ?? ''}</code>${difference(column)}</td>
      <td class="muted">${column.bson_type ?? ''}</td><td class="n">${isOurs(column) ? '' : share(column.present)}</td>
      <td>${!isOurs(column) && html`<${Share} value=${column.present} label=${`${column.name} is present`} tone="plain" />`}</td>
      <td class="n">${inExtra(column.name) ? html`${number(inExtra(column.name))} <span class="muted">${share(Math.min(inExtra(column.name) / Math.max(pipeline.rows, 1), 1))}</span>` : html`<span class="nil">0</span>`}</td>
      <td class="nowrap muted"><${Ago} time=${columnChanged(schema.versions ?? [], column.name)} /></td></tr>`)}</tbody></table></div></section>`;
}

/** Columns that no field is for. */
const isOurs = ({ name, present }) => present === null || name.startsWith('_zenith_');

/** How a column and the sample disagree. */
function difference({ clickhouse_type: there, inferred_type: wanted }) {
  // ClickHouse gives types back without the quotes of names.
  const plain = (type) => type?.replaceAll('`', '');
  if (!wanted || plain(there) === plain(wanted)) return '';
  return html`<div class="muted">${there ? 'the sample asks for' : 'no column yet; would be'} <code>${wanted}</code></div>`;
}

function Promotion({ name }) {
  const [found, set] = useState(null);
  const [error, setError] = useState(null);
  const forbidden = useForbidden();
  const look = () => api.promotion(name).then((value) => { set(value); setError(null); }, setError);
  const open = () => confirm({
    title: `Promote ${counted(found.fields.length, 'field')}?`,
    verb: 'Promote',
    consequences: [`Adds the columns and writes ${counted(found.rows, 'row')} again; the pipeline rests meanwhile, and queries go on.`],
    act: () => ask(name, 'promote', { fields: found.fields.map((field) => field.path) }),
  });
  return html`<section class="panel" aria-labelledby="promotion"><header><h2 id="promotion">Promotion</h2><span class="muted">moves values from _zenith_extra into columns of their own</span></header>
    <${ErrorNote} error=${error} />
    ${!found ? html`<div class="buttons start"><button type="button" onClick=${look}>Show what it would do</button></div>`
    : !found.fields.length && !found.late_fields?.length ? html`<p>_zenith_extra has no values that a column could show.</p>`
    : html`<table><thead><tr><th>Field</th><th>ClickHouse</th><th class="n">Values</th></tr></thead><tbody>${found.fields.map((field) => html`
        <tr><td><code>${field.path}</code></td><td><code>${field.clickhouse_type}</code>${field.twin ? html`, others in <code>${field.twin}</code>` : ''}</td><td class="n">${number(field.values)}</td></tr>`)}</tbody></table>
      ${found.statement && html`<${Code} text=${found.statement} what="statement" />`}
      <p class="muted">${counted(found.rows, 'row')} would be written again. From a terminal: <code>zenith schema promote ${name} --apply</code></p>
      <div class="buttons start"><button type="button" class="main" disabled=${forbidden !== ''} title=${forbidden || undefined} onClick=${open}>Promote…</button></div>`}</section>`;
}

function Versions({ versions }) {
  const newest = useMemo(() => [...versions].reverse(), [versions]);
  if (!newest.length) return null;
  return html`<section class="panel" aria-labelledby="versions"><h2 id="versions">History</h2>
    <ol class="stack" reversed>${newest.map((version) => html`<li key=${version.version}><p><b>Version ${version.version}</b> <span class="muted"><${Ago} time=${version.created} /></span> ${version.cause || 'the first columns'}</p>
      ${version.statement && html`<${Code} text=${version.statement} what=${`statement of version ${version.version}`} />`}</li>`)}</ol></section>`;
}

/** The statement that makes such a table. */
function Statement({ text }) {
  if (!text) return null;
  return html`<section class="panel" aria-labelledby="ddl"><h2 id="ddl">Statement</h2><${Code} text=${text} what="statement" /></section>`;
}
