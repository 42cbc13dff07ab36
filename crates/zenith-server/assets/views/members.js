// The collections of a template: thousands of rows, searched, those that fail first.

import { coarse, duration, number, perSecond, short } from '../format.js';
import { html, useMemo } from '../lib.js';
import { Counts, Empty, Fact, Mark } from '../parts/controls.js';
import { VirtualList } from '../parts/list.js';
import { isLate, kindOf, rankOf, trouble } from '../pipelines.js';
import { Link, pipelineAddress, useQuery } from '../router.js';

/** The height of a row, as the stylesheet has it. */
const ROW = 36;

export function Members({ pipeline }) {
  const [search, setSearch] = useQuery('search');
  const [kind, setKind] = useQuery('state');
  const { members } = pipeline;
  const rows = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = members.filter((member) => (!kind || kindOf(member) === kind) && words.every((word) => `${member.name} ${member.state}`.toLowerCase().includes(word)));
    return found.sort((one, other) => rankOf(one) - rankOf(other) || (one.name < other.name ? -1 : 1));
  }, [members, search, kind]);
  const all = new Map(members.map((member) => [member.name, member]));
  return html`<section class="panel" aria-label="Figures"><dl class="facts">
      <${Fact} name="Collections">${number(members.length)}<//><${Fact} name="Largest lag">${duration(pipeline.lag_seconds)}<//><${Fact} name="Rows/s">${perSecond(pipeline.rows_per_second)}<//><${Fact} name="Rows written">${number(pipeline.rows)}<//>
      <${Fact} name="Values in extra">${number(pipeline.extra_values_total)}<//><${Fact} name="Dead letters">${number(pipeline.dead_letters_total)}<//>
      <${Fact} name="Smallest headroom" title="How long MongoDB keeps the changes since the checkpoint">${coarse(pipeline.oplog_headroom_seconds)}<//></dl></section>
    <div class="tools"><${Counts} pipelines=${all} kind=${kind} set=${setKind} /><input type="search" class="find" value=${search} placeholder=${`Search ${number(members.length)} collections  /`} aria-label="Search collections" onInput=${(event) => setSearch(event.target.value)} /></div>
    ${!rows.length && html`<${Empty} title="Nothing fits">No collection fits this search. <button type="button" class="link" onClick=${() => { setSearch(''); setKind(''); }}>Show all</button><//>`}
    <div class="cells members" hidden=${!rows.length} role="table" aria-label="Collections" aria-rowcount=${rows.length + 1}>
      <div role="rowgroup"><div class="row head" role="row"><span role="columnheader">State</span><span role="columnheader">Collection</span><span role="columnheader" class="n">Lag</span><span role="columnheader" class="n wide">Rows/s</span><span role="columnheader" class="n wide">Rows</span></div></div>
      <${VirtualList} items=${rows} rowHeight=${ROW} row=${(row, index) => html`<${Member} key=${row.name} row=${row} index=${index} />`} /></div>`;
}

function Member({ row, index }) {
  const kind = kindOf(row);
  const why = trouble(row);
  return html`<div class="row" role="row" aria-rowindex=${index + 2}><span role="cell"><span class=${`state ${kind}`}><${Mark} kind=${kind} />${row.state}</span></span>
    <span role="cell" title=${why || row.name}><${Link} href=${pipelineAddress(row.name)}>${row.name}<//> ${why && html`<span class="muted">${why}</span>`}</span>
    <span role="cell" class=${`n ${isLate(row) ? 'late' : ''}`}>${duration(row.lag_seconds)}</span><span role="cell" class="n wide">${perSecond(row.rows_per_second)}</span><span role="cell" class="n wide">${short(row.rows)}</span></div>`;
}
