// The settings of a pipeline as zenith.toml has them; a change shows its difference before it is applied.

import { api } from '../api.js';
import { html, useEffect, useState, useStore } from '../lib.js';
import { server } from '../live.js';
import { Code, ErrorNote, Skeleton } from '../parts/controls.js';
import { notify } from '../parts/notices.js';
import { useForbidden } from './pause.js';

export function Settings({ detail }) {
  const [isEdited, edit] = useState(false);
  const forbidden = useForbidden('admin');
  const { value, error } = detail;
  const file = useStore(server)?.config_file;
  if (!value) return error ? html`<${ErrorNote} error=${error} />` : html`<${Skeleton} />`;
  const kept = file ? `${file} counts again when it is applied: change it there, too` : 'as zenith.toml would have them, without what is as it would be anyway';
  return html`<section class="panel"><header><h2>Settings</h2><span class="muted">${forbidden || kept}</span></header>
    ${isEdited ? html`<${Editor} toml=${value.toml} close=${() => { edit(false); detail.again(); }} />`
    : html`<${Code} text=${value.toml} what="settings as zenith.toml" lines=${true} />
      ${!forbidden && html`<div class="buttons start"><button type="button" onClick=${() => edit(true)}>Change</button></div>`}`}</section>`;
}

/** A text that is changed: what it changes is shown before it is applied. */
export function Editor({ toml, close }) {
  const [text, setText] = useState(toml);
  const [plan, setPlan] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => setPlan(null), [text]);
  const attempt = async (act) => {
    setError(null);
    try {
      await act();
    } catch (failure) {
      setError(failure);
    }
  };
  const apply = async () => {
    await api.apply(text);
    notify('The new settings are applied.');
    close();
  };
  return html`<label class="field">As zenith.toml has them<textarea rows=${Math.max(text.split('\n').length, 8)} spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)} /></label>
    ${plan && html`<${Changes} plan=${plan} />`}<${ErrorNote} error=${error} />
    <div class="buttons start"><button type="button" onClick=${close}>Cancel</button>
      <button type="button" onClick=${() => attempt(async () => setPlan(await api.plan(text)))}>Show what changes</button>
      <button type="button" class="main" disabled=${!plan?.changes.length} onClick=${() => attempt(apply)}>Apply</button></div>`;
}

/** What a text would change. */
export function Changes({ plan }) {
  if (!plan.changes.length) return html`<p class="muted">Nothing changes.</p>`;
  return html`<ul class="stack">${plan.changes.map((change) => html`<li><b>${{ add: 'Adds', change: 'Changes', remove: 'Removes' }[change.what] ?? change.what}</b> the ${change.kind} ${change.name}
    ${change.details?.length > 0 && html`<ul>${change.details.map((detail) => html`<li class="muted">${detail}</li>`)}</ul>`}</li>`)}</ul>
    ${[plan.question, ...(plan.warnings ?? [])].filter(Boolean).map((warning) => html`<p class="warn">${warning}</p>`)}`;
}
