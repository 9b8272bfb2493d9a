import { type BrowserContext, type BrowserContextOptions, expect, type Page, test as base } from '@playwright/test';

import { Admin } from './Admin';
import { type Claims, Cluster } from './Cluster';

export { expect };

interface Opening extends BrowserContextOptions {
  /** Whose token it is; by default an administrator's whom nobody else is. Null: nobody signs in. */
  claims?: Claims | null;
  /** Open another tab of this browser instead of a browser of its own. */
  tabOf?: Admin;
}

interface Fixtures {
  /** Say so if the test breaks what the page talks to: then the browser itself reports failed requests as errors. */
  networkMayFail: boolean;
  /** Say so if a token ends under the page: a call may be under way with it. */
  tokenMayEnd: boolean;
  watch: (page: Page) => void;
  open: (opening?: Opening) => Promise<Admin>;
}

const NETWORK =
  /^Failed to load resource: (net::ERR_|the server responded with a status of 503)|^WebSocket connection to /;

// A cluster without an inbox says so when it is asked, and the browser writes that down.
const NO_INBOX = 'Failed to load resource: the server responded with a status of 404';

// A change of what is not archived yet: the page repeats it.
const NOT_YET = 'Failed to load resource: the server responded with a status of 503';

const UNAUTHENTICATED = 'Failed to load resource: the server responded with a status of 401';

/**
 * Every test of a worker has the same cluster (those with `test.use({ inbox: true })` one that keeps an inbox), pages of its own, and a console without errors at its end: one that breaks the
 * content security policy is one, too.
 */
export const test = base.extend<Fixtures, { cluster: Cluster; inbox: boolean }>({
  inbox: [false, { option: true, scope: 'worker' }],

  cluster: [
    async ({ inbox }, use) => {
      const cluster = await Cluster.start(inbox);
      await use(cluster);
      await cluster.stop();
    },
    { scope: 'worker', timeout: 120_000 },
  ],

  networkMayFail: [false, { option: true }],
  tokenMayEnd: [false, { option: true }],

  watch: async ({ inbox, networkMayFail, tokenMayEnd }, use) => {
    const isExpected = (text: string, url: string): boolean =>
      (networkMayFail && NETWORK.test(text)) ||
      (tokenMayEnd && text.startsWith(UNAUTHENTICATED)) ||
      (inbox && text.startsWith(NOT_YET) && /\/api\/v1\/notifications\/(?!unread-count)/.test(url)) ||
      (!inbox && text.startsWith(NO_INBOX) && url.includes('/api/v1/notifications/unread-count?'));
    const errors: string[] = [];
    await use((page) => {
      page.on('pageerror', (error) => errors.push(error.stack ?? error.message));
      page.on('console', (message) => {
        if (message.type() !== 'error' || isExpected(message.text(), message.location().url)) return;
        errors.push(`${message.text()} (${message.location().url})`);
      });
    });
    expect(errors, 'errors on the console').toEqual([]);
  },

  open: async ({ browser, cluster, watch }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async ({ claims = {}, tabOf, ...options } = {}) => {
      const token = claims && (await cluster.token({ sub: String(cluster.number()), ...claims }));
      const localStorage = token === null ? [] : [{ name: 'token', value: token }];
      const storageState = { cookies: [], origins: [{ origin: cluster.url, localStorage }] };
      // A test clicks sooner than people do: what slides open would move between press and release of its button.
      const usual: BrowserContextOptions = { locale: 'en', reducedMotion: 'reduce', storageState };
      const context = tabOf?.page.context() ?? (await browser.newContext({ ...usual, ...options }));
      contexts.push(context);
      const page = await context.newPage();
      watch(page);
      const admin = new Admin(page);
      await page.goto(cluster.url);
      if (claims !== null) await admin.isLive();
      return admin;
    });
    for (const context of new Set(contexts)) await context.close();
  },
});
