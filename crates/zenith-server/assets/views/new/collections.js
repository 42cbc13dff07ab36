// Step 2: which collections; sizes beside them, the largest first.

import { api } from '../../api.js';
import { bytes, counted, number, short } from '../../format.js';
import { html, useEffect, useMemo, useState } from '../../lib.js';
import { Empty, ErrorNote, Skeleton } from '../../parts/controls.js';
import { VirtualList } from '../../parts/list.js';
import { change } from './draft.js';
import { Way } from './new.js';

/** The height of a row, as the stylesheet has it. */
const ROW = 36;
const OWN = ['admin', 'local', 'config'];

export function Collections({ of, next, back }) {
  const [found, set] = useState(null);
  const [error, setError] = useState(null);
  const [search, setSearch] = useState('');
  const databases = (of.source.test?.databases ?? []).filter((name) => !OWN.includes(name));
  const database = of.database || databases[0] || '';
  useEffect(() => {
    set(null);
    setError(null);
    if (database !== of.database) change({ database });
    api.collections(of.source.isNew ? { role: 'source', uri: of.source.uri } : { name: of.source.name }, database).then(set, setError);
  }, [database]);
  const rows = useMemo(() => (found ?? []).filter((each) => each.name.toLowerCase().includes(search.toLowerCase()))
    .sort((one, other) => (other.bytes ?? 0) - (one.bytes ?? 0) || (one.name < other.name ? -1 : 1)), [found, search]);
  const chosen = (found ?? []).filter((each) => of.collections.includes(each.name));
  const sum = (field) => chosen.reduce((all, each) => all + (each[field] ?? 0), 0);
  const toggle = (name) => change({ collections: of.collections.includes(name) ? of.collections.filter((each) => each !== name) : [...of.collections, name] });
  const go = () => {
    const [only] = of.collections;
    change(of.collections.length === 1 ? { name: only, table: '', masks: {}, exclude: [] } : { name: database, table: '', masks: {}, exclude: [] });
    next();
  };
  return html`<div class="inline"><label class="field">Database<select value=${database} onChange=${(event) => change({ database: event.target.value, collections: [] })}>
      ${[...new Set([database, ...databases])].filter(Boolean).map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      <label class="field">Search<input type="search" value=${search} onInput=${(event) => setSearch(event.target.value)} /></label></div>
    <${ErrorNote} error=${error} />
    ${!found ? !error && html`<${Skeleton} lines=${6} />` : !found.length ? html`<${Empty} title="This database has no collections">Choose another one, or go back and look at the address.<//>`
    : html`<div class="cells collections" role="table" aria-label="Collections" aria-rowcount=${rows.length + 1}>
        <div role="rowgroup"><div class="row head" role="row"><span role="columnheader"><span class="hidden">Chosen</span></span><span role="columnheader">Collection</span><span role="columnheader" class="n">Documents</span><span role="columnheader" class="n wide">Size</span></div></div>
        <${VirtualList} items=${rows} rowHeight=${ROW} row=${(each, index) => html`<${Row} key=${each.name} each=${each} index=${index} isChosen=${of.collections.includes(each.name)} toggle=${toggle} />`} /></div>`}
    <p role="status">${chosen.length ? `${counted(chosen.length, 'collection')}: ${short(sum('documents'))} documents, ${bytes(sum('bytes'))}` : 'Nothing is chosen yet.'}</p>
    <${Way} back=${back} next=${go} isReady=${chosen.length > 0}
      command=${`zenith init --from '${of.source.uri}' --to '${of.target.uri}'${of.collections.map((name) => ` --collection '${database}.${name}'`).join('')} > zenith.toml`} />`;
}

function Row({ each, index, isChosen, toggle }) {
  const id = `collection-${each.name}`;
  return html`<div class="row" role="row" aria-rowindex=${index + 2}><span role="cell"><input type="checkbox" id=${id} checked=${isChosen} onChange=${() => toggle(each.name)} /></span>
    <span role="cell"><label for=${id}>${each.name}</label>${each.kind && each.kind !== 'collection' ? html` <span class="muted">${each.kind}</span>` : ''}</span>
    <span role="cell" class="n">${number(each.documents)}</span><span role="cell" class="n wide">${bytes(each.bytes)}</span></div>`;
}
