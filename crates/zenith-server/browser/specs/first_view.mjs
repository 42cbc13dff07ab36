// What a first look costs, and what the page is allowed to ask for.

import assert from 'node:assert/strict';

const BYTES_MAX = 120_000;

/** Looks a few times and tells the quickest: how long it takes, and not what else the machine does. */
export async function firstView(world, what, base, there) {
  const seen = [];
  for (let time = 0; time < 5; time += 1) {
    const page = await world.open(null, { base });
    await page.goto(base);
    await there(page).waitFor();
    const of = (name) => page.evaluate((entry) => performance.getEntriesByName(entry)[0]?.startTime, name);
    seen.push({ paint: await of('first-contentful-paint'), rows: await of('zenith-fleet') });
    await page.context().close();
  }
  const least = (key) => Math.min(...seen.map((each) => each[key]));
  console.error(`first view of ${what}: painted after ${Math.round(least('paint'))} ms, complete after ${Math.round(least('rows'))} ms (all: ${seen.map(({ rows }) => Math.round(rows)).join(', ')})`);
  assert.ok(least('paint') > 0 && least('rows') > 0);
}

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

  'the first view of nothing and of some pipelines is there soon': async (world) => {
    const { base } = await world.ask('empty');
    await firstView(world, 'nothing', base, (page) => page.getByRole('heading', { name: 'Nothing is kept in step yet' }));
    await firstView(world, '45 pipelines', world.base, (page) => page.getByRole('table', { name: 'Pipelines' }));
  },

  'scripts and styles of others are forbidden': async (world) => {
    const response = await fetch(world.base);
    const policy = response.headers.get('content-security-policy');
    assert.match(policy, /default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
  },
};
