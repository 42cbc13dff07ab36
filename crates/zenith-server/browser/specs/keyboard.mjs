// Everything by the keyboard alone, with what has the focus in sight; names of all controls; nothing moves for those who do
// not want it.

import assert from 'node:assert/strict';

import { until } from '../world.mjs';

/** What has the focus: its name, and whether one sees that it has it. */
const focused = (page) => page.evaluate(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const name = (element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent).trim();
  return { tag: element.tagName, name, isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
});

/** Presses Tab until something of that name has the focus; each thing on the way is to be seen. */
async function tabTo(page, wanted) {
  for (let press = 0; press < 60; press += 1) {
    await page.keyboard.press('Tab');
    const { tag, name, isSeen } = await focused(page);
    if (tag === 'BODY') continue;
    assert.ok(isSeen, `the focus on ${tag} ${name} is not to be seen`);
    if (wanted.test(name)) return;
  }
  assert.fail(`nothing like ${wanted} is reached by Tab`);
}

export const specs = {
  'the first steps of a new pipeline': async (world) => {
    const page = await world.open('/');
    await page.getByRole('table', { name: 'Pipelines' }).waitFor();
    await tabTo(page, /^Skip to the view$/);
    await tabTo(page, /^New pipeline$/);
    await page.keyboard.press('Enter');
    await page.getByText('MongoDB 6').waitFor();
    await page.getByText('ClickHouse 2').waitFor();
    await until('one can go on', () => page.getByRole('button', { name: 'Continue' }).isEnabled());
    await tabTo(page, /^Continue$/);
    await page.keyboard.press('Enter');
    await page.getByRole('checkbox', { name: 'reviews', exact: true }).waitFor();
    await tabTo(page, /^reviews/);
    await page.keyboard.press('Space');
    await page.getByText(/^1 collection:/).waitFor();
    await tabTo(page, /^Continue$/);
    await page.keyboard.press('Enter');
    await page.getByLabel('Name of the pipeline').waitFor();
  },

  'nothing moves for those who do not want it': async (world) => {
    const page = await world.open('/pipelines/orders');
    await page.locator('.plot canvas').first().waitFor();
    const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter((element) => {
      const { transitionDuration, animationName } = getComputedStyle(element);
      return animationName !== 'none' || parseFloat(transitionDuration) > 0;
    }).length);
    assert.equal(moving, 0);
  },

  'the page says its language, its width and what it is': async (world) => {
    const page = await world.open('/');
    await page.getByRole('table', { name: 'Pipelines' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    assert.match(await page.locator('meta[name=viewport]').getAttribute('content'), /width=device-width/);
    assert.ok((await page.locator('meta[name=description]').getAttribute('content')).length > 40);
    assert.equal(await page.getByRole('main').count(), 1);
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    const nameless = await page.evaluate(() => [...document.querySelectorAll('a, button, input, select, textarea, [role=img]')]
      .filter((element) => !(element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent).trim()).map((element) => element.outerHTML));
    assert.deepEqual(nameless, []);
  },
};
