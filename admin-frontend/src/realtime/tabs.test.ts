import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeBrowser, memoryChannels } from '../test/FakeTabs';
import { FakeEnvironment } from '../test/FakeEnvironment';
import { settle, until } from '../test/until';

let browser: FakeBrowser;
beforeEach(() => {
  browser = new FakeBrowser();
});
afterEach(() => browser.close());

function hidden(): FakeEnvironment {
  const environment = new FakeEnvironment();
  environment.visible = false;
  return environment;
}

/** Resolve once all are settled, letting time pass as they need it. */
async function decided(claims: Promise<boolean>[]): Promise<boolean[]> {
  let results: boolean[] | null = null;
  void Promise.all(claims).then((all) => (results = all));
  await until(() => {
    browser.clock.advance(50);
    return results !== null;
  });
  return results!;
}

test('one of several tabs leads, and when it ends another one does', async () => {
  const [first, second] = [browser.tab(), browser.tab()];
  await until(() => first.isLeader);
  expect(second.isLeader).toBe(false);
  let heard = 0;
  second.subscribe(() => (heard += 1));
  first.close();
  await until(() => second.isLeader);
  expect(first.isLeader).toBe(false);
  expect(heard).toBe(1);
});

test('a tab that closes while it waits to lead never does', async () => {
  const [first, second] = [browser.tab(), browser.tab()];
  await until(() => first.isLeader);
  second.close();
  first.close();
  await settle();
  expect(second.isLeader).toBe(false);
});

test('what one says the others hear, and it does not hear itself', async () => {
  const [first, second, third] = [browser.tab(), browser.tab(), browser.tab()];
  const heard: unknown[] = [];
  first.on((message) => heard.push(['first', message]));
  second.on((message) => heard.push(['second', message]));
  third.on((message) => heard.push(['third', message]));
  first.post({ hello: 1 });
  await until(() => heard.length === 2);
  await settle();
  expect(heard.sort()).toEqual([
    ['second', { hello: 1 }],
    ['third', { hello: 1 }],
  ]);
});

test('of many tabs that claim the same at once exactly one gets it', async () => {
  const tabs = Array.from({ length: 6 }, () => browser.tab());
  const results = await decided(tabs.map((tab) => tab.claim('admin.1-1')));
  expect(results.filter(Boolean)).toHaveLength(1);
});

test('without Web Locks (a page that came by plain HTTP) exactly one gets it too', async () => {
  const openChannel = memoryChannels();
  const tabs = Array.from({ length: 6 }, () => browser.tab({ locks: null, openChannel, storage: null }));
  const claims = tabs.map((tab) => tab.claim('admin.1-1'));
  await settle();
  const results = await decided(claims);
  expect(results.filter(Boolean)).toHaveLength(1);
  expect(tabs.every((tab) => tab.isLeader)).toBe(true);
});

test('a tab that claims a moment later does not get it, though the news has not reached its process yet', async () => {
  const [first, second] = [
    browser.tab({ openChannel: null, storage: null }),
    browser.tab({ openChannel: null, storage: null }),
  ];
  expect(await first.claim('admin.1-1')).toBe(true);
  browser.clock.advance(5000);
  expect(await second.claim('admin.1-1')).toBe(false);
});

test('a tab that is looked at goes first', async () => {
  const dark = browser.tab({ environment: hidden() });
  const bright = browser.tab();
  const results = await decided([dark.claim('admin.1-1'), bright.claim('admin.1-1')]);
  expect(results).toEqual([false, true]);
});

test('where nobody looks, one gets it all the same', async () => {
  const tabs = [browser.tab({ environment: hidden() }), browser.tab({ environment: hidden() })];
  const results = await decided(tabs.map((tab) => tab.claim('admin.1-1')));
  expect(results.filter(Boolean)).toHaveLength(1);
});

test('what was claimed stays so: for a tab that hears of it much later, and after a reload', async () => {
  const first = browser.tab();
  expect(await decided([first.claim('admin.1-1')])).toEqual([true]);
  browser.clock.advance(3_600_000);
  first.close();
  await settle();
  const reloaded = browser.tab();
  expect(await decided([reloaded.claim('admin.1-1'), reloaded.claim('admin.1-2')])).toEqual([false, true]);
});

test('a tab alone, without channel, locks and storage, gets everything once', async () => {
  const tab = browser.tab({ openChannel: null, locks: null, storage: null });
  expect(await decided([tab.claim('a')])).toEqual([true]);
  expect(await decided([tab.claim('a')])).toEqual([false]);
});

test('a closed tab leaves no timer behind, and gets nothing', async () => {
  const tab = browser.tab({ environment: hidden() });
  const claim = tab.claim('a');
  tab.close();
  expect(await claim).toBe(false);
  expect(await tab.claim('b')).toBe(false);
  expect(browser.clock.waiting).toBe(0);
});

test('claims of a long day are forgotten one by one, not kept for ever', async () => {
  const tab = browser.tab();
  for (let n = 0; n < 320; n += 1) {
    expect(await tab.claim(`admin.1-${n}`)).toBe(true);
    browser.clock.advance(10_000);
  }
  const [stored] = [...browser.storage.entries.values()];
  expect(JSON.parse(stored!)).toHaveLength(300);
});
