// Short messages at the bottom: what was done, with a way back. Read out politely, gone after a while.

import { html, store, useEffect, useStore } from '../lib.js';

const SHOWN_MS = 8000;

const notices = store([]);
let last = 0;

/** Shows a message; `undo` is called when somebody wants it back. */
export function notify(text, { undo, tone } = {}) {
  last += 1;
  notices.set([...notices.get().slice(-2), { id: last, text, undo, tone }]);
}

const close = (id) => notices.set(notices.get().filter((notice) => notice.id !== id));

function Notice({ id, text, undo, tone }) {
  useEffect(() => {
    const timer = setTimeout(() => close(id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [id]);
  const back = () => {
    close(id);
    undo();
  };
  return html`<div class=${`notice ${tone ?? ''}`}><span>${text}</span>
    ${undo && html`<button type="button" onClick=${back}>Undo</button>`}
    <button type="button" class="quiet" aria-label="Close this message" onClick=${() => close(id)}>×</button></div>`;
}

/** Where messages appear. */
export function Notices() {
  const shown = useStore(notices);
  return html`<div class="notices" role="status" aria-live="polite">${shown.map((notice) => html`<${Notice} key=${notice.id} ...${notice} />`)}</div>`;
}
