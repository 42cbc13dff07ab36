// Settings as zenith.toml has them: changed with their difference first, and exported.

import assert from 'node:assert/strict';

export const specs = {
  'settings are changed, with the difference before': async (world) => {
    const page = await world.open('/pipelines/orders/settings');
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    const text = page.getByRole('textbox');
    await text.fill((await text.inputValue()).replace('collection = "orders"\n', 'collection = "orders"\nflush_interval = "1s"\n'));
    await page.getByRole('button', { name: 'Show what changes' }).click();
    await page.getByRole('listitem').getByText(/flush_interval/).first().waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByLabel('settings as zenith.toml', { exact: true }).getByText('flush_interval').waitFor();
    // It was made on the page; those of the file are said to be of it.
    await page.getByText('it is not in zenith.toml').waitFor();
    await page.getByRole('row').filter({ hasText: 'flush_interval' }).getByText('set here or by the API').waitFor();
    await world.accessible(page);
    await world.picture(page, 'settings');
    await page.goto(`${world.base}/pipelines/prices/settings`);
    await page.getByText(/^from zenith.toml, as it is/).waitFor();
    await page.getByRole('row').filter({ hasText: 'every' }).getByText('in zenith.toml').waitFor();

    await page.goto(`${world.base}/config`);
    await page.getByLabel('what is applied as zenith.toml', { exact: true }).getByText('[pipelines.orders]').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as zenith.toml' }).click();
    assert.equal((await download).suggestedFilename(), 'zenith.toml');
    await world.accessible(page);
  },
};
