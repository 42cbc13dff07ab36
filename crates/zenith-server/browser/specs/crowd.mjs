// Fifty pipelines that run and a template of a thousand collections, as a server says them: the first view, the collections
// of the template, scrolled and searched.

import assert from 'node:assert/strict';

import { firstView } from './first_view.mjs';

const DRAWN_MAX = 100;

export const specs = {
  'a fleet of fifty pipelines and a thousand collections': async (world) => {
    const { base } = await world.ask('crowd');
    await firstView(world, '50 pipelines and 1,000 collections', base, (page) => page.getByRole('table', { name: 'Pipelines' }));

    const page = await world.open(null, { base });
    await page.addInitScript(() => {
      window.longTasks = [];
      new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => Math.round(entry.duration)))).observe({ entryTypes: ['longtask'] });
    });
    await page.goto(base);
    await page.getByRole('link', { name: 'crowd', exact: true }).waitFor();
    await world.accessible(page);
    await page.getByRole('link', { name: 'crowd', exact: true }).click();
    const table = page.getByRole('table', { name: 'Collections' });
    await table.waitFor();
    assert.equal(await table.getAttribute('aria-rowcount'), '1001');
    await page.evaluate(() => { window.longTasks = []; });
    for (let step = 0; step < 30; step += 1) {
      await page.mouse.wheel(0, 1500);
      await page.waitForTimeout(50);
    }
    assert.ok((await page.getByRole('row').count()) < DRAWN_MAX, 'only rows in sight are drawn');
    await page.getByRole('searchbox', { name: 'Search collections' }).pressSequentially('crowd_0999', { delay: 30 });
    await page.getByRole('link', { name: 'crowd.crowd_0999' }).waitFor();
    assert.equal(await page.getByRole('row').count(), 2);
    const tasks = await page.evaluate(() => window.longTasks);
    console.error(`1,000 collections of a server: longest tasks ${tasks.sort((one, other) => other - one).slice(0, 3).join(', ') || 'none over 50'} ms`);
    await page.getByRole('searchbox', { name: 'Search collections' }).fill('');
    await page.getByRole('button', { name: /1.000 paused/, pressed: false }).click();
    assert.match(page.url(), /state=paused/);
    await world.picture(page, 'collections');
    await world.accessible(page);

    // Its settings, and where they come from.
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByLabel('settings as zenith.toml', { exact: true }).getByText('crowd_*').waitFor();
    await page.getByRole('cell', { name: 'in zenith.toml' }).first().waitFor();
    await world.accessible(page);
  },
};
