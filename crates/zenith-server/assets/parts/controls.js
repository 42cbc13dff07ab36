// Small parts that all views share: states, times, shares, code to copy, errors, empty places.

import { absolute, ago, number, percent } from '../format.js';
import { classes, html, useNow, useState } from '../lib.js';
import { kindOf, KINDS } from '../pipelines.js';

/** Shapes differ, so that a state is not told by its colour alone. */
const SHAPES = {
  failing: 'M1 1h10v10H1z',
  waiting: 'M6 .8 11.6 11H.4z',
  snapshot: 'M6 1a5 5 0 1 0 5 5H6z',
  running: 'M6 1.2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6z',
  paused: 'M2.5 1.5h2.6v9H2.5zM7 1.5h2.6v9H7z',
};

export const Mark = ({ kind }) => html`<svg class=${`mark ${kind}`} viewBox="0 0 12 12" aria-hidden="true"><path d=${SHAPES[kind]} /></svg>`;

/** The state of a pipeline: shape, colour and word. */
export function State({ pipeline }) {
  const kind = kindOf(pipeline);
  return html`<span class=${`state ${kind}`}><${Mark} kind=${kind} />${pipeline.state}</span>`;
}

/** How many are in each state; one of them can be chosen. */
export function Counts({ pipelines, kind, set }) {
  const counts = {};
  for (const pipeline of pipelines.values()) counts[kindOf(pipeline)] = (counts[kindOf(pipeline)] ?? 0) + 1;
  return html`<div class="counts" role="group" aria-label="Show only">
    ${KINDS.map(([of, words]) => html`<button type="button" class=${classes('count', of, !counts[of] && 'none')} aria-pressed=${kind === of} onClick=${() => set(kind === of ? '' : of)}>
      <${Mark} kind=${of} /><b>${number(counts[of] ?? 0)}</b> ${words}</button>`)}</div>`;
}

/** A time, relative; the absolute one with its zone on hover. */
export function Ago({ time }) {
  const now = useNow(5000);
  if (!time) return '–';
  return html`<time datetime=${time} title=${absolute(time)}>${ago(time, now)}</time>`;
}

/** A share as a bar; `label` names it for those who do not see it. */
export function Share({ value, label, tone }) {
  const now = Math.round(value * 100);
  return html`<span class=${classes('share', tone)} role="progressbar" aria-label=${label} aria-valuenow=${now}
    aria-valuemin="0" aria-valuemax="100" title=${percent(value)}><i style=${{ width: `${value * 100}%` }} /></span>`;
}

/** A button that copies a text. */
export function Copy({ text, what }) {
  const [done, set] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text).catch(() => selectAndCopy(text));
    set(true);
    setTimeout(() => set(false), 1500);
  };
  return html`<button type="button" class="quiet small" onClick=${copy} aria-label=${`Copy ${what}`}>${done ? 'Copied' : 'Copy'}</button>`;
}

/** For pages that are not of a secure origin, where there is no clipboard. */
function selectAndCopy(text) {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

/** Text of a machine, with a button that copies it. */
export function Code({ text, what, lines }) {
  return html`<div class="code"><pre tabindex="0" aria-label=${what} class=${lines ? 'tall' : ''}>${text}</pre><${Copy} text=${text} what=${what} /></div>`;
}

/** What was refused, and what to do. */
export function ErrorNote({ error }) {
  if (!error) return null;
  return html`<div class="note failing" role="alert"><${Mark} kind="failing" /><div>
    <p>${error.code && html`<a class="errorcode" href=${`/log?code=${error.code}`}>${error.code}</a>${' '}`}${error.message}</p>
    ${error.remedy && html`<p class="muted">${error.remedy}</p>`}</div></div>`;
}

/** A place where nothing is, which says why and what to do. */
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2><p class="muted">${children}</p></div>`;
}

/** Lines in the place of what is being asked for. */
export const Skeleton = ({ lines = 4 }) => html`<div class="skeleton" aria-busy="true"><span class="hidden">Loading</span>${Array.from({ length: lines }, () => html`<p />`)}</div>`;

/** A line to type in, with its label, and a hint that is read after it. */
export function Input({ label, hint, id, ...rest }) {
  return html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} aria-describedby=${hint ? `${id}-hint` : undefined} autocomplete="off" spellcheck=${false} ...${rest} />
    ${hint && html`<small id=${`${id}-hint`}>${hint}</small>`}</div>`;
}

/** A name and its value. */
export const Fact = ({ name, children, title }) => html`<div class="fact" title=${title}><dt>${name}</dt><dd>${children}</dd></div>`;
