// What needs no browser: how figures become words, what a draft becomes, which rows are drawn, how a stream is cut.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { ago, bytes, coarse, counted, duration, number, percent, perSecond, plainId, share, short, zone } from '../../assets/format.js';
import { eventReader } from '../../assets/live.js';
import { windowOf } from '../../assets/parts/list.js';
import { sparkPath } from '../../assets/parts/spark.js';
import { columnChanged, fleetRows, group, groupSentence, sentence, snapshotLeft, snapshotShare, withSums } from '../../assets/pipelines.js';
import { databaseOf, expressions, toml, withDatabase } from '../../assets/views/new/draft.js';

/** Thin spaces are hard to see. */
const plain = (text) => text.replaceAll('\u202f', ' ');
const are = (pairs) => pairs.forEach(([found, expected]) => assert.equal(plain(found), expected));

const NOW = Date.parse('2026-01-31T12:00:00Z');
const pipeline = (fields) => withSums({ name: 'orders', state: 'following', paused: false, lag_seconds: 0.3, rows_per_second: 12, rows: 10, ...fields });

const ASSETS = new URL('../../assets/', import.meta.url);

/** What a module imports, and what that imports. */
function imported(file, found = new Set()) {
  const text = readFileSync(file, 'utf8');
  for (const [, name] of text.matchAll(/\bfrom ?['"](\.[^'"]+)['"]/g)) {
    const { href } = new URL(name, file);
    if (!found.has(href)) imported(new URL(found.add(href) && href), found);
  }
  return found;
}

