// What can be asked of a pipeline, each with what it means; and how a request that is under way comes along.

import { api } from '../api.js';
import { number, percent, short } from '../format.js';
import { html, useEffect, useState } from '../lib.js';
import { Ago, ErrorNote, Mark, Share } from '../parts/controls.js';
import { confirm } from '../parts/dialog.js';
import { notify } from '../parts/notices.js';
import { go, useQuery } from '../router.js';
import { useForbidden } from './pause.js';

const FOLLOW_MS = 1000;
/** What is done, for messages. */
const DOING = { reload: 'Reloading', reset: 'Resetting', promote: 'Promoting fields', verify: 'Verifying' };

/** Asks, and makes the request a part of the address, so that a reload of the page shows it again. */
export async function ask(name, action, body) {
  const { id } = await api.ask(name, action, body);
  const address = new URL(location.href);
  address.searchParams.set('request', id);
  go(address.pathname + address.search, { replace: true });
}

function choices(pipeline, documents) {
  const { name } = pipeline;
  const table = pipeline.to;
  return [
    {
      role: 'operate', verb: 'Verify', title: `Verify ${table}?`,
      says: 'Compares every document with its row and lists what differs. Nothing is changed; both ends are read once.',
      act: () => ask(name, 'verify'),
    },
    {
      role: 'operate', verb: 'Reload', title: `Reload ${table}?`,
      says: `Reads ${documents > 0 ? `${short(documents)} documents` : 'the collection'} again. The old rows stay visible until it is done; then the new ones take their place in one step.`,
      act: () => ask(name, 'reload'),
    },
    {
      role: 'admin', verb: 'Reset', title: `Reset ${name}?`, tone: 'danger',
      says: 'Forgets how far it has come. It reads the collection again, or goes on with the changes from now on, which leaves out those in between.',
      fields: [{ name: 'from', label: 'Go on', value: 'beginning', options: [['beginning', 'by reading the collection again'], ['now', 'with the changes from now on']] }],
      act: ({ from }) => ask(name, 'reset', { from }),
    },
    {
      role: 'admin', verb: 'Remove', title: `Remove ${name}?`, tone: 'danger',
      says: `Stops it for good and forgets its checkpoint. The table ${table} stays with its rows.`,
      fields: [{ name: 'name', label: `Type ${name} to confirm`, mustBe: name }],
      act: async () => {
        await api.remove(name);
        notify(`${name} is removed. Its table stays.`);
        go('/');
      },
    },
  ];
}

export function Actions({ pipeline, documents }) {
  const forbidden = { operate: useForbidden('operate'), admin: useForbidden('admin') };
  const open = ({ verb, title, says, tone, fields, act }) =>
    confirm({ title, consequences: [says], verb, tone, fields, act });
  return html`<section class="panel" aria-labelledby="actions"><h2 id="actions">What can be done</h2>
    ${forbidden.operate && html`<p class="muted">${forbidden.operate}.</p>`}
    <div class="actions">${choices(pipeline, documents).map((choice) => html`<div>
      <button type="button" class=${choice.tone ?? ''} disabled=${forbidden[choice.role] !== ''} title=${forbidden[choice.role] || undefined} onClick=${() => open(choice)}>${choice.verb}…</button><span class="muted">${choice.says}</span></div>`)}</div></section>`;
}

/** The request that the address names, followed until it is over. */
export function Request() {
  const [id, setId] = useQuery('request');
  const [request, set] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    set(null);
    setError(null);
    if (!id) return undefined;
    let timer;
    const look = async () => {
      try {
        const next = await api.follow(id);
        set(next);
        setError(null);
        if (next.outcome) return;
      } catch (failure) {
        if (failure.status !== 0) return setError(failure);
      }
      timer = setTimeout(look, FOLLOW_MS);
    };
    look();
    return () => clearTimeout(timer);
  }, [id]);
  if (!id || (!request && !error)) return null;
  if (error) return html`<${ErrorNote} error=${error} />`;
  return html`<${Progress} request=${request} close=${() => setId('')} />`;
}

function Progress({ request, close }) {
  const { action, outcome, progress, result, error } = request;
  const name = DOING[action] ?? action;
  if (outcome === 'failed') return html`<div class="note failing" role="alert"><${Mark} kind="failing" /><div><p>${name} failed: ${error?.message ?? result?.text}</p>${error?.remedy && html`<p class="muted">${error.remedy}</p>`}</div><${Close} close=${close} /></div>`;
  if (outcome) return html`<div class="note ok" role="status"><${Mark} kind=${outcome === 'done' ? 'running' : 'paused'} /><div><p>${name}: ${outcome}.</p>${result?.text && html`<pre>${result.text}</pre>`}</div><${Close} close=${close} /></div>`;
  const share = progress?.expected > 0 ? Math.min(progress.rows / progress.expected, 1) : 0;
  return html`<div class="note request"><${Mark} kind="snapshot" /><div>
    <p>${name}, asked for <${Ago} time=${request.requested} />: ${progress?.expected > 0 ? `${percent(share)}, ${number(progress.rows)} of ${number(progress.expected)} rows` : progress?.rows > 0 ? `${number(progress.rows)} rows` : 'waiting to begin'}</p>
    <${Share} value=${share} label=${name} /></div>
    <button type="button" onClick=${() => api.cancel(request.id).catch((failure) => notify(failure.message, { tone: 'failing' }))}>Cancel</button></div>`;
}

const Close = ({ close }) => html`<button type="button" class="quiet small" aria-label="Close this result" onClick=${close}>×</button>`;
