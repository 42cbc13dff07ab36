// What a spec has: pages of the browser, the databases, the server and its restarts, pictures.
//
// The Rust side reads a line of JSON from standard output, `{"ask": …}`, and writes its answer as a line.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const client = createRequire(join(process.env.ZENITH_TEST_BROWSER_CLIENT, 'run.cjs'));
const { chromium } = client('playwright-core');
const AXE = readFileSync(client.resolve('axe-core/axe.min.js'), 'utf8');

const WIDE = { width: 1360, height: 860 };
/** More than anything takes on a busy machine. */
const TIMEOUT_MS = 90_000;

/** Rules of WCAG 2.2 A and AA, and what is good practice beyond. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export class World {
  #browser;
  #answers;
  #pages = [];

  /** The address of the page, of MongoDB, of ClickHouse, as the Rust side says them. */
  static async begin() {
    const world = new World();
    world.#answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    Object.assign(world, await world.ask('places'));
    world.#browser = await chromium.launch({ executablePath: process.env.ZENITH_TEST_BROWSER, args: ['--no-sandbox'] });
    return world;
  }

  async end() {
    await this.#browser.close();
    process.stdin.destroy();
  }

  /** Asks the Rust side for something; an answer with `error` is thrown. */
  async ask(what, about = null) {
    process.stdout.write(`${JSON.stringify({ ask: what, about })}\n`);
    const { value } = await this.#answers.next();
    const answer = JSON.parse(value);
    if (answer?.error) throw new Error(`${what}: ${answer.error}`);
    return answer;
  }

  /** Runs a command of MongoDB, given as Extended JSON. */
  mongo(command) {
    return this.ask('mongo', command);
  }

  /** What ClickHouse answers, as text without the last line's end. */
  async clickhouse(question) {
    const { origin, pathname, username, password } = new URL(this.to);
    const headers = { 'X-ClickHouse-User': decodeURIComponent(username) || 'default', 'X-ClickHouse-Key': decodeURIComponent(password) };
    const response = await fetch(`${origin}/?database=${pathname.slice(1)}`, { method: 'POST', body: question, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return text.trim();
  }

  /** Runs a spec; nothing may have been complained about in the console of its pages. */
  async check(spec) {
    try {
      await spec(this);
      for (const { complaints } of this.#pages) assert.deepEqual(complaints, []);
    } finally {
      for (const { context } of this.#pages.splice(0)) await context.close();
    }
  }

  /** A page in a context of its own. `allow` is a pattern of complaints that belong to the spec. */
  async open(path, { base = this.base, viewport = WIDE, scheme = 'light', allow } = {}) {
    const context = await this.#browser.newContext({ viewport, colorScheme: scheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const complaints = [];
    const complain = (text) => !allow?.test(text) && complaints.push(text);
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complain(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => complain(error.stack));
    this.#pages.push({ context, complaints });
    if (path) await page.goto(base + path);
    return page;
  }

  /** What axe-core finds against a page, in the light and in the dark, which is to be nothing. */
  async accessible(page) {
    // By the protocol and not as a script of the page, which its policy forbids.
    const session = await page.context().newCDPSession(page);
    await session.send('Runtime.evaluate', { expression: AXE });
    const isDark = await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches);
    for (const colorScheme of isDark ? ['light', 'dark'] : ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      await this.#clean(page, colorScheme);
    }
  }

  async #clean(page, scheme) {
    const found = await page.evaluate((values) => window.axe.run({ runOnly: { type: 'tag', values } }), RULES);
    const told = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`);
    assert.deepEqual(told, [], `${page.url()} ${scheme}`);
  }

  /** Whether pictures are wanted. */
  get takesPictures() {
    return Boolean(process.env.ZENITH_TEST_PICTURES);
  }

  /** Keeps a picture of a page, if pictures are wanted. */
  async picture(page, name) {
    if (this.takesPictures) await page.screenshot({ path: join(process.env.ZENITH_TEST_PICTURES, `${name}.png`) });
  }
}

/** Waits until something holds. */
export async function until(what, holds) {
  const end = Date.now() + TIMEOUT_MS;
  for (;;) {
    if (await holds()) return;
    if (Date.now() > end) throw new Error(`this did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