export const specs = {
  'all that the first view imports is asked for at once': () => {
    const page = readFileSync(new URL('index.html', ASSETS), 'utf8');
    const asked = [...page.matchAll(/modulepreload" href="\/assets\/([^"]+)"/g)].map(([, name]) => new URL(name, ASSETS).href);
    assert.deepEqual(asked.sort(), [...imported(new URL('app.js', ASSETS))].sort());
  },

  'numbers have thin separators and units': () => are([
    [number(1234567), '1 234 567'], [number(0), '0'], [number(null), '–'], [short(999), '999'], [short(12_400_000), '12.4 M'], [short(999_960), '1.0 M'],
    [short(0.4), '0.4'], [bytes(0), '0 B'], [bytes(4_100_000_000), '4.1 GB'], [perSecond(2210), '2.2 k/s'], [percent(0.4567), '45 %'], [percent(0.9999), '99.9 %'],
    [percent(1), '100 %'], [share(0.004), '< 1 %'], [share(0), '0 %'], [counted(1, 'row'), '1 row'], [counted(2000, 'row'), '2 000 rows'],
  ]),

  'durations have two units at most': () => are([
    [duration(0), '0 s'], [duration(0.0214), '21 ms'], [duration(0.3), '0.3 s'], [duration(12.4), '12 s'], [duration(200), '3 min 20 s'], [duration(7500), '2 h 5 min'],
    [duration(3600), '1 h'], [duration(273_600), '3 d 4 h'], [duration(59.7), '1 min'], [coarse(200), '3 min'], [coarse(9.2), '9 s'], [coarse(null), '–'],
    [ago(NOW - 720_000, NOW), '12 min ago'], [ago(NOW - 100, NOW), 'now'], [ago(NOW + 90_000, NOW), 'in 1 min'],
  ]),

  'an _id is shown without its type': () => are([[plainId('{"$numberLong":"20"}'), '20'], [plainId('{"$oid": "65a1"}'), '65a1'], [plainId('"a"'), '"a"'], [plainId('{"a":1}'), '{"a":1}']]),

  'times have their zone': () => assert.match(zone(), /^UTC([+−]\d+(:\d\d)?)?$/),

  'a state is one sentence': () => are([
    [sentence(pipeline(), NOW), 'Following, 0.3 s behind, 12 rows/s.'],
    [sentence(pipeline({ rows_per_second: 0 }), NOW), 'Following, 0.3 s behind; no changes at the moment.'],
    [sentence(pipeline({ rows_per_second: 0, lag_seconds: 754 }), NOW), 'Following, but 12 min 34 s behind, and no rows arrive.'],
    [sentence(pipeline({ state: 'snapshot', rows_loaded: 500_000, rows_expected: 1_000_000, rows_per_second: 100_000 }), NOW), 'Reading the whole collection: 50 %, 500 k of 1.0 M documents, about 5 s left.'],
    [sentence(pipeline({ state: 'paused', oplog_headroom_seconds: 7300 }), NOW), 'Paused. MongoDB keeps the changes since its checkpoint for about 2 h.'],
    [sentence(pipeline({ state: 'done', next_run: '2026-01-31T12:40:00Z' }), NOW), 'Done. The next run is in 40 min.'],
  ]),

  'a snapshot without an estimate goes by its partitions': () => {
    const loading = pipeline({ state: 'snapshot', snapshot_parts: 16, snapshot_parts_done: 4 });
    assert.deepEqual([snapshotShare(loading), snapshotLeft(loading), snapshotShare(pipeline())], [0.25, null, null]);
  },

  'a template is one row, and its failing collections are beside it': () => {
    const template = { name: 'logs', from: 'shop.(device_*)', to: 'warehouse', pipelines: 3, waiting_for: null };
    const members = ['a', 'b', 'c'].map((name) => pipeline({ name: `logs.${name}`, template: 'logs', state: name === 'b' ? 'failed' : 'following', last_error: 'gone\nfor good', dead_letters: 2, spark: [1, 2] }));
    const rows = fleetRows({ pipelines: new Map([pipeline(), ...members].map((each) => [each.name, each])), templates: [template] });
    assert.deepEqual(rows.map((row) => row.name).sort(), ['logs', 'logs.b', 'orders']);
    const all = group(template, members);
    assert.deepEqual([all.state, all.rows, all.dead_letters_total, all.lag_seconds, all.spark.length, all.spark.at(-1), all.spark[0]], ['failed', 30, 6, 0.3, 60, 6, null]);
    assert.equal(groupSentence(all), '1 of 3 collections: failed.');
    assert.equal(groupSentence(group(template, [])), 'No collection has been found yet.');
  },

  'what does not fit is summed over fields and reasons': () => {
    const summed = pipeline({ extra_values: { zip: { 'is string': 3 }, vip: { 'no column': 1, other: 1 } }, dead_letters: 2 });
    assert.deepEqual([summed.extra_values_total, summed.dead_letters_total], [5, 2]);
  },

  'a stream is cut into events wherever its pieces end': () => {
    const events = [];
    const read = eventReader((event) => events.push(event));
    for (const piece of [': alive\n\nevent: lo', 'g\ndata: {"id":', '1}\n', '\nevent: log\r\ndata: {"id":2}\r\n\r\n:\n\n']) read(piece);
    assert.deepEqual(events, [{ event: 'log', data: { id: 1 } }, { event: 'log', data: { id: 2 } }]);
  },

  'only rows in sight are drawn': () => {
    assert.deepEqual(windowOf({ top: 0, height: 800, rowHeight: 50, count: 40 }), [0, 40]);
    assert.deepEqual(windowOf({ top: 5000, height: 800, rowHeight: 50, count: 1000 }), [92, 124]);
    assert.deepEqual(windowOf({ top: -300, height: 800, rowHeight: 50, count: 1000 }), [0, 18]);
    assert.deepEqual(windowOf({ top: 90_000, height: 800, rowHeight: 50, count: 1000 })[1], 1000);
  },

  'a column has changed with the newest version that names it': () => {
    const versions = [{ created: 'first', cause: '', statement: '' }, { created: 'second', cause: 'the new field zip', statement: 'ALTER TABLE t ADD COLUMN `zip` String' }];
    assert.deepEqual(['zip', 'zi', 'a.b'].map((column) => columnChanged(versions, column)), ['second', 'first', 'first']);
    assert.equal(columnChanged([], 'zip'), null);
  },

  'unknown points are gaps of a line': () => assert.equal(sparkPath([1, null, 2, 2], 2).match(/M/g).length, 2),

  'a draft is what zenith.toml would say': () => {
    const of = {
      source: { name: 'shop', uri: 'mongodb://h/shop', isNew: true }, target: { name: 'warehouse', uri: 'http://h:8123/x', isNew: false }, database: 'shop',
      collections: ['orders'], name: 'my orders', table: '', mode: 'changes', orderBy: 'tenant, toDate(a, "b")', masks: { 'customer.email': 'redact' }, exclude: ['secret'],
    };
    assert.equal(toml(of), `[sources.shop]
uri = "mongodb://h/shop"

[pipelines."my orders"]
source = "shop"
target = "warehouse"
collection = "orders"
mode = "changes"
order_by = ["tenant", "toDate(a, \\"b\\")"]
exclude = ["secret"]

[pipelines."my orders".mask]
"customer.email" = "redact"
`);
    assert.match(toml({ ...of, database: 'other', collections: ['a', 'b'] }), /collections = \["other.a", "other.b"\]/);
  },

  'addresses and their databases': () => {
    assert.deepEqual([databaseOf('mongodb://a:b@h:1,i:2/shop?x=1'), databaseOf('http://h:8123'), databaseOf('mongodb://h')], ['shop', '', '']);
    assert.deepEqual([withDatabase('mongodb://h:1/?replicaSet=r', 'shop'), withDatabase('http://h:8123', 'x'), withDatabase('mongodb://h/old?a=b', 'new')], ['mongodb://h:1/shop?replicaSet=r', 'http://h:8123/x', 'mongodb://h/new?a=b']);
    assert.deepEqual(expressions('a, f(b, c) ,d'), ['a', 'f(b, c)', 'd']);
  },
};
