// Some documents beside the rows that are made of them: before transforms on the left, as the table has it on the right.

import { counted, plainId } from '../format.js';
import { html, useState } from '../lib.js';
import { ErrorNote, Skeleton } from './controls.js';

/** A document as lines of JSON; a text that was cut stays as it is. */
function lines(document) {
  try {
    return JSON.stringify(JSON.parse(document), null, 2);
  } catch {
    return document;
  }
}

/** `ask` gives the samples; asked when somebody wants them, because both ends are read. */
export function Samples({ title, about, ask }) {
  const [found, set] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const look = async () => {
    setBusy(true);
    try {
      set(await ask());
      setError(null);
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  return html`<section class="panel" aria-labelledby="samples"><header><h2 id="samples">${title}</h2><span class="muted">${about}</span></header>
    <${ErrorNote} error=${error} />${busy && !found && html`<${Skeleton} lines=${3} />`}
    ${found && !found.length && html`<p>The collection has no documents.</p>`}
    ${(found ?? []).map((sample, index) => html`<${Sample} key=${index} sample=${sample} number=${index + 1} />`)}
    <div class="buttons start"><button type="button" disabled=${busy} onClick=${look}>${found ? 'Show others' : 'Show some'}</button></div></section>`;
}

function Sample({ sample: { document, rows, columns, refused }, number }) {
  const [first] = rows;
  return html`<div class="pair sample">
    <div><h3 class="muted">Document ${number}</h3>${document === null ? html`<p class="muted">Documents are shown to administrators, because they have what the table leaves out.</p>`
    : html`<div class="code"><pre tabindex="0" aria-label=${`Document ${number} as the collection has it`}>${lines(document)}</pre></div>`}</div>
    <div><h3 class="muted">${rows.length > 1 ? `Its ${counted(rows.length, 'row')}, the first one` : 'Its row'}</h3>
      ${first ? html`<div class="scroll" tabindex="0" role="region" aria-label=${`Row of document ${number}`}><table class="cellsof"><tbody>${columns.map((column) => html`<tr key=${column}><th scope="row"><code>${column}</code></th><td class=${first[column] === 'NULL' ? 'nil' : ''}><code>${plainId(first[column] ?? '')}</code></td></tr>`)}</tbody></table></div>`
    : html`<p>${refused ? `It has no row: ${refused}.` : 'It has no row yet.'}</p>`}</div></div>`;
}
