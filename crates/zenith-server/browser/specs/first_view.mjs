// What a first look costs, and what the page is allowed to ask for.

import assert from 'node:assert/strict';

const BYTES_MAX = 120_000;

export const specs = {
  'everything is under 120 KB and comes from this server': async (world) => {
    const page = await world.open(null);
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    const urls = new Map();
    let bytes = 0;
    session.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url));
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (!urls.get(requestId)?.includes('/api/')) bytes += encodedDataLength;
    });
    await page.goto(world.base);
    await page.getByRole('table', { name: 'Pipelines' }).waitFor();
    const views = ['/pipelines/customers', '/pipelines/customers/table', '/pipelines/customers/letters', '/log', '/new'];
    for (const view of views) await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, view).then(() => page.waitForTimeout(700));
    const foreign = [...urls.values()].filter((url) => !url.startsWith(world.base) && !url.startsWith('blob:'));
    assert.deepEqual(foreign, []);
    console.error(`the whole page is ${bytes} bytes on the wire`);
    assert.ok(bytes > 20_000 && bytes < BYTES_MAX, `${bytes} bytes`);
  },

  'the first view is there soon': async (world) => {
    const page = await world.open(null);
    await page.goto(world.base);
    await page.getByRole('table', { name: 'Pipelines' }).waitFor();
    const milliseconds = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    const rows = await page.evaluate(() => performance.getEntriesByName('zenith-fleet')[0]?.startTime);
    console.error(`first paint after ${Math.round(milliseconds)} ms, the fleet after ${Math.round(rows)} ms`);
    assert.ok(milliseconds > 0 && rows > 0);
  },

  'scripts and styles of others are forbidden': async (world) => {
    const response = await fetch(world.base);
    const policy = response.headers.get('content-security-policy');
    assert.match(policy, /default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
  },
};
