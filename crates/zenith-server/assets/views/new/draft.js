// What has been chosen for a new pipeline, and the text that zenith.toml would have for it.

import { store } from '../../lib.js';

/** An end that is not chosen yet. */
const end = () => ({ name: '', uri: '', isNew: true, test: null });

const fresh = () => ({
  source: end(),
  target: end(),
  database: '',
  collections: [],
  name: '',
  table: '',
  mode: 'changes',
  orderBy: '',
  masks: {},
  exclude: [],
});

/** Kept while the page is open, so that one may look elsewhere and come back. */
export const draft = store(fresh());
export const change = (fields) => draft.set({ ...draft.get(), ...fields });
export const forget = () => draft.set(fresh());

const quoted = (text) => `"${String(text).replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`;
/** A key of TOML: bare where it may be. */
const key = (text) => (/^[\w-]+$/.test(text) ? text : quoted(text));
const list = (texts) => `[${texts.map(quoted).join(', ')}]`;

/** The database that an address names; empty if it names none. */
export const databaseOf = (uri) => uri.match(/^[a-z+]+:\/\/[^/]+\/([^?]*)/i)?.[1] ?? '';

/** The address with that database in it. */
export function withDatabase(uri, database) {
  const [, before, options] = uri.match(/^([a-z+]+:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/i) ?? [];
  return before ? `${before}/${database}${options ?? ''}` : uri;
}

/** A list of expressions, divided at the commas that are outside of brackets. */
export function expressions(text) {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** How zenith.toml calls a collection: with its database unless the address names that. */
const called = (of, collection) => (databaseOf(of.source.uri) === of.database ? collection : `${of.database}.${collection}`);

/** The sections of the ends, where they are new. */
export function endsToml({ source, target }) {
  const section = (kind, { name, uri, isNew }) => (isNew ? `[${kind}.${key(name)}]\nuri = ${quoted(uri)}\n\n` : '');
  return section('sources', source) + section('targets', target);
}

/** The section of the pipeline. */
export function pipelineToml(of) {
  const collections = of.collections.map((collection) => called(of, collection));
  const lines = [
    `[pipelines.${key(of.name)}]`,
    `source = ${quoted(of.source.name)}`,
    `target = ${quoted(of.target.name)}`,
    collections.length === 1 ? `collection = ${quoted(collections[0])}` : `collections = ${list(collections)}`,
    of.table && `table = ${quoted(of.table)}`,
    `mode = ${quoted(of.mode)}`,
    expressions(of.orderBy).length > 0 && `order_by = ${list(expressions(of.orderBy))}`,
    of.exclude.length > 0 && `exclude = ${list(of.exclude)}`,
  ];
  const masks = Object.entries(of.masks);
  const masked = masks.length ? `\n[pipelines.${key(of.name)}.mask]\n${masks.map(([field, mask]) => `${key(field)} = ${quoted(mask)}\n`).join('')}` : '';
  return `${lines.filter(Boolean).join('\n')}\n${masked}`;
}

export const toml = (of) => endsToml(of) + pipelineToml(of);
