// The live stream: server-sent events read by `fetch`, because an `EventSource` sends no token. What was known stays on
// the screen while the stream is lost, and says of when it is.

import { api, denial, request } from './api.js';
import { store } from './lib.js';
import { withSums } from './pipelines.js';

/** A stream that is quiet for so long is lost: the server sends a comment each ten seconds. */
const QUIET_MS = 25_000;
const PAUSE_MS = [250, 500, 1000, 2000, 4000];
/** Lines of the log that are kept. */
const LOG_MAX = 2000;

/** `connecting` until the first data, then `live` or `lost`; `last` is when the last data came, in milliseconds. */
export const connection = store({ status: 'connecting', last: null });
/** Everything about the pipelines: a map by name, and the templates. `null` until known. */
export const fleet = store(null);
/** Version, role, memory; `null` until known. */
export const server = store(null);
/** The newest lines of the log, oldest first. */
export const log = store([]);

/** Splits the text of a stream into events: `{event, data}`. */
export function eventReader(take) {
  let rest = '';
  return (text) => {
    rest += text;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      const field = (name) => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length).trimStart());
      const data = field('data:').join('\n');
      if (data) take({ event: field('event:')[0] ?? 'message', data: JSON.parse(data) });
    }
  };
}

/** Follows the server until the page is left. */
export async function followServer() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await followOnce(() => { attempt = 0; });
    } catch (error) {
      if (error.status === 401) await untilAllowed();
    }
    const { status, last } = connection.get();
    if (status === 'live') connection.set({ status: 'lost', last });
    else if (status === 'connecting' && attempt > 1) connection.set({ status: 'lost', last });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS[Math.min(attempt, PAUSE_MS.length - 1)]));
  }
}

async function followOnce(begun) {
  const abort = new AbortController();
  let timer;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), QUIET_MS);
  };
  alive();
  try {
    const response = await request('events', { signal: abort.signal });
    begun();
    // What the stream does not carry; the stream does not wait for it.
    api.server().then((about) => server.set(about), () => {});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const read = eventReader(take(true));
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      read(value);
      connection.set({ status: 'live', last: Date.now() });
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

function untilAllowed() {
  return new Promise((resolve) => {
    const leave = denial.follow(() => {
      if (denial.get()) return;
      leave();
      resolve();
    });
  });
}

/** Takes events; the first about pipelines replaces everything, because it has all of them. */
function take(isFirst) {
  return ({ event, data }) => {
    if (event === 'pipelines') {
      const known = fleet.get();
      const pipelines = isFirst ? new Map() : new Map(known?.pipelines);
      isFirst = false;
      // What has changed of each; of one that is new, everything.
      for (const pipeline of data.pipelines) pipelines.set(pipeline.name, withNews(pipelines.get(pipeline.name), pipeline));
      for (const name of data.removed ?? []) pipelines.delete(name);
      fleet.set({ pipelines, templates: data.templates ?? known?.templates ?? [], at: data.at });
    } else if (event === 'log') {
      addLog([data]);
    }
  };
}

/** A pipeline with fields that are new. */
const withNews = (known, fields) => withSums({ ...known, extra_values_total: undefined, dead_letters_total: undefined, ...fields });

/** Adds lines that are not there yet. */
export function addLog(lines) {
  const known = new Set(log.get().map((line) => line.id));
  const fresh = lines.filter((line) => !known.has(line.id));
  if (!fresh.length) return;
  const all = [...log.get(), ...fresh].sort((one, other) => one.id - other.id);
  log.set(all.slice(-LOG_MAX));
}

/** Asks for the pipelines and the server itself. */
export async function refresh() {
  const [about, all] = await Promise.allSettled([api.server(), api.pipelines()]);
  if (about.status === 'fulfilled') server.set(about.value);
  if (all.status === 'fulfilled') {
    const { pipelines, templates, at } = all.value;
    // The stream's figures are newer, where it has some.
    const known = new Map([...pipelines.map((pipeline) => [pipeline.name, withSums(pipeline)]), ...(fleet.get()?.pipelines ?? [])]);
    fleet.set({ pipelines: known, templates: templates ?? [], at });
  }
}

/** Waits until a pipeline or template that was just made is known; not for long. */
export async function untilKnown(name) {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    await refresh();
    const known = fleet.get();
    if (known?.pipelines.has(name) || known?.templates.some((template) => template.name === name)) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Takes a pipeline that an answer carries, before the stream says so. */
export function takePipeline(pipeline) {
  const known = fleet.get();
  if (!known?.pipelines.has(pipeline?.name)) return;
  fleet.set({ ...known, pipelines: new Map(known.pipelines).set(pipeline.name, withNews(known.pipelines.get(pipeline.name), pipeline)) });
}
