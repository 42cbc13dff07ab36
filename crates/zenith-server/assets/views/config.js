// Everything that is applied, as one zenith.toml: to look at, to take along, and to change with its difference first.

import { api } from '../api.js';
import { html, useState, useStore } from '../lib.js';
import { server } from '../live.js';
import { Code, ErrorNote, Skeleton } from '../parts/controls.js';
import { useForbidden } from './pause.js';
import { useAsked } from './pipeline.js';
import { Editor } from './settings.js';

export function Config() {
  const { value: text, error, again } = useAsked(() => api.config(), 'config');
  const [isEdited, edit] = useState(false);
  const forbidden = useForbidden('admin');
  const file = useStore(server)?.config_file;
  const why = forbidden || (file ? `${file} is where it comes from: change it there, and run zenith apply` : 'as a zenith.toml would say it');
  return html`<div class="title"><h1>Configuration</h1>${text && html`<div class="buttons"><button type="button" onClick=${() => save(text)}>Save as zenith.toml</button></div>`}</div>
    <div class="stack"><${ErrorNote} error=${error} />
    ${text === null ? !error && html`<${Skeleton} lines=${8} />` : html`<section class="panel"><header><h2>What is applied</h2><span class="muted">${why}</span></header>
      ${isEdited ? html`<${Editor} toml=${text} close=${() => { edit(false); again(); }} />`
    : html`<${Code} text=${text} what="what is applied as zenith.toml" lines=${true} />
        ${!forbidden && !file && html`<div class="buttons start"><button type="button" onClick=${() => edit(true)}>Change</button></div>`}`}</section>`}</div>`;
}

function save(text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/toml' }));
  link.download = 'zenith.toml';
  link.click();
  URL.revokeObjectURL(link.href);
}
