// One pipeline, or the collections of a template: its state in a sentence, its views, what is under way.

import { api } from '../api.js';
import { firstLine } from '../format.js';
import { html, useEffect, useNow, useState, useStore } from '../lib.js';
import { connection, fleet } from '../live.js';
import { Ago, ErrorNote, Mark, Skeleton } from '../parts/controls.js';
import { group, groupSentence, kindOf, sentence, trouble, troubleSince } from '../pipelines.js';
import { Link, pipelineAddress } from '../router.js';
import { Letters } from './letters.js';
import { Members } from './members.js';
import { Overview } from './overview.js';
import { PauseButton } from './pause.js';
import { Request } from './requests.js';
import { Runs } from './runs.js';
import { Settings } from './settings.js';
import { Table } from './table.js';

const TABS = [
  ['overview', 'Overview', Overview],
  ['table', 'Table', Table],
  ['letters', 'Dead letters and extra', Letters],
  ['runs', 'Runs', Runs],
  ['settings', 'Settings', Settings],
];
/** Those of a template. */
const GROUP_TABS = [
  ['overview', 'Collections', Members],
  ['settings', 'Settings', Settings],
];
const DETAIL_MS = 5000;

/** What `ask` answers, asked again each `step` milliseconds while the server is there; what is known stays. */
export function useAsked(ask, key, step) {
  const [known, set] = useState({ value: null, error: null });
  const { status } = useStore(connection);
  const [count, again] = useState(0);
  useEffect(() => {
    let gone = false;
    let timer;
    const look = async () => {
      try {
        const value = await ask();
        if (!gone) set({ value, error: null });
      } catch (error) {
        // A server that is away says nothing new about what is on the screen.
        if (!gone) set((before) => (error.status === 0 && before.value ? before : { ...before, error }));
      }
      if (!gone && step) timer = setTimeout(look, step);
    };
    look();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [key, status === 'lost', count]);
  return { ...known, again: () => again((before) => before + 1) };
}

export function PipelineView({ name, tab }) {
  const known = useStore(fleet);
  const template = known?.templates.find((each) => each.name === name);
  const isTemplate = Boolean(template);
  const detail = useAsked(() => (isTemplate ? api.template(name) : api.pipeline(name)), name + isTemplate, DETAIL_MS);
  const live = known?.pipelines.get(name);
  if (!live && !template) return detail.error ? html`<${Missing} name=${name} error=${detail.error} />` : html`<${Skeleton} />`;
  const members = template && [...known.pipelines.values()].filter((each) => each.template === name);
  const pipeline = template ? group(template, members) : live;
  const tabs = template ? GROUP_TABS : TABS;
  const [, , View] = tabs.find(([key]) => key === tab) ?? tabs[0];
  return html`<${Title} pipeline=${pipeline} />
    <nav class="tabs" aria-label=${`Views of ${name}`}>${tabs.map(([key, text]) => html`
      <${Link} href=${pipelineAddress(name, key === 'overview' ? '' : key)} aria-current=${tab === key ? 'page' : undefined}>${text}<//>`)}</nav>
    <div class="stack"><${Trouble} pipeline=${pipeline} /><${Request} />
      <${View} key=${tab} name=${name} pipeline=${pipeline} detail=${detail} /></div>`;
}

function Missing({ name, error }) {
  if (error && error.status !== 404) return html`<${ErrorNote} error=${error} />`;
  return html`<div class="empty"><h1>There is no pipeline ${name}</h1><p class="muted">It may have been removed, or never applied.</p>
    <p><${Link} class="button" href="/">To the fleet<//></p></div>`;
}

function Title({ pipeline }) {
  const now = useNow();
  return html`<div class="title"><div>
      <p class="crumbs"><${Link} href="/">Fleet<//>${pipeline.template ? html` / <${Link} href=${pipelineAddress(pipeline.template)}>${pipeline.template}<//>` : ''}</p>
      <h1>${pipeline.name}</h1>
      <p class="muted">${pipeline.from} → ${pipeline.to}, mode ${pipeline.mode}</p>
      <p class=${`state ${kindOf(pipeline)}`}><${Mark} kind=${kindOf(pipeline)} />${pipeline.isGroup ? groupSentence(pipeline) : sentence(pipeline, now)}</p></div>
    <div class="buttons"><${PauseButton} pipeline=${pipeline} /></div></div>`;
}

/** What is wrong, whole: the first line first, and since when. */
function Trouble({ pipeline }) {
  const why = pipeline.isGroup ? '' : trouble(pipeline);
  if (!why) return null;
  const kind = kindOf(pipeline);
  const whole = (kind === 'failing' ? pipeline.last_error : pipeline.waiting_for) ?? '';
  const rest = whole.slice(firstLine(whole).length).trim();
  const since = troubleSince(pipeline);
  return html`<div class=${`note ${kind}`}><${Mark} kind=${kind} /><div><p>${why}</p>${rest && html`<p class="muted">${rest}</p>`}
    ${since && html`<p class="muted">Since <${Ago} time=${since} />${pipeline.last_error_at ? html`, last tried <${Ago} time=${pipeline.last_error_at} />` : ''}.</p>`}</div></div>`;
}
