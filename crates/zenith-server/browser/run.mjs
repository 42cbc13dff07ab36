// The tests of the page: a real browser, before a real server between real databases. A Rust test starts those and this,
// and answers what is asked of it on standard output; see world.mjs.

import { test } from 'node:test';

import { World } from './world.mjs';

/** More than a spec takes on a busy machine: one makes a thousand collections. */
const TIMEOUT_MS = 300_000;

/** In this order: later ones look at what earlier ones have made. */
const SPECS = ['words', 'first_view', 'new_pipeline', 'pause', 'failing', 'letters', 'reload', 'settings', 'connection', 'many', 'keyboard', 'token', 'every_view', 'crowd'];

const only = process.env.ZENITH_TEST_SPECS?.split(',');
const world = await World.begin();

for (const name of only ?? SPECS) {
  const { specs } = await import(`./specs/${name}.mjs`);
  for (const [says, check] of Object.entries(specs)) {
    await test(`${name}: ${says}`, { timeout: TIMEOUT_MS }, () => world.check(check));
  }
}
await world.end();
