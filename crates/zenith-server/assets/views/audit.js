// Every change that somebody made: who, from where, what.

import { api } from '../api.js';
import { html } from '../lib.js';
import { Ago, Empty, ErrorNote, Skeleton } from '../parts/controls.js';
import { useAsked } from './pipeline.js';

const AGAIN_MS = 10_000;

export function Audit() {
  const { value: rows, error } = useAsked(() => api.audit(), 'audit', AGAIN_MS);
  if (error && !rows) return html`<${ErrorNote} error=${error} />`;
  if (!rows) return html`<${Skeleton} />`;
  if (!rows.length) return html`<${Empty} title="Nobody has changed anything">Each change by the page, the API or a command is listed here, with who made it.<//>`;
  return html`<section class="panel"><div class="scroll" tabindex="0" role="region" aria-label="Changes"><table>
    <thead><tr><th>At</th><th>Who</th><th>From</th><th>What</th><th>Of</th><th>Details</th></tr></thead>
    <tbody>${[...rows].sort((one, other) => other.id - one.id).map((row) => html`<tr key=${row.id}><td class="nowrap"><${Ago} time=${row.at} /></td><td>${row.who}</td><td>${row.from ?? ''}</td><td>${row.action}</td><td>${row.subject}</td><td class="muted">${row.details ?? ''}</td></tr>`)}</tbody></table></div></section>`;
}
