// The runs of a pipeline, newest first.

import { api } from '../api.js';
import { bytes, duration, number } from '../format.js';
import { html } from '../lib.js';
import { Ago, Empty, ErrorNote, Skeleton } from '../parts/controls.js';
import { useAsked } from './pipeline.js';

const AGAIN_MS = 10_000;

export function Runs({ name }) {
  const { value: runs, error } = useAsked(() => api.runs(name), name, AGAIN_MS);
  if (error && !runs) return html`<${ErrorNote} error=${error} />`;
  if (!runs) return html`<${Skeleton} />`;
  if (!runs.length) return html`<${Empty} title="No run yet">The first one begins as soon as the server can reach both ends.<//>`;
  return html`<section class="panel"><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table>
    <thead><tr><th class="n">Run</th><th>Began</th><th class="n">Took</th><th>Outcome</th><th class="n">Rows</th><th class="n">Sent</th><th class="n">In extra</th><th class="n">Dead letters</th><th>Error</th></tr></thead>
    <tbody>${runs.map((run) => html`<tr key=${run.id}><td class="n">${run.id}</td><td class="nowrap"><${Ago} time=${run.started} /></td><td class="n">${duration(run.seconds)}</td>
      <td class=${run.outcome === 'failed' ? 'bad' : ''}>${run.outcome ?? 'under way'}</td><td class="n">${number(run.rows)}</td><td class="n">${bytes(run.bytes)}</td>
      <td class="n">${number(run.extra_values_total)}</td><td class="n">${number(run.dead_letters)}</td><td>${run.error ?? ''}</td></tr>`)}</tbody></table></div></section>`;
}
