// The fleet: what is wrong comes first, then everything else, a row each; counts, search and filters above.

import { api } from '../api.js';
import { ago, bytes, clock, coarse, counted, duration, number, percent, perSecond, short, zone } from '../format.js';
import { classes, html, useEffect, useMemo, useNow, useStore } from '../lib.js';
import { fleet, server } from '../live.js';
import { Counts, Empty, Mark, Share, Skeleton } from '../parts/controls.js';
import { useMedia, VirtualList } from '../parts/list.js';
import { Spark } from '../parts/spark.js';
import { fleetRows, isLate, isPaused, kindOf, rankOf, sentence, since, snapshotLeft, snapshotShare, trouble, troubleSince } from '../pipelines.js';
import { Link, pipelineAddress, useQuery } from '../router.js';
import { PauseButton } from './pause.js';

/** The heights of a row, as the stylesheet has them. */
const ROW = { wide: 56, narrow: 128 };

/** Between two looks at the process. */
const ABOUT_MS = 10_000;

/** Points of the line of a row. */
const MINUTES = 60;

/** Columns: key, heading, and the figure they are sorted by, largest first. */
const COLUMNS = [
  ['name', 'Pipeline', null],
  ['lag', 'Lag', (row) => row.lag_seconds ?? -1],
  ['rate', 'Rows/s', (row) => row.rows_per_second ?? -1],
  ['spark', 'Last hour', null],
  ['rows', 'Rows', (row) => row.rows ?? -1],
  ['headroom', 'Headroom', (row) => -(row.oplog_headroom_seconds ?? Infinity)],
  ['extra', 'In extra', (row) => row.extra_values_total ?? 0],
  ['letters', 'Dead letters', (row) => row.dead_letters_total ?? 0],
];

const byName = (one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);

/** Failing first, and by name among equals, so that rows keep their places while figures change. */
function sorted(rows, by) {
  const of = COLUMNS.find(([key]) => key === by)?.[2];
  if (by === 'name') return rows.sort(byName);
  if (of) return rows.sort((one, other) => of(other) - of(one) || byName(one, other));
  return rows.sort((one, other) => rankOf(one) - rankOf(other) || byName(one, other));
}

const matches = (row, words) => words.every((word) => `${row.name} ${row.from} ${row.to} ${row.last_error ?? ''}`.toLowerCase().includes(word));

