// A line of the last hour, small enough for a row. Unknown minutes are gaps.

import { number } from '../format.js';
import { html } from '../lib.js';

const WIDTH = 96;
const HEIGHT = 24;

/** The path of the line: one piece for each run of known points. */
export function sparkPath(points, most) {
  const x = (index) => ((index * WIDTH) / Math.max(points.length - 1, 1)).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (value / (most || 1)) * (HEIGHT - 4)).toFixed(1);
  let path = '';
  let pen = 'M';
  points.forEach((value, index) => {
    if (value === null || value === undefined) pen = 'M';
    else {
      path += `${pen}${x(index)} ${y(value)}`;
      pen = 'L';
    }
  });
  return path;
}

/** The newest point is at the right; without `count` the points take the whole width. */
export function Spark({ points, what, count = 0 }) {
  const all = [...Array(Math.max(count - (points ?? []).length, 0)).fill(null), ...(points ?? [])];
  const known = all.filter((value) => value !== null && value !== undefined);
  if (known.length < 2) return null;
  const most = Math.max(...known);
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img"
    aria-label=${`${what}, at most ${number(most)}`}><path d=${sparkPath(all, most)} /></svg>`;
}
