// A server that wants a token: none, a wrong one, the right one, and one that may only look.

import assert from 'node:assert/strict';

const REFUSED = /401/;

export const specs = {
  'a wrong token is told, the right one opens the page': async (world) => {
    const { base, admin, read } = await world.ask('guarded');
    const page = await world.open('/', { base, allow: REFUSED });
    await page.getByRole('heading', { name: 'This server wants a token' }).waitFor();
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('heading', { name: 'This token is not known here' }).waitFor();
    await world.picture(page, 'token');
    await world.accessible(page);
    await page.getByLabel('Token').fill(admin);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('heading', { name: 'Nothing is kept in step yet' }).waitFor();
    await page.getByText('Live').waitFor();
    await world.accessible(page);
    await world.picture(page, 'empty');

    const looking = await world.open('/', { base, allow: REFUSED });
    await looking.getByLabel('Token').fill(read);
    await looking.getByRole('button', { name: 'Go on' }).click();
    await looking.getByText('Live').waitFor();
    await looking.goto(`${base}/new`);
    await looking.getByText(/may look, not change/).waitFor();
    assert.equal(await looking.getByLabel('Address').count(), 0);
  },
};
