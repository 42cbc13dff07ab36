// A thousand collections: the list draws what is in sight, so that no task keeps the browser from answering for long. How
// long is told, and not a reason to fail: it depends on what else the machine does.

import assert from 'node:assert/strict';

const COUNT = 1000;
const DRAWN_MAX = 100;

function pipelines(at) {
  return Array.from({ length: COUNT }, (_, index) => {
    const name = `logs.device_${String(index).padStart(4, '0')}`;
    return {
      name, from: `mongo.${name}`, to: `warehouse.device_${index}`, mode: 'changes', state: 'following', template: null, paused: false, rows: index * 1000,
      rows_per_second: (index * 7 + at) % 300, lag_seconds: ((index + at) % 9) / 10, oplog_headroom_seconds: 90_000, extra_values_total: 0, dead_letters_total: 0,
      spark: Array.from({ length: 60 }, (_, minute) => (index + minute * 7) % 50),
    };
  });
}

const event = (at) => `event: pipelines\ndata: ${JSON.stringify({ at: new Date().toISOString(), counts: {}, pipelines: pipelines(at), removed: [] })}\n\n`;

export const specs = {
  'a thousand rows scroll, change and are searched': async (world) => {
    const page = await world.open(null);
    // All of them change each second, which is more than a server says.
    await page.addInitScript((events) => {
      window.longTasks = [];
      new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => Math.round(entry.duration)))).observe({ entryTypes: ['longtask'] });
      const real = window.fetch;
      window.fetch = (url, options) => {
        if (!String(url).endsWith('/events')) return real(url, options);
        const encoder = new TextEncoder();
        let next = 0;
        const stream = new ReadableStream({ start(control) {
          const send = () => control.enqueue(encoder.encode(events[next++ % events.length]));
          send();
          setInterval(send, 1000);
        } });
        return Promise.resolve(new Response(stream));
      };
    }, [event(0), event(1), event(2)]);
    await page.goto(world.base);
    const table = page.getByRole('table', { name: 'Pipelines' });
    await table.waitFor();
    assert.ok(Number(await table.getAttribute('aria-rowcount')) > COUNT);
    await page.evaluate(() => { window.longTasks = []; });
    for (let step = 0; step < 40; step += 1) {
      await page.mouse.wheel(0, 1200);
      await page.waitForTimeout(50);
    }
    assert.ok((await page.getByRole('row').count()) < DRAWN_MAX, 'only rows in sight are drawn');
    await page.getByRole('searchbox').pressSequentially('device_0999', { delay: 30 });
    await page.getByRole('link', { name: 'logs.device_0999' }).waitFor();
    assert.equal(await page.getByRole('row').count(), 2);
    const tasks = await page.evaluate(() => window.longTasks);
    console.error(`longest tasks: ${tasks.sort((one, other) => other - one).slice(0, 3).join(', ') || 'none over 50'} ms`);
  },
};
