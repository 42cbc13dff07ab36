// What the figures of a pipeline mean: which kind of attention it wants, its state in one sentence, groups by template.

import { ago, clock, coarse, duration, firstLine, number, percent, short } from './format.js';

/** Seconds behind the source from which a pipeline that follows is called late. */
export const LATE_SECONDS = 60;

/** Kinds by how much attention they want, with the word for many of them. */
export const KINDS = [
  ['failing', 'failing'],
  ['waiting', 'waiting'],
  ['snapshot', 'snapshotting'],
  ['running', 'running'],
  ['paused', 'paused'],
];
const RANK = Object.fromEntries(KINDS.map(([kind], rank) => [kind, rank]));
const KIND_OF = {
  failed: 'failing', interrupted: 'failing', waiting: 'waiting', snapshot: 'snapshot', following: 'running', done: 'running',
};

const counts = (reasons) => Object.values(reasons ?? {}).reduce((all, count) => all + count, 0);

/** A pipeline as the server says it, with the sums that views show. */
export const withSums = (pipeline) => ({
  ...pipeline,
  extra_values_total: pipeline.extra_values_total ?? counts(Object.fromEntries(Object.entries(pipeline.extra_values ?? {}).map(([field, reasons]) => [field, counts(reasons)]))),
  dead_letters_total: pipeline.dead_letters_total ?? pipeline.dead_letters ?? 0,
});

export const kindOf = (pipeline) => KIND_OF[pipeline.state] ?? 'paused';
export const rankOf = (pipeline) => RANK[kindOf(pipeline)];
export const isPaused = (pipeline) => pipeline.paused || pipeline.state === 'paused';

/** Documents read of those there are, from 0 to 1; `null` outside a snapshot. */
export function snapshotShare({ state, rows_loaded: loaded, rows_expected: expected, snapshot_parts: parts, snapshot_parts_done: done }) {
  if (state !== 'snapshot') return null;
  if (expected > 0 && loaded >= 0) return Math.min(loaded / expected, 1);
  return parts > 0 ? done / parts : 0;
}

/** Seconds until the snapshot is done at the rate of now; `null` where nobody can tell. */
export function snapshotLeft(pipeline) {
  const { rows_loaded: loaded, rows_expected: expected, rows_per_second: rate } = pipeline;
  if (pipeline.state !== 'snapshot' || !(rate > 0) || !(expected > 0)) return null;
  return Math.max(expected - loaded, 0) / rate;
}

export const isLate = (pipeline) => pipeline.lag_seconds > LATE_SECONDS;

/** Why it does not run as it should, in one line; empty where it does. */
export function trouble(pipeline) {
  const kind = kindOf(pipeline);
  if (kind === 'failing') return firstLine(pipeline.last_error) || 'The process that ran it ended without a word.';
  if (kind === 'waiting') return firstLine(pipeline.waiting_for);
  return pipeline.detached_by ? `No longer follows its collection: ${firstLine(pipeline.detached_by)}` : '';
}

/** Since when there is trouble; `null` without any. */
export const troubleSince = (pipeline) => pipeline.failing_since ?? pipeline.waiting_since ?? (kindOf(pipeline) === 'failing' ? pipeline.last_error_at : null);

/** "since 14:05 (12 min)". */
export const since = (time, now) => `since ${clock(time).slice(0, 5)} (${coarse((now - new Date(time)) / 1000)})`;

/** The state in one sentence. */
export function sentence(pipeline, now) {
  const from = troubleSince(pipeline);
  switch (pipeline.state) {
    case 'failed':
      return `Failing ${from ? since(from, now) : ''}. It is tried again by itself.`;
    case 'interrupted':
      return 'Interrupted: the process that ran it ended without a word.';
    case 'waiting':
      return `Waiting ${from ? since(from, now) : ''}. It goes on by itself.`;
    case 'snapshot':
      return snapshotSentence(pipeline);
    case 'paused':
      return pausedSentence(pipeline);
    case 'stopped':
      return 'Stopped. It continues from its checkpoint with the next run.';
    case 'new':
      return 'New: it has not run yet.';
    case 'done':
      return `Done.${pipeline.next_run ? ` The next run is ${ago(pipeline.next_run, now)}.` : ''}`;
    default:
      return followingSentence(pipeline);
  }
}

