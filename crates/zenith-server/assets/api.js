// The API of the server: one function a call, one kind of error. Everything the page does goes through here.

import { store } from './lib.js';

const BASE = '/api/v1/';
const KEPT = 'zenith-token';

/** What keeps the page from the server: nothing, or the error of a refused token. */
export const denial = store(null);

/** An answer that says no, or none at all: `code`, a sentence, and what to do. */
export class ApiError extends Error {
  constructor(status, { code, message, remedy }) {
    super(message);
    this.status = status;
    this.code = code ?? null;
    this.remedy = remedy ?? null;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEPT),
  set(value) {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
    denial.set(null);
  },
};

/** The response to a request; throws an `ApiError` unless it is a success. */
export async function request(path, { method = 'GET', body, signal } = {}) {
  const headers = {};
  const bearer = token.get();
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(BASE + path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, { message: 'The server does not answer.', remedy: 'The page tries again by itself.' });
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const error = new ApiError(response.status, { ...said, message: said.message ?? `The server answers ${response.status}.` });
  if (response.status === 401) denial.set(error);
  throw error;
}

async function json(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

const at = (name, ...rest) => ['pipelines', encodeURIComponent(name), ...rest].join('/');
const post = (path, body = {}) => json(path, { method: 'POST', body });

export const api = {
  server: () => json('server'),
  pipelines: () => json('pipelines'),
  pipeline: (name) => json(at(name)),
  series: (name) => json(at(name, 'series')),
  runs: (name) => json(at(name, 'runs?limit=50')),
  schema: (name) => json(at(name, 'schema')),
  /** Some documents beside their rows; `document` is `null` for those who may not see what is masked. */
  sample: (name) => json(at(name, 'sample')),
  /** The same of a pipeline that a text of zenith.toml has. */
  planSample: (toml, pipeline) => post('plan/sample', { toml, pipeline }),
  /** What did not fit in the last hour, in slots of time. */
  mismatches: (name) => json(at(name, 'mismatches')),
  /** A pipeline of several collections. */
  template: (name) => json(`templates/${encodeURIComponent(name)}`),
  promotion: (name) => json(at(name, 'promotion')),
  pause: (name) => post(at(name, 'pause')),
  resume: (name) => post(at(name, 'resume')),
  /** `reload`, `reset`, `promote` or `verify`; a request that is followed by `follow`. */
  ask: (name, action, body) => post(at(name, action), body),
  follow: (id) => json(`requests/${id}`),
  cancel: (id) => json(`requests/${id}`, { method: 'DELETE' }),
  remove: (name) => json(at(name), { method: 'DELETE' }),
  letters: (name) => json(at(name, 'letters?limit=100')),
  letter: (name, key) => json(at(name, 'letters', encodeURIComponent(key))),
  retryLetters: (name, ids) => post(at(name, 'letters/retry'), ids ? { ids } : {}),
  purgeLetters: (name, ids) => post(at(name, 'letters/purge'), ids ? { ids } : {}),
  connectors: () => json('connectors'),
  testConnector: (asked, signal) => json('connectors/test', { method: 'POST', body: asked, signal }),
  /** `end` is `{name}`, or `{role, uri}` of one that is not applied yet. */
  collections: (end, database) => post('connectors/collections', { ...end, database }),
  plan: (toml, signal) => json('plan', { method: 'POST', body: { toml }, signal }),
  apply: (toml) => post('apply', { toml, remove: false }),
  config: () => request('config').then((response) => response.text()),
  log: (pipeline) => json(`log?limit=500${pipeline ? `&pipeline=${encodeURIComponent(pipeline)}` : ''}`),
  audit: () => json('audit?limit=200'),
};
