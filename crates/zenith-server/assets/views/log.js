// One feed of what happened, over all pipelines, newest first; filters are in the address.

import { api } from '../api.js';
import { absolute, clock } from '../format.js';
import { html, useEffect, useMemo, useState, useStore } from '../lib.js';
import { addLog, connection, fleet, log } from '../live.js';
import { Empty, ErrorNote, Skeleton } from '../parts/controls.js';
import { Link, pipelineAddress, useQuery } from '../router.js';
import { Audit } from './audit.js';

const SHOWN_MAX = 500;
const LEVELS = { info: 0, warn: 1, error: 2 };

export function Log() {
  const lines = useStore(log);
  const { status } = useStore(connection);
  const known = useStore(fleet);
  const [isThere, setThere] = useState(lines.length > 0);
  const [error, setError] = useState(null);
  const [pipeline, setPipeline] = useQuery('pipeline');
  const [level, setLevel] = useQuery('level', 'info');
  const [search, setSearch] = useQuery('search');
  const [code, setCode] = useQuery('code');
  const [what, setWhat] = useQuery('show', 'events');
  useEffect(() => {
    api.log().then((all) => { addLog(all); setThere(true); setError(null); }, (failure) => failure.status !== 0 && setError(failure));
  }, [status === 'live']);
  const shown = useMemo(() => {
    const text = search.toLowerCase();
    return lines.filter((line) => LEVELS[line.level] >= LEVELS[level] && (!pipeline || line.pipeline === pipeline)
      && (!code || line.code === code) && (!text || `${line.message} ${line.pipeline ?? ''}`.toLowerCase().includes(text))).slice(-SHOWN_MAX).reverse();
  }, [lines, level, pipeline, search, code]);
  const names = [...new Set([...(known?.pipelines.keys() ?? []), pipeline].filter(Boolean))].sort();
  const choice = html`<label class="field">Show<select value=${what} onChange=${(event) => setWhat(event.target.value)}><option value="events">what happened</option><option value="changes">who changed what</option></select></label>`;
  if (what === 'changes') return html`<div class="title"><h1>Log</h1></div><div class="tools"><div class="inline">${choice}</div></div><${Audit} />`;
  return html`<div class="title"><h1>Log</h1></div><div class="tools"><div class="inline">${choice}
      <label class="field">Level<select value=${level} onChange=${(event) => setLevel(event.target.value)}><option value="info">everything</option><option value="warn">warnings and errors</option><option value="error">errors</option></select></label>
      <label class="field">Pipeline<select value=${pipeline} onChange=${(event) => setPipeline(event.target.value)}><option value="">all</option>${names.map((name) => html`<option value=${name}>${name}</option>`)}</select></label></div>
    <input type="search" value=${search} placeholder="Search the log  /" aria-label="Search the log" onInput=${(event) => setSearch(event.target.value)} /></div>
    <div class="stack"><${ErrorNote} error=${error} />${code && html`<p>Only lines with the error ${code}. <button type="button" class="link" onClick=${() => setCode('')}>Show all lines</button></p>`}
      ${!isThere && !error ? html`<${Skeleton} lines=${8} />`
    : shown.length ? html`<div class="lines" role="log" aria-live="off" aria-label="What happened">${shown.map((line) => html`<${Line} key=${line.id} line=${line} />`)}</div>`
    : html`<${Empty} title=${lines.length ? 'Nothing fits' : 'Nothing happened yet'}>${lines.length ? 'No line of the last hour fits these filters.' : 'What pipelines do and what fails is told here, for the last hour.'}<//>`}</div>`;
}

function Line({ line }) {
  return html`<div class=${`line at-${line.level}`}><time datetime=${line.at} title=${absolute(line.at)}>${clock(line.at)}</time><span class="level">${line.level}</span>
    <span class="about-pipeline">${line.pipeline ? html`<${Link} href=${pipelineAddress(line.pipeline)}>${line.pipeline}<//>` : ''}</span>
    <span class="message">${line.code && html`<${Link} class="errorcode" href=${`/log?code=${line.code}`} title="All lines with this error">${line.code}<//>${' '}`}${line.message}</span></div>`;
}