function snapshotSentence(pipeline) {
  const { rows_loaded: loaded, rows_expected: expected } = pipeline;
  const left = snapshotLeft(pipeline);
  const of = expected > 0 ? `: ${percent(snapshotShare(pipeline))}, ${short(loaded)} of ${short(expected)} documents` : '';
  return `Reading the whole collection${of}${left === null ? '' : `, about ${coarse(Math.ceil(left))} left`}.`;
}

function pausedSentence({ oplog_headroom_seconds: headroom }) {
  if (headroom === null || headroom === undefined) return 'Paused.';
  if (headroom <= 0) return 'Paused. MongoDB has forgotten the changes since its checkpoint: only a reload helps.';
  return `Paused. MongoDB keeps the changes since its checkpoint for about ${coarse(headroom)}.`;
}

function followingSentence(pipeline) {
  if (pipeline.detached_by) return trouble(pipeline);
  const { lag_seconds: lag, rows_per_second: rate } = pipeline;
  if (lag === null || lag === undefined) return 'Following.';
  const behind = `${duration(lag)} behind`;
  if (isLate(pipeline) && !(rate > 0)) return `Following, but ${behind}, and no rows arrive.`;
  return rate > 0 ? `Following, ${behind}, ${number(rate)} rows/s.` : `Following, ${behind}; no changes at the moment.`;
}

/** Points of the last hour. */
const MINUTES = 60;

const sum = (values) => values.reduce((all, value) => all + (value ?? 0), 0);
const ofKnown = (choose, values) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? choose(...known) : null;
};

/** The pipelines of a template as one row: sums, the largest lag, the state that wants most attention. */
export function group(template, members) {
  const of = (key) => members.map((member) => member[key]);
  const worst = members.reduce((worst, member) => (!worst || rankOf(member) < rankOf(worst) ? member : worst), null);
  return {
    ...template,
    isGroup: true,
    members,
    mode: worst?.mode ?? 'changes',
    state: template.waiting_for ? 'waiting' : worst?.state ?? 'new',
    paused: members.length > 0 && members.every(isPaused),
    last_error: worst?.last_error ?? null,
    failing_since: worst?.failing_since ?? null,
    lag_seconds: ofKnown(Math.max, of('lag_seconds')),
    oplog_headroom_seconds: ofKnown(Math.min, of('oplog_headroom_seconds')),
    rows: sum(of('rows')),
    rows_per_second: ofKnown((...rates) => sum(rates), of('rows_per_second')),
    extra_values_total: sum(of('extra_values_total')),
    dead_letters_total: sum(of('dead_letters_total')),
    spark: members.length ? Array.from({ length: MINUTES }, (_, index) => ofKnown((...rates) => sum(rates), members.map((member) => member.spark?.at(index - MINUTES)))) : null,
  };
}

/** What a template's collections do, in one sentence. */
export function groupSentence({ members, state, waiting_for: waiting }) {
  if (waiting) return `Cannot look for collections: ${firstLine(waiting)}`;
  if (!members.length) return 'No collection has been found yet.';
  const alike = members.filter((member) => member.state === state).length;
  return `${number(alike)} of ${number(members.length)} collections: ${state}.`;
}

/** The rows of the fleet: plain pipelines, and one row a template with its failing members beside it. */
export function fleetRows({ pipelines, templates }) {
  const members = new Map(templates.map((template) => [template.name, []]));
  const rows = [];
  for (const pipeline of pipelines.values()) {
    const group = members.get(pipeline.template);
    if (!group) rows.push(pipeline);
    else {
      group.push(pipeline);
      if (kindOf(pipeline) === 'failing') rows.push(pipeline);
    }
  }
  for (const template of templates) rows.push(group(template, members.get(template.name)));
  return rows;
}

/** When a column last changed: with the newest version that names it, or else with the first one. */
export function columnChanged(versions, column) {
  const names = new RegExp(`(^|[^\\w.])${column.replace(/[^\w]/g, '\\$&')}($|[^\\w.])`);
  const of = versions.findLast(({ cause, statement }) => names.test(`${cause} ${statement}`));
  return (of ?? versions[0])?.created ?? null;
}
