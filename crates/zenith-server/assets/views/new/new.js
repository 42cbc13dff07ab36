// A new pipeline in four steps: ends, collections, table, review. The way is always in sight.

import { html, useStore } from '../../lib.js';
import { Code } from '../../parts/controls.js';
import { useQuery } from '../../router.js';
import { useForbidden } from '../pause.js';
import { Collections } from './collections.js';
import { draft } from './draft.js';
import { Ends } from './ends.js';
import { Review } from './review.js';
import { Shape } from './shape.js';

/** Each step: its name, what shows it, whether what comes before it has been chosen. */
const STEPS = [
  ['ends', 'Ends', Ends, () => true],
  ['collections', 'Collections', Collections, (of) => Boolean(of.source.name && of.target.name && of.source.test?.ok)],
  ['table', 'Table', Shape, (of) => of.collections.length > 0],
  ['review', 'Review', Review, (of) => of.name !== ''],
];

export function NewPipeline() {
  const [asked, go] = useQuery('step', 'ends');
  const of = useStore(draft);
  const forbidden = useForbidden('admin');
  const isOpen = (index) => STEPS.slice(0, index + 1).every(([, , , isReady]) => isReady(of));
  const wanted = STEPS.findIndex(([key]) => key === asked);
  // An address of a later step, in a page that knows nothing of the earlier ones.
  const current = wanted > 0 && isOpen(wanted) ? wanted : 0;
  const [, , Step] = STEPS[current];
  const move = (by) => {
    go(STEPS[current + by][0]);
    scrollTo(0, 0);
  };
  if (forbidden) return html`<div class="empty"><h1>New pipeline</h1><p>${forbidden}.</p></div>`;
  return html`<h1>New pipeline</h1>
    <ol class="steps" aria-label="Steps">${STEPS.map(([key, text], index) => html`<li class=${index < current ? 'past' : ''} aria-current=${index === current ? 'step' : undefined}>
      ${index < current ? html`<button type="button" onClick=${() => go(key)}>${text}</button>` : text}</li>`)}</ol>
    <div class="stack"><${Step} of=${of} next=${() => move(1)} back=${() => move(-1)} /></div>`;
}

/** The buttons at the end of a step, and the same from a terminal. */
export function Way({ back, next, verb = 'Continue', isReady = true, why, command }) {
  return html`<div class="buttons start">${back && html`<button type="button" onClick=${back}>Back</button>`}
      <button type="button" class="main" disabled=${!isReady} onClick=${next}>${verb}</button>${why && html`<span class="muted">${why}</span>`}</div>
    <details><summary class="muted">The same from a terminal</summary><${Code} text=${command} what="command" /></details>`;
}
