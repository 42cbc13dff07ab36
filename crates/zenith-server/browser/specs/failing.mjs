// A pipeline that cannot go on comes first and says why.

import assert from 'node:assert/strict';

export const specs = {
  'it comes first, with the first line of its error and since when': async (world) => {
    const page = await world.open('/');
    const first = page.getByRole('row').nth(1);
    await first.filter({ hasText: 'payments' }).waitFor();
    await first.getByText(/since \d\d:\d\d \(/).waitFor();
    assert.match(await page.title(), /^1 failing · Fleet/);
    await world.accessible(page);
    await world.picture(page, 'fleet');
    await page.getByRole('button', { name: /failing/ }).click();
    assert.match(page.url(), /state=failing/);
    await page.reload();
    await page.getByRole('button', { name: /failing/, pressed: true }).waitFor();
    await page.getByRole('link', { name: 'payments' }).click();
    await page.locator('.note.failing').waitFor();
    await page.locator('.plot canvas').nth(3).waitFor();
    await world.picture(page, 'failing');
    await world.accessible(page);
  },

  'the log tells it': async (world) => {
    const page = await world.open('/log?level=error');
    await page.locator('.line').filter({ hasText: 'payments' }).first().waitFor();
    await page.goto(`${world.base}/log`);
    await page.locator('.line').first().waitFor();
    await page.getByText('Live').waitFor();
    await world.picture(page, 'log');
    await world.accessible(page);
  },
};
