// Addresses: each view and each filter has one. Links are plain links, and stay so for a new tab.

import { html, store, useStore } from './lib.js';

const read = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export const place = store(read());
addEventListener('popstate', () => place.set(read()));

/** Goes to an address of the page. */
export function go(address, { replace = false } = {}) {
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  const before = place.get().path;
  place.set(read());
  if (place.get().path === before) return;
  scrollTo(0, 0);
  // For screen readers: what is read next is the view.
  document.getElementById('main')?.focus({ preventScroll: true });
}

/** A parameter of the address, and what sets it without a new entry in the history. */
export function useQuery(name, otherwise = '') {
  const { path, query } = useStore(place);
  const set = (value) => {
    const next = new URLSearchParams(place.get().query);
    if (value === otherwise || value === '') next.delete(name);
    else next.set(name, value);
    const text = next.toString();
    go(path + (text && `?${text}`), { replace: true });
  };
  return [query.get(name) ?? otherwise, set];
}

/** The address of a pipeline, or of one of its views. */
export const pipelineAddress = (name, view) => `/pipelines/${encodeURIComponent(name)}${view ? `/${view}` : ''}`;

/** A link within the page. */
export function Link({ href, children, ...rest }) {
  const follow = (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
  };
  return html`<a href=${href} onClick=${follow} ...${rest}>${children}</a>`;
}
