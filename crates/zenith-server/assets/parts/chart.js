// A chart of the last hour, by uPlot, which is fetched when the first chart is drawn.

import { clock } from '../format.js';
import { html, useEffect, useRef, useState, useStore } from '../lib.js';
import { theme } from '../theme.js';
import { useMedia } from './list.js';

const HEIGHT = 132;
/** What is shown at most, and where little of it is known. */
const SECONDS = 3600;
const SECONDS_LEAST = 600;

let loading = null;
function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = '/assets/vendor/uplot.js';
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => reject(new Error('uPlot is not there'));
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = '/assets/vendor/uplot.css';
    document.head.append(style, script);
  });
  return loading;
}

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A token as a canvas takes it: what the stylesheet makes of it for the theme of now. */
function colour(name) {
  const probe = document.createElement('i');
  probe.className = `probe ${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** What of the time is shown: what is known, and at least some minutes. */
function span(first, last) {
  const end = last ?? Date.now() / 1000;
  return [end - Math.min(Math.max(end - (first ?? end), SECONDS_LEAST), SECONDS), end];
}

function options(width, format, point) {
  const axis = { stroke: colour('muted'), font: `11px ${token('--font')}`, grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    cursor: { y: false, points: { size: 6 } },
    legend: { show: false },
    hooks: { setCursor: [({ cursor }) => point(cursor.idx ?? null)] },
    scales: { x: { range: (_, first, last) => span(first, last) }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [
      { ...axis, space: 80, size: 24, values: (_, times) => times.map((time) => clock(time * 1000).slice(0, 5)) },
      { ...axis, size: 64, space: 32, values: (_, values) => values.map((value) => format(value)) },
    ],
    series: [{}, { stroke: colour('series'), width: 1.5, points: { show: false }, spanGaps: false }],
  };
}

/** `values` are equally far apart, the last one of `at`, `step` seconds each. */
export function Chart({ title, values, at, step, format }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [pointed, point] = useState(null);
  // Drawn anew with the theme, because a canvas knows no stylesheet.
  const chosen = useStore(theme);
  const isDark = useMedia('(prefers-color-scheme: dark)');
  const end = (at ? new Date(at).getTime() : Date.now()) / 1000;
  const data = [values.map((_, index) => end - (values.length - 1 - index) * step), values];
  const known = values.filter((value) => value !== null && value !== undefined);
  useEffect(() => {
    const node = place.current;
    let gone = false;
    let observer;
    load().then((uPlot) => {
      if (gone) return;
      plot.current = new uPlot(options(node.clientWidth, format, point), data, node);
      observer = new ResizeObserver(() => plot.current?.setSize({ width: node.clientWidth, height: HEIGHT }));
      observer.observe(node);
    }).catch(() => {});
    return () => {
      gone = true;
      observer?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [chosen, isDark]);
  useEffect(() => plot.current?.setData(data), [at]);
  const now = known.length ? format(known.at(-1)) : '–';
  const most = known.length ? format(Math.max(...known)) : '–';
  const isPointed = pointed !== null && pointed < values.length;
  return html`<figure class="chart"><figcaption><b>${title}</b>${isPointed ? html`<span>${format(values[pointed])}</span><span class="muted">at ${clock(data[0][pointed] * 1000)}</span>`
    : html`<span>${now}</span><span class="muted">at most ${most}</span>`}</figcaption>
    <div ref=${place} class="plot" role="img" aria-label=${`${title} in the last hour: now ${now}, at most ${most}`} /></figure>`;
}
