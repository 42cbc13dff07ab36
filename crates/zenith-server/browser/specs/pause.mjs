// Pause, undo and resume, in the list and by the keyboard alone.

import assert from 'node:assert/strict';

import { until } from '../world.mjs';

export const specs = {
  'a pause is undone, and a paused pipeline resumed': async (world) => {
    const page = await world.open('/');
    const row = page.getByRole('row').filter({ hasText: 'customers' });
    await page.getByRole('button', { name: 'Pause customers' }).click();
    await row.getByText('paused').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('button', { name: 'Pause customers' }).waitFor();
    await row.getByText('following').waitFor();

    await page.getByRole('button', { name: 'Pause customers' }).click();
    await page.getByRole('button', { name: 'Resume customers' }).waitFor();
    await world.mongo({ update: 'customers', updates: [{ q: { _id: 1 }, u: { $set: { name: 'While it rests' } } }] });
    await page.getByRole('button', { name: 'Resume customers' }).click();
    await row.getByText('following').waitFor();
    await until('what happened meanwhile arrives', async () => (await world.clickhouse('SELECT name FROM customers_current WHERE _id = 1')) === 'While it rests');
  },

  'nothing needs a mouse': async (world) => {
    const page = await world.open('/');
    await page.getByRole('table', { name: 'Pipelines' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('custom');
    await until('the address has the search', () => page.url().includes('search=custom'));
    assert.equal(await page.getByRole('row').count(), 2);
    await page.getByRole('link', { name: 'customers' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'customers', level: 1 }).waitFor();
    await page.getByRole('button', { name: 'Reload…' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.goBack();
    assert.equal(await page.getByRole('searchbox').inputValue(), 'custom');
  },
};