export function Fleet() {
  const known = useStore(fleet);
  const [search, setSearch] = useQuery('search');
  const [kind, setKind] = useQuery('state');
  const [sort, setSort] = useQuery('sort', 'state');
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = useMemo(() => {
    if (!known) return [];
    // Whoever looks for something looks among all collections, not among templates.
    const all = words.length || kind ? [...known.pipelines.values()] : fleetRows(known);
    return sorted(all.filter((row) => (!kind || kindOf(row) === kind) && matches(row, words)), sort);
  }, [known, search, kind, sort]);
  // For whoever measures when the page is of use.
  useEffect(() => known && performance.mark('zenith-fleet'), [known === null]);
  if (!known) return html`<${Skeleton} lines=${6} />`;
  if (!known.pipelines.size && !known.templates.length) return html`<${Nothing} />`;
  return html`<h1 class="hidden">Fleet</h1>
    <div class="tools"><${Counts} pipelines=${known.pipelines} kind=${kind} set=${setKind} />
      <input type="search" value=${search} placeholder="Search pipelines, collections, errors  /" aria-label="Search pipelines" onInput=${(event) => setSearch(event.target.value)} /></div>
    ${rows.length ? html`<${Table} rows=${rows} sort=${sort} setSort=${setSort} />`
    : html`<${Empty} title="Nothing fits">No pipeline fits this search. <button type="button" class="link" onClick=${() => { setSearch(''); setKind(''); }}>Show all</button><//>`}
    <${About} />`;
}

function Nothing() {
  return html`<div class="empty"><h1>Nothing is kept in step yet</h1>
    <p>A pipeline makes one MongoDB collection a ClickHouse table and keeps it so.</p>
    <p><${Link} class="button main" href="/new">Make the first pipeline<//></p>
    <p class="muted">Or write a <code>zenith.toml</code> and run <code>zenith apply</code>: it appears here at once.</p></div>`;
}

function Table({ rows, sort, setSort }) {
  const isNarrow = useMedia('(max-width: 860px)');
  const now = useNow(5000);
  const heading = ([key, text, of]) => html`<span role="columnheader" class=${key} aria-sort=${sort === key ? (key === 'name' ? 'ascending' : 'descending') : undefined}>
    ${of || key === 'name' ? html`<button type="button" class="heading" onClick=${() => setSort(sort === key ? 'state' : key)}>${text}</button>` : text}</span>`;
  return html`<div class="fleet" role="table" aria-label="Pipelines" aria-rowcount=${rows.length + 1}>
    <div role="rowgroup"><div class="row head" role="row" aria-rowindex="1">
      <span role="columnheader" class="mode">State</span>${COLUMNS.map(heading)}<span role="columnheader" class="act"><span class="hidden">Actions</span></span></div></div>
    <${VirtualList} items=${rows} rowHeight=${isNarrow ? ROW.narrow : ROW.wide}
      row=${(row, index) => html`<${Row} key=${(row.isGroup ? 'group ' : '') + row.name} row=${row} index=${index} now=${now} />`} /></div>`;
}

function Row({ row, index, now }) {
  const kind = kindOf(row);
  const why = row.isGroup && kind !== 'waiting' ? '' : trouble(row);
  const from = troubleSince(row);
  const count = (value, view, words) => (value > 0 && !row.isGroup
    ? html`<${Link} href=${pipelineAddress(row.name, view)} title=${`${number(value)} ${words}`}>${short(value)}<//>` : value > 0 ? short(value) : html`<span class="nil">0</span>`);
  return html`<div class=${classes('row', kind, why && 'troubled')} role="row" aria-rowindex=${index + 2}>
    <span role="cell" class="mode" title=${sentence(row, now)}><span class=${`state ${kind}`}><${Mark} kind=${kind} />${row.isGroup ? groupState(row) : row.state}</span></span>
    <span role="cell" class="name"><${Link} href=${pipelineAddress(row.name)}>${row.name}<//>
      <span class="muted"> ${row.mode}${row.isGroup ? `, ${counted(row.members.length, 'collection')}` : ''}</span>
      ${why ? html`<span class="under why" title=${row.last_error ?? why}>${from && html`<span class="since">${since(from, now)}</span>`} ${why}</span>`
    : html`<span class="under">${row.next_run && html`<span>next run ${ago(row.next_run, now)}, </span>`}<span>${row.from}</span> → <span>${row.to}</span></span>`}</span>
    <${Lag} row=${row} />
    <span role="cell" class="rate" data-name="Rows/s">${perSecond(row.rows_per_second)}</span>
    <span role="cell" class="spark"><${Spark} points=${row.spark} what="Rows a second in the last hour" count=${MINUTES} /></span>
    <span role="cell" class="rows" data-name="Rows" title=${number(row.rows)}>${short(row.rows)}</span>
    <span role="cell" class=${classes('headroom', row.oplog_headroom_seconds < 6 * 3600 && row.oplog_headroom_seconds !== null && 'late')} data-name="Headroom"
      title="How long MongoDB keeps the changes since the checkpoint">${coarse(row.oplog_headroom_seconds)}</span>
    <span role="cell" class="extra" data-name="In extra">${count(row.extra_values_total, 'letters', 'values did not fit their column and are in _zenith_extra')}</span>
    <span role="cell" class="letters" data-name="Dead letters">${count(row.dead_letters_total, 'letters', 'documents have no row')}</span>
    <span role="cell" class="act"><${PauseButton} pipeline=${row} isSmall=${true} /></span></div>`;
}

/** "2 failing" of a template, or the state that all its collections have. */
function groupState({ members, state }) {
  const alike = members.filter((member) => member.state === state).length;
  return alike === members.length ? state : `${number(alike)} ${state}`;
}

/** How far behind; of a snapshot, how far it has come. */
function Lag({ row }) {
  const share = snapshotShare(row);
  if (share === null || row.isGroup) {
    return html`<span role="cell" class=${classes('lag', isLate(row) && !isPaused(row) && 'late')} data-name="Lag">${duration(row.lag_seconds)}</span>`;
  }
  const left = snapshotLeft(row);
  return html`<span role="cell" class="lag" data-name="Snapshot"><${Share} value=${share} label=${`Snapshot of ${row.name}`} />
    <span class="under">${percent(share)}${left === null ? '' : `, ${coarse(Math.ceil(left))}`}</span></span>`;
}

/** The process itself, quietly at the end. */
function About() {
  const about = useStore(server);
  useEffect(() => {
    const timer = setInterval(() => api.server().then((now) => server.set(now), () => {}), ABOUT_MS);
    return () => clearInterval(timer);
  }, []);
  if (!about) return null;
  const { used_bytes: used, budget_bytes: budget } = about.memory ?? {};
  return html`<footer class="about">
    <span>Zenith ${about.version}</span><span title=${about.started}>since ${clock(about.started)} ${zone()}</span>
    <span>memory ${bytes(used)} of ${bytes(budget)}</span>
    <span>${about.config_file ? `configured by ${about.config_file}` : 'configured here'}</span><span>role ${about.role}</span></footer>`;
}
