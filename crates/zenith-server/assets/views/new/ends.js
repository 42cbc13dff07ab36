// Step 1: where documents come from and where rows go; both are tested while one types.

import { api } from '../../api.js';
import { html, useEffect, useRef, useState } from '../../lib.js';
import { Code, ErrorNote, Input, Mark, Skeleton } from '../../parts/controls.js';
import { change, databaseOf, draft, withDatabase } from './draft.js';
import { Way } from './new.js';

/** How long nothing is typed before an address is tested. */
const PAUSE_MS = 500;
const NEW = '';

const ABOUT = {
  source: {
    title: 'Source', server: 'MongoDB', fresh: 'Another MongoDB', name: 'mongodb',
    placeholder: 'mongodb://app:${MONGO_PASSWORD}@localhost:27017/shop',
  },
  target: {
    title: 'Target', server: 'ClickHouse', fresh: 'Another ClickHouse', name: 'clickhouse',
    placeholder: 'http://default:${CLICKHOUSE_PASSWORD}@localhost:8123/shop',
  },
};

export function Ends({ of, next }) {
  const [known, setKnown] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    api.connectors().then(setKnown, setError);
  }, []);
  const isReady = ['source', 'target'].every((role) => of[role].test?.ok && of[role].name);
  const go = () => {
    change({ database: databaseOf(of.source.uri) });
    next();
  };
  if (!known) return error ? html`<${ErrorNote} error=${error} />` : html`<${Skeleton} lines=${6} />`;
  return html`<div class="ends">${['source', 'target'].map((role) => html`<${End} key=${role} role=${role} end=${of[role]} known=${known.filter((each) => each.role === role)} all=${known} />`)}</div>
    <${Way} next=${go} isReady=${isReady} why=${isReady ? '' : 'Goes on as soon as both ends answer.'}
      command=${`zenith init --from '${of.source.uri || 'mongodb://…'}' --to '${of.target.uri || 'http://…'}'`} />`;
}

function End({ role, end, known, all }) {
  const about = ABOUT[role];
  const set = (fields) => change({ [role]: { ...draft.get()[role], ...fields } });
  const choose = (name) => {
    const connector = known.find((each) => each.name === name);
    set(connector ? { name, uri: connector.uri, isNew: false, test: null } : { name: freeName(about.name, all), uri: '', isNew: true, test: null });
  };
  useEffect(() => {
    // What is there already is what most want; without any, a new one.
    if (!end.name && !end.uri) choose(known[0]?.name ?? NEW);
  }, [known.length]);
  const test = useTest(role, end, set);
  return html`<section class="panel" aria-labelledby=${role}><h2 id=${role}>${about.title}: ${about.server}</h2>
    ${known.length > 0 && html`<label class="field">Use<select value=${end.isNew ? NEW : end.name} onChange=${(event) => choose(event.target.value)}>
      ${known.map((each) => html`<option value=${each.name}>${each.name}</option>`)}<option value=${NEW}>${about.fresh}</option></select></label>`}
    ${end.isNew ? html`<${Input} label="Address" id=${`${role}-address`} value=${end.uri} placeholder=${about.placeholder} onInput=${(event) => set({ uri: event.target.value.trim(), test: null })}
        hint=${html`Write a password as <code>${'${NAME}'}</code>, an environment variable of the server, or <code>${'${file:PATH}'}</code>.`} />
      <${Database} end=${end} set=${set} />
      <${Input} label="Name" id=${`${role}-name`} value=${end.name} hint="How zenith.toml and commands call it." onInput=${(event) => set({ name: event.target.value.trim() })} />`
    : html`<p class="muted"><code>${end.uri}</code></p>`}
    <div class="result" role="status">${test.busy ? html`<p class="muted">Testing…</p>` : html`<${Result} test=${end.test} error=${test.error} again=${() => set({ test: null })} />`}</div></section>`;
}

/** A name that no connector has. */
function freeName(wanted, all) {
  let name = wanted;
  for (let number = 2; all.some((each) => each.name === name); number += 1) name = `${wanted}${number}`;
  return name;
}

/** The database, a part of the address, chosen among those that are there. */
function Database({ end, set }) {
  const databases = end.test?.databases ?? [];
  if (!databases.length) return null;
  const id = `databases-${end.name}`;
  return html`<label class="field">Database<input list=${id} value=${databaseOf(end.uri)} spellcheck=${false} autocomplete="off" onChange=${(event) => set({ uri: withDatabase(end.uri, event.target.value.trim()), test: null })} />
    <datalist id=${id}>${databases.map((name) => html`<option value=${name} />`)}</datalist></label>`;
}

/** Tests the end whenever its address has not changed for a moment. */
function useTest(role, end, set) {
  const [state, setState] = useState({ busy: false, error: null });
  const abort = useRef(null);
  useEffect(() => {
    abort.current?.abort();
    if (end.test || (end.isNew ? end.uri.length < 10 : !end.name)) return setState({ busy: false, error: null });
    setState({ busy: true, error: null });
    const timer = setTimeout(async () => {
      abort.current = new AbortController();
      try {
        const asked = end.isNew ? { role, uri: end.uri } : { name: end.name };
        const test = await api.testConnector(asked, abort.current.signal);
        set({ test });
        setState({ busy: false, error: null });
      } catch (error) {
        if (error.name !== 'AbortError') setState({ busy: false, error });
      }
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [end.uri, end.isNew, end.isNew ? '' : end.name, end.test === null]);
  return state;
}

function Result({ test, error, again }) {
  if (error) return html`<${ErrorNote} error=${error} />`;
  if (!test) return null;
  const missing = test.missing ?? [];
  return html`<div class="stack">${test.server && html`<p class=${`state ${test.ok ? 'running' : 'waiting'}`}><${Mark} kind=${test.ok ? 'running' : 'waiting'} />${test.server}</p>`}
    ${missing.map((lack) => html`<div><p>${lack.what}</p>${lack.remedy && (isCommand(lack.remedy) ? html`<${Code} text=${lack.remedy} what="what to run" />` : html`<p class="muted">${lack.remedy}</p>`)}</div>`)}
    ${!test.ok && html`<div class="buttons start"><button type="button" class="small" onClick=${again}>Test again</button></div>`}</div>`;
}

const isCommand = (text) => /^(GRANT|CREATE|db\.|rs\.|use |zenith )/.test(text);
