// As somebody new: from nothing to a table that follows its collection, by the page alone.

import assert from 'node:assert/strict';

import { until } from '../world.mjs';

/** Changes documents for so long, so that charts have something to show. */
async function change(world, milliseconds) {
  const end = Date.now() + milliseconds;
  for (let round = 0; Date.now() < end; round += 1) {
    const updates = Array.from({ length: 20 + ((round * 7) % 50) }, (_, index) => ({ q: { _id: 100 + index }, u: { $set: { total: round } } }));
    await world.mongo({ update: 'orders', updates });
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export const specs = {
  'connect both ends, choose, look, start, watch, change a document, see it arrive': async (world) => {
    const began = Date.now();
    const page = await world.open('/');
    await page.getByRole('link', { name: 'New pipeline' }).click();

    // An address that is none is told at once.
    const source = page.getByRole('region', { name: 'Source: MongoDB' });
    const target = page.getByRole('region', { name: 'Target: ClickHouse' });
    for (const [end, address] of [[source, world.from], [target, world.to]]) {
      await end.getByLabel('Use').or(end.getByLabel('Address')).first().waitFor();
      if (await end.getByLabel('Use').count()) await end.getByLabel('Use').selectOption('');
      await end.getByLabel('Address').fill(`nonsense-${address.slice(-8)}`);
    }
    await source.locator('.note, .result p').first().waitFor();
    const go = page.getByRole('button', { name: 'Continue' });
    assert.ok(await go.isDisabled());

    await source.getByLabel('Address').fill(world.from);
    await target.getByLabel('Address').fill(world.to);
    await source.getByText('MongoDB 6').waitFor();
    await target.getByText('ClickHouse 2').waitFor();
    await source.getByLabel('Name').fill('shop');
    await target.getByLabel('Name').fill('warehouse');
    await world.picture(page, 'new-ends');
    await world.accessible(page);
    await go.click();

    await page.getByRole('checkbox', { name: 'orders', exact: true }).check();
    await world.picture(page, 'new-collections');
    await world.accessible(page);
    await go.click();

    // A key is suggested with its reason, and taken by one click.
    await page.getByText(/^In a sample of/).waitFor();
    await page.getByRole('button', { name: 'Use this key' }).click();
    assert.equal(await page.getByLabel('Sorting key').inputValue(), 'state, created_at');
    const values = page.getByLabel('Values of email');
    await values.selectOption('redact');
    await page.getByRole('cell', { name: 'items' }).first().waitFor();
    await until('the plan is there again', () => go.isEnabled());
    await world.picture(page, 'new-table');
    await page.getByRole('button', { name: 'Show some' }).click();
    await page.getByLabel('Document 1 as the collection has it').getByText(/customer\d+@example.com/).waitFor();
    await page.getByRole('region', { name: 'Row of document 1' }).getByText('"****"').waitFor();
    await page.getByRole('heading', { name: 'Documents and the rows they become' }).evaluate((element) => element.parentElement.parentElement.scrollIntoView());
    await world.picture(page, 'new-rows');
    await world.accessible(page);
    await go.click();

    await page.getByText('CREATE TABLE').first().waitFor();
    const toml = await page.getByLabel('text for zenith.toml', { exact: true }).innerText();
    assert.match(toml, /email = "redact"/);
    assert.match(toml, /order_by = \["state", "created_at"\]/);
    await world.picture(page, 'new-review');
    await world.accessible(page);
    await page.getByRole('button', { name: 'Start' }).click();

    await page.getByRole('heading', { name: 'orders' }).waitFor();
    const found = () => world.clickhouse('SELECT count(), uniqExact(email) FROM orders_current').catch(() => 'no table yet');
    await until('all documents are rows, masked', async () => (await found()) === '20000\t1');
    await page.getByText(/^Following/).waitFor();
    console.error(`a new pipeline follows ${Math.round((Date.now() - began) / 1000)} s after the first click`);

    const changed = Date.now();
    await world.mongo({ update: 'orders', updates: [{ q: { _id: 7 }, u: { $set: { state: 'sent back' } } }] });
    await until('the change arrives', async () => (await world.clickhouse('SELECT state FROM orders_current WHERE _id = 7')) === 'sent back');
    console.error(`a change arrives after ${Date.now() - changed} ms`);
    await page.getByText(/20.001/).first().waitFor();
    await page.locator('.plot canvas').first().waitFor();
    if (world.takesPictures) await change(world, 45_000);
    await world.picture(page, 'pipeline');
    await page.goto(`${world.base}/pipelines/orders/table`);
    await page.getByRole('cell', { name: 'customer', exact: true }).waitFor();
    await world.picture(page, 'table');
    await page.getByRole('button', { name: 'Show some' }).click();
    await page.getByLabel('Document 1 as the collection has it').getByText(/customer\d+@example.com/).waitFor();
    await page.getByRole('region', { name: 'Row of document 1' }).getByText('"****"').waitFor();
    await page.getByRole('heading', { name: 'Documents and their rows' }).evaluate((element) => element.parentElement.parentElement.scrollIntoView());
    await world.picture(page, 'rows');
    await world.accessible(page);
  },

  'what an end lacks is told with the statement that grants it': async (world) => {
    const page = await world.open('/new');
    const target = page.getByRole('region', { name: 'Target: ClickHouse' });
    await target.getByText('ClickHouse 2').waitFor();
    // The servers of the tests have nowhere to keep users that are made while they run.
    const grant = 'GRANT INSERT, CREATE TABLE ON `shop`.* TO zenith';
    const lacking = { ok: false, server: null, databases: [], missing: [{ what: 'the user zenith lacks INSERT, CREATE TABLE', remedy: grant }] };
    const tests = '**/api/v1/connectors/test';
    await page.route(tests, (route) => (route.request().postData().includes('"target"') ? route.fulfill({ json: lacking }) : route.continue()));
    await target.getByLabel('Use').selectOption('');
    await target.getByLabel('Address').fill(world.to);
    await target.getByText('the user zenith lacks INSERT').waitFor();
    assert.equal(await target.getByLabel('what to run', { exact: true }).innerText(), grant);
    assert.ok(await page.getByRole('button', { name: 'Continue' }).isDisabled());
    await world.picture(page, 'new-lacks');
    await world.accessible(page);
    await page.unroute(tests);
    await target.getByRole('button', { name: 'Test again' }).click();
    await target.getByText('ClickHouse 2').waitFor();
  },
};
