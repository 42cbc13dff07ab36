// A list that draws only the rows in sight, so that thousands stay smooth. All rows are equally high; the window scrolls.

import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib.js';

/** Rows drawn above and below those in sight. */
const BEYOND = 8;
/** Up to so many rows are drawn as they are. */
const ALL_MAX = 60;

/** The first row to draw and the one after the last. */
export function windowOf({ top, height, rowHeight, count }) {
  if (count <= ALL_MAX) return [0, count];
  const first = Math.max(Math.floor(top / rowHeight) - BEYOND, 0);
  const last = Math.min(Math.ceil((top + height) / rowHeight) + BEYOND, count);
  return [Math.min(first, Math.max(count - 1, 0)), Math.max(last, 0)];
}

/** `row(item, index)` draws one; `rowHeight` is in pixels and has to be that of the stylesheet. */
export function VirtualList({ items, row, rowHeight }) {
  const element = useRef(null);
  const [range, setRange] = useState([0, Math.min(items.length, ALL_MAX)]);
  const look = () => {
    const box = element.current?.getBoundingClientRect();
    if (!box) return;
    const next = windowOf({ top: -box.top, height: innerHeight, rowHeight, count: items.length });
    setRange((before) => (before[0] === next[0] && before[1] === next[1] ? before : next));
  };
  useLayoutEffect(look, [items.length, rowHeight]);
  useEffect(() => {
    let frame = 0;
    const later = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(look);
    };
    addEventListener('scroll', later, { passive: true });
    addEventListener('resize', later);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', later);
      removeEventListener('resize', later);
    };
  }, [items.length, rowHeight]);
  const [first, last] = range;
  return html`<div ref=${element} role="rowgroup" class="rows" style=${{ height: `${items.length * rowHeight}px`, paddingTop: `${first * rowHeight}px` }}>
    ${items.slice(first, last).map((item, index) => row(item, first + index))}</div>`;
}

/** Whether a condition of the window holds, as `(max-width: 720px)`. */
export function useMedia(condition) {
  const [holds, set] = useState(() => matchMedia(condition).matches);
  useEffect(() => {
    const media = matchMedia(condition);
    const change = () => set(media.matches);
    change();
    media.addEventListener('change', change);
    return () => media.removeEventListener('change', change);
  }, [condition]);
  return holds;
}
