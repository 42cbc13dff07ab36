// The server goes and comes back under an open page: nothing on the screen is lost, and then it is the truth.

import assert from 'node:assert/strict';

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
};
