// The server goes and comes back under an open page: nothing on the screen is lost, and then it is the truth.

import assert from 'node:assert/strict';

import { until } from '../world.mjs';

/** What the browser itself says when nobody answers. */
const AWAY = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET/;

export const specs = {
  'killed and started again': async (world) => {
    const page = await world.open('/', { allow: AWAY });
    await page.getByRole('row').filter({ hasText: 'orders' }).getByText('following').waitFor();
    const rows = await page.getByRole('row').count();
    await page.getByText('Live').waitFor();
    // All views are fetched a moment after the first one.
    await page.waitForFunction(() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/views/log.js')));
    await world.ask('kill');
    const lost = page.getByText(/Reconnecting, last known \d\d:\d\d:\d\d/);
    await lost.waitFor();
    assert.equal(await page.getByRole('row').count(), rows);
    await world.picture(page, 'reconnecting');
    await world.accessible(page);
    // A view that was open before is there, too.
    await page.getByRole('link', { name: 'orders' }).first().click();
    await page.getByRole('heading', { name: 'orders', level: 1 }).waitFor();
    await lost.waitFor();
    await world.ask('start');
    await page.getByText('Live').waitFor();
    await page.getByText(/^Following/).waitFor();
  },

  'stopped, and started again with another truth': async (world) => {
    const page = await world.open('/?search=orders', { allow: AWAY });
    const row = page.getByRole('row').filter({ hasText: 'orders' });
    await row.getByText('following').waitFor();
    await world.ask('stop');
    await page.getByText(/Reconnecting, last known/).waitFor();
    await row.waitFor();
    await world.mongo({ update: 'orders', updates: [{ q: { _id: 7 }, u: { $set: { state: 'lost' } } }] });
    const began = Date.now();
    await world.ask('start');
    await page.getByText('Live').waitFor();
    console.error(`the page is live ${Date.now() - began} ms after the server was started again`);
    await row.getByText('following').waitFor();
    await until('what happened meanwhile arrives', async () => (await world.clickhouse('SELECT state FROM orders_current WHERE _id = 7')) === 'lost');
    // Where one was, and what one looked for, is as it was.
    assert.match(page.url(), /search=orders/);
  },
};
