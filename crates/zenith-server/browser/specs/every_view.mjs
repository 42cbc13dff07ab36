// Every view on a phone and in the dark, free of what axe-core finds, without sideways scrolling.

import assert from 'node:assert/strict';

const VIEWS = {
  '/': 'table',
  '/pipelines/orders': '.plot canvas',
  '/pipelines/orders/table': 'table',
  '/pipelines/orders/runs': 'table',
  '/pipelines/orders/settings': 'pre',
  '/pipelines/customers/letters': 'table',
  '/pipelines/prices': '.plot canvas',
  '/pipelines/logs': '[role=table]',
  '/pipelines/logs/settings': 'pre',
  '/pipelines/logs.device_00': '.plot canvas',
  '/log': '.line',
  '/log?show=changes': 'h1',
  '/config': 'pre',
  '/new': 'section',
  '/nowhere/at/all': 'h1',
  '/pipelines/unknown': 'h1',
};
const PHONE = { width: 390, height: 844 };
/** An answer that is asked for on purpose. */
const UNKNOWN = /404/;

async function look(world, options, kind) {
  for (const [path, there] of Object.entries(VIEWS)) {
    const page = await world.open(path, { ...options, allow: UNKNOWN });
    await page.locator(there === 'table' && path === '/' ? '[role=table]' : there).first().waitFor();
    const [width, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= window, `${path} is ${width} wide in ${window}`);
    // That looks at both schemes.
    if (!options.scheme) await world.accessible(page);
    if (['phone', 'dark'].includes(kind) && ['/', '/pipelines/orders'].includes(path)) await world.picture(page, `${path === '/' ? 'fleet' : 'pipeline'}-${kind}`);
    await page.context().close();
  }
}

export const specs = {
  'on a phone': (world) => look(world, { viewport: PHONE }, 'phone'),
  'in the dark': (world) => look(world, { scheme: 'dark' }, 'dark'),
  'on a wide screen': (world) => look(world, { viewport: { width: 2560, height: 1440 } }, 'wide'),
};
