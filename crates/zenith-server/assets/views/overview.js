// How a pipeline does: figures, where the time goes, the last hour, the snapshot, and what can be done.

import { api } from '../api.js';
import { absolute, bytes, clock, coarse, duration, number, percent, perSecond, short } from '../format.js';
import { html } from '../lib.js';
import { Chart } from '../parts/chart.js';
import { Ago, Fact, Share } from '../parts/controls.js';
import { isLate, snapshotLeft, snapshotShare } from '../pipelines.js';
import { Link, pipelineAddress } from '../router.js';
import { useAsked } from './pipeline.js';
import { Actions } from './requests.js';

const SERIES_MS = 10_000;
/** Squares that a snapshot is drawn with at most. */
const SQUARES_MAX = 512;

const CHARTS = [
  ['Lag', 'lag_seconds', duration],
  ['Rows', 'rows_per_second', perSecond],
  ['Bytes', 'bytes_per_second', (value) => `${bytes(value)}/s`],
  ['Insert', 'insert_seconds', duration],
];

/** The path of a row, as the stages of a run. */
const STAGES = [['read', 'read'], ['decode', 'decode'], ['wait', 'wait for memory'], ['insert', 'insert'], ['commit', 'commit']];

export function Overview({ name, pipeline, detail }) {
  const series = useAsked(() => api.series(name), name, SERIES_MS);
  return html`<${Snapshot} pipeline=${pipeline} parts=${detail.value?.parts} />
    <${Facts} pipeline=${pipeline} settings=${detail.value?.settings} />
    ${detail.value?.stages && html`<${Stages} stages=${detail.value.stages} />`}
    ${series.value && html`<div class="charts">${CHARTS.map(([title, key, format]) => html`
      <${Chart} key=${key} title=${title} values=${series.value[key] ?? []} at=${series.value.at} step=${series.value.step_seconds} format=${format} />`)}</div>`}
    <${Actions} pipeline=${pipeline} documents=${detail.value?.documents} />`;
}

const at = (time) => (time ? html`<time title=${absolute(time)}>${clock(time)}</time>` : '–');

/** When it begins by itself, as zenith.toml says it; empty where it does not. */
const scheduleOf = ({ schedule, time_zone: zone, every } = {}) => (schedule ? `${schedule} ${zone || 'UTC'}` : every ? `every ${every}` : '');

function Facts({ pipeline: p, settings }) {
  const schedule = scheduleOf(settings);
  const count = (value) => (value > 0 ? html`<${Link} href=${pipelineAddress(p.name, 'letters')}>${number(value)}<//>` : '0');
  return html`<section class="panel" aria-label="Figures"><dl class="facts">
    <${Fact} name="Lag"><span class=${isLate(p) ? 'late' : ''}>${duration(p.lag_seconds)}</span><//>
    <${Fact} name="Complete to" title="The time of the source up to which the table has everything">${at(p.complete_to)}<//>
    <${Fact} name="Source's clock" title="The newest time the source has">${at(p.complete_to && new Date(p.complete_to).getTime() + p.lag_seconds * 1000)}<//>
    <${Fact} name="Rows/s">${perSecond(p.rows_per_second)}<//>
    <${Fact} name="Rows written">${number(p.rows)}<//>
    <${Fact} name="Oplog headroom" title="How long MongoDB keeps the changes since the checkpoint">${coarse(p.oplog_headroom_seconds)}<//>
    <${Fact} name="Checkpoint saved"><${Ago} time=${p.checkpoint_saved} /><//>
    <${Fact} name="Parts of the table">${number(p.table_parts)}<//>
    <${Fact} name="Values in extra">${count(p.extra_values_total)}<//>
    <${Fact} name="Dead letters">${count(p.dead_letters_total)}<//>
    ${p.next_run && html`<${Fact} name="Next run" title=${schedule ? `schedule: ${schedule}` : undefined}><${Ago} time=${p.next_run} />${schedule && html` <span class="muted">${schedule}</span>`}<//>`}
    ${p.waiting_for && html`<${Fact} name="Waiting since"><${Ago} time=${p.waiting_since} /><//>`}</dl></section>`;
}

/** One bar along the real path; the largest share stands out. */
function Stages({ stages }) {
  const of = STAGES.filter(([key]) => stages[key] !== undefined).map(([key, text]) => ({ text, seconds: stages[key] ?? 0 }));
  const all = of.reduce((sum, stage) => sum + stage.seconds, 0);
  if (!(all > 0)) return null;
  const most = Math.max(...of.map((stage) => stage.seconds));
  return html`<section class="panel" aria-labelledby="stages"><header><h2 id="stages">Where the time goes</h2><span class="muted">of this run</span></header>
    <div class="stages" aria-hidden="true">${of.map((stage) => html`<i class=${stage.seconds === most ? 'largest' : ''} style=${{ flexGrow: stage.seconds / all }} title=${stage.text} />`)}</div>
    <dl class="legend">${of.map((stage) => html`<div class=${stage.seconds === most ? 'largest' : ''}><dt class="muted">${stage.text}</dt><dd>${percent(stage.seconds / all)} <span class="muted">${duration(stage.seconds)}</span></dd></div>`)}</dl></section>`;
}

/** How far the snapshot has come, as a whole and by partition. */
function Snapshot({ pipeline, parts }) {
  const share = snapshotShare(pipeline);
  if (share === null) return null;
  const left = snapshotLeft(pipeline);
  const done = (parts ?? []).filter((part) => part.done).length;
  return html`<section class="panel" aria-labelledby="snapshot"><header><h2 id="snapshot">Snapshot</h2>
      <span>${percent(share)}${pipeline.rows_expected > 0 ? `, ${short(pipeline.rows_loaded)} of ${short(pipeline.rows_expected)} documents` : ''}${left === null ? '' : `, about ${coarse(Math.ceil(left))} left`}</span></header>
    <${Share} value=${share} label="Snapshot" />
    ${parts?.length > 1 && html`<p class="muted">${number(done)} of ${number(parts.length)} partitions</p>
      <div class="parts" role="img" aria-label=${`${done} of ${parts.length} partitions are done`}>
        ${parts.slice(0, SQUARES_MAX).map((part) => html`<i class=${part.done ? 'done' : part.rows > 0 ? 'begun' : ''} title=${`Partition ${part.index + 1}: ${part.done ? 'done, ' : ''}${number(part.rows)} rows`} />`)}</div>`}</section>`;
}
