// What did not fit: seen, looked at, mended and tried again.

import { until } from '../world.mjs';

export const specs = {
  'values in extra and dead letters are listed with their reasons': async (world) => {
    const page = await world.open('/pipelines/customers/letters');
    await page.getByRole('region', { name: 'Values in extra' }).getByText('zip').first().waitFor();
    const letters = page.getByRole('region', { name: 'Dead letters', exact: true });
    await letters.getByText('positive').first().waitFor();
    await page.getByRole('img', { name: '3 values in the last hour, at most 3 values in five minutes' }).waitFor();
    await page.getByRole('region', { name: 'Dead letters by reason' }).getByRole('img', { name: /^2 documents in the last hour/ }).waitFor();
    await page.getByRole('button', { name: /^Look at/ }).first().click();
    await page.getByLabel('Document as Extended JSON').getByText('balance').waitFor();
    await world.picture(page, 'letters');
    await world.accessible(page);
  },

  'letters that are retried after the cause is gone become rows': async (world) => {
    const page = await world.open('/pipelines/customers/letters');
    await page.getByRole('button', { name: 'Retry all' }).waitFor();
    await world.clickhouse('ALTER TABLE customers DROP CONSTRAINT positive');
    await page.getByRole('button', { name: 'Retry all' }).click();
    await page.getByText(/^Retried: 2 documents have a row now/).waitFor();
    await page.getByText('Each document has its row.').waitFor();
    await until('the rows are there', async () => (await world.clickhouse('SELECT count() FROM customers_current WHERE balance < 0')) === '2');
  },
};
