// Counts over time as bars, small enough for a row: a bar a slot, the newest at the right.

import { absolute, clock, counted } from '../format.js';
import { html } from '../lib.js';

const HEIGHT = 24;
const STEP = 8;

/** `slots` are the times at which they begin; `noun` is what is counted. */
export function Bars({ counts, slots, noun }) {
  const most = Math.max(...counts, 1);
  const all = counts.reduce((sum, count) => sum + count, 0);
  const of = (count) => (count ? Math.max((count / most) * (HEIGHT - 2), 2) : 1);
  return html`<svg class="bars" viewBox=${`0 0 ${counts.length * STEP} ${HEIGHT}`} role="img"
    aria-label=${`${counted(all, noun)} in the last hour, at most ${counted(most, noun)} in five minutes`}>
    ${counts.map((count, index) => html`<rect class=${count ? '' : 'nil'} x=${index * STEP} y=${HEIGHT - of(count)} width=${STEP - 2} height=${of(count)}>
      <title>${slots[index] ? `${counted(count, noun)} from ${clock(slots[index]).slice(0, 5)} (${absolute(slots[index])})` : counted(count, noun)}</title></rect>`)}</svg>`;
}
