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
  const kept = ORIGINS[value.origin]?.(file) ?? '';
  return html`<section class="panel"><header><h2>Settings</h2><span class="muted">${forbidden || kept}</span></header>
    ${isEdited ? html`<${Editor} toml=${value.toml} close=${() => { edit(false); detail.again(); }} />`
    : html`<${Code} text=${value.toml} what="settings as zenith.toml" lines=${true} />
      ${!forbidden && html`<div class="buttons start"><button type="button" onClick=${() => edit(true)}>Change</button></div>`}`}</section>
    <${Origins} settings=${value.origins ?? []} file=${file} />`;
}

/** Where a pipeline comes from, in words. */
const ORIGINS = {
  file: (file) => `from ${file}, as it is; what is changed here is in its place until that is applied again`,
  changed: (file) => `from ${file}, with other settings than it has now: zenith apply takes those of the file`,
  api: (file) => (file ? `made here or by the API: it is not in ${file}` : 'made here or by the API, as zenith.toml would say it'),
};

/** A value as one reads it. */
const shown = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** The settings with where each comes from; those that nobody has set are folded away. */
function Origins({ settings, file }) {
  const isSet = ({ value, origin }) => origin !== 'default' && value !== null && value !== '' && shown(value) !== '[]' && shown(value) !== '{}';
  const words = { file: `in ${file}`, api: 'set here or by the API', default: 'as it is anyway' };
  const rows = (some) => html`<div class="scroll" tabindex="0" role="region" aria-label="Settings"><table><thead><tr><th>Setting</th><th>Value</th><th>Comes from</th></tr></thead>
    <tbody>${some.map((setting) => html`<tr key=${setting.name}><td><code>${setting.name}</code></td><td><code>${shown(setting.value)}</code></td>
      <td class=${setting.in_file === null ? 'muted' : 'warn'}>${words[setting.origin]}${setting.in_file === null ? '' : html`; the file has <code>${shown(setting.in_file)}</code>`}</td></tr>`)}</tbody></table></div>`;
  const others = settings.filter((setting) => !isSet(setting));
  return html`<section class="panel" aria-labelledby="origins"><h2 id="origins">Where they come from</h2>
    ${rows(settings.filter(isSet))}
    <details><summary class="muted">${others.length} that nobody has set</summary>${rows(others)}</details></section>`;
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
