// The frame of the page: the bar, which view the address asks for, how the connection stands.

import { denial } from './api.js';
import { clock, counted, zone } from './format.js';
import { html, render, useEffect, useState, useStore } from './lib.js';
import { connection, fleet } from './live.js';
import { Dialog } from './parts/dialog.js';
import { Notices } from './parts/notices.js';
import { kindOf } from './pipelines.js';
import { Link, place } from './router.js';
import { after, choose, theme } from './theme.js';
import { Fleet } from './views/fleet.js';
import { Token } from './views/token.js';

/** Views that are fetched when they are asked for; the fleet is there at once. */
const LATER = {
  pipeline: () => import('./views/pipeline.js').then((module) => module.PipelineView),
  new: () => import('./views/new/new.js').then((module) => module.NewPipeline),
  log: () => import('./views/log.js').then((module) => module.Log),
  config: () => import('./views/config.js').then((module) => module.Config),
};
const loaded = {};

/** The view of a path: its name, and what it is about. */
export function route(path) {
  const [first, name, view] = path.split('/').filter(Boolean).map(decodeURIComponent);
  if (!first) return { view: 'fleet' };
  if (first === 'pipelines' && name) return { view: 'pipeline', name, tab: view ?? 'overview' };
  if (['new', 'log', 'config'].includes(first) && !name) return { view: first };
  return { view: 'nowhere' };
}

/** Fetches a view; the same one later is there at once. */
async function fetchView(view) {
  loaded[view] ??= await LATER[view]();
}

/** Fetches what is not in sight yet, so that it is there when the server is not. */
async function fetchAll() {
  for (const view of Object.keys(LATER)) await fetchView(view).catch(() => {});
}

/** How many fail: in the title, for whoever looks at another tab, and read out when it changes. */
function Failing({ title }) {
  const known = useStore(fleet);
  const count = known ? [...known.pipelines.values()].filter((pipeline) => kindOf(pipeline) === 'failing').length : 0;
  useEffect(() => {
    document.title = `${count ? `${count} failing · ` : ''}${title} · Zenith`;
  }, [count, title]);
  return html`<p class="hidden" role="status">${count ? `${counted(count, 'pipeline is', 'pipelines are')} failing` : ''}</p>`;
}

function Connection() {
  const { status, last } = useStore(connection);
  if (status === 'live') return html`<span class="connection" title=${`Times are ${zone()}`}>Live</span>`;
  if (status === 'connecting') return html`<span class="connection begun">Connecting</span>`;
  return html`<span class="connection lost">Reconnecting${last ? html`, last known <time>${clock(last)}</time>` : ''}</span>`;
}

function Theme() {
  const chosen = useStore(theme);
  return html`<button type="button" class="quiet small" onClick=${() => choose(after(chosen))} aria-label=${`Colours: ${chosen}. Change to ${after(chosen)}`}>
    ${{ auto: 'Auto', light: 'Light', dark: 'Dark' }[chosen]}</button>`;
}

function Bar({ view }) {
  const current = (name) => (view === name ? 'page' : undefined);
  return html`<header class="bar"><a class="skip" href="#main">Skip to the view</a>
    <${Link} href="/" class="brand">Zenith<//>
    <nav aria-label="Views">
      <${Link} href="/" aria-current=${current('fleet')}>Fleet<//>
      <${Link} href="/log" aria-current=${current('log')}>Log<//>
      <${Link} href="/config" aria-current=${current('config')}>Configuration<//>
      <${Link} href="/new" aria-current=${current('new')}>New pipeline<//>
    </nav>
    <${Connection} /><${Theme} /></header>`;
}

/** A view that may have to be fetched first. */
function View({ view, ...about }) {
  const [, draw] = useState(0);
  const [failed, fail] = useState(null);
  const { status } = useStore(connection);
  useEffect(() => {
    if (!LATER[view] || loaded[view]) return;
    fetchView(view).then(() => draw((count) => count + 1), fail);
  }, [view]);
  // A view that could not be fetched has nothing on the screen that could be lost.
  useEffect(() => {
    if (failed && status === 'live') location.reload();
  }, [failed, status]);
  if (view === 'fleet') return html`<${Fleet} />`;
  if (view === 'nowhere') return html`<div class="empty"><h1>There is nothing at this address</h1><p><${Link} href="/">To the fleet<//></p></div>`;
  if (failed && !loaded[view]) return html`<div class="empty"><h1>The server does not answer</h1><p class="muted">This view appears as soon as it does.</p></div>`;
  return loaded[view] ? html`<${loaded[view]} ...${about} />` : html`<div class="skeleton"><p /><p /><p /></div>`;
}

function Page() {
  const { path } = useStore(place);
  const refused = useStore(denial);
  const about = route(path);
  const titles = { fleet: 'Fleet', new: 'New pipeline', log: 'Log', config: 'Configuration', pipeline: about.name, nowhere: 'Nothing here' };
  useEffect(() => {
    const slash = (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.closest('input, textarea, select, dialog')) return;
      const search = document.querySelector('input[type=search]');
      if (!search) return;
      event.preventDefault();
      search.focus();
    };
    addEventListener('keydown', slash);
    return () => removeEventListener('keydown', slash);
  }, []);
  if (refused) return html`<main id="main" tabindex="-1"><${Token} error=${refused} /></main>`;
  return html`<${Bar} view=${about.view} />
    <main id="main" tabindex="-1"><${View} key=${about.view + (about.name ?? '')} ...${about} /></main>
    <${Notices} /><${Dialog} /><${Failing} title=${titles[about.view]} />`;
}

const root = document.getElementById('page');
root.replaceChildren();
render(html`<${Page} />`, root);
const untilLive = connection.follow(whenLive);
whenLive();

function whenLive() {
  if (connection.get().status !== 'live') return;
  untilLive();
  setTimeout(fetchAll, 200);
}
