import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeBrowser } from '../test/FakeTabs';
import { settle, until } from '../test/until';
import type { ServerMessage } from './messages';
import { NotificationStore } from './notifications';

let browser: FakeBrowser;
beforeEach(() => {
  browser = new FakeBrowser();
});
afterEach(() => browser.close());

function store(options: { userKey?: string; limit?: number; alone?: boolean } = {}): NotificationStore {
  const { userKey = 'admin:1', alone = false, ...more } = options;
  const { storage, clock } = browser;
  return new NotificationStore({ userKey, storage, clock, ...more, ...(!alone && { tabs: browser.tab() }) });
}

const timestamp = (n: number): string => new Date(Date.parse('2026-01-31T12:00:00Z') + n * 1000).toISOString();
const system = (n: number, more: object = {}): ServerMessage => ({
  type: 'system_message',
  message: `message ${n}`,
  level: 'warning',
  timestamp: timestamp(n),
  id: `admin.1-${n}`,
  ...more,
});
const ids = ({ snapshot }: NotificationStore): string[] => snapshot.items.map(({ id }) => id);

describe('what is kept', () => {
  test('is every event, newest first, with what a person reads', () => {
    const notifications = store();
    notifications.add(system(1));
    const fields = { video_id: 1, title: '示例视频', timestamp: timestamp(2) };
    notifications.add({ type: 'transcode_complete', ...fields, format_type: 'av1', file_size: 1, id: 'admin.1-2' });
    notifications.add({
      type: 'transcode_failed',
      ...fields,
      error: 'FFmpeg',
      timestamp: timestamp(3),
      id: 'admin.1-3',
    });
    notifications.add({ type: 'shop.order', message: 'sold', level: 'loud', timestamp: timestamp(4), id: 'all.1-1' });
    expect(notifications.snapshot.unread).toBe(4);
    expect(notifications.snapshot.items).toMatchObject([
      { id: 'all.1-1', type: 'shop.order', level: 'info', title: null, text: 'sold', read: false },
      { id: 'admin.1-3', level: 'error', title: '示例视频', text: 'FFmpeg' },
      { id: 'admin.1-2', level: 'success', title: '示例视频', text: 'av1' },
      { id: 'admin.1-1', level: 'warning', title: null, text: 'message 1' },
    ]);
  });

  test('is neither progress nor what a node says by itself', () => {
    const notifications = store();
    const progress = { type: 'transcode_progress', video_id: 1, status: 'processing', progress: 1, message: '' };
    expect(notifications.add({ ...progress, timestamp: timestamp(1) })).toBeNull();
    expect(notifications.add({ type: 'reconnect', retry_after_ms: 1 })).toBeNull();
    expect(notifications.snapshot).toMatchObject({ items: [], unread: 0 });
  });

  test('is told once', () => {
    const notifications = store();
    expect(notifications.add(system(1))).toMatchObject({ id: 'admin.1-1' });
    expect(notifications.add(system(1))).toBeNull();
    expect(notifications.snapshot.unread).toBe(1);
  });

  test('is bounded: the oldest goes, and coming again it is no news', () => {
    const notifications = store({ limit: 3 });
    for (const n of [1, 2, 3, 4, 5]) notifications.add(system(n));
    expect(ids(notifications)).toEqual(['admin.1-5', 'admin.1-4', 'admin.1-3']);
    expect(notifications.add(system(1))).toBeNull();
    expect(ids(notifications)).toEqual(['admin.1-5', 'admin.1-4', 'admin.1-3']);
  });

  test('can be marked as read, one or all, removed, and muted', () => {
    const notifications = store();
    for (const n of [1, 2, 3]) notifications.add(system(n));
    notifications.markAsRead('admin.1-2');
    expect(notifications.snapshot.unread).toBe(2);
    notifications.markAsRead('all');
    expect(notifications.snapshot.unread).toBe(0);
    notifications.remove('admin.1-2');
    expect(ids(notifications)).toEqual(['admin.1-3', 'admin.1-1']);
    expect(notifications.add(system(2))).toBeNull();
    notifications.setMuted(true);
    expect(notifications.snapshot.muted).toBe(true);
  });

  test('is a new snapshot per change, and the same one without', () => {
    const notifications = store();
    let heard = 0;
    notifications.subscribe(() => (heard += 1));
    const before = notifications.snapshot;
    notifications.add(system(1));
    const after = notifications.snapshot;
    expect(after).not.toBe(before);
    notifications.add(system(1));
    notifications.setMuted(false);
    expect(notifications.snapshot).toBe(after);
    expect(heard).toBe(1);
  });
});

describe('a reload', () => {
  test('finds everything as it was, and hears no old news', () => {
    const before = store({ alone: true });
    for (const n of [1, 2, 3]) before.add(system(n));
    before.markAsRead('admin.1-1');
    before.remove('admin.1-3');
    before.setMuted(true);
    before.close();
    const after = store({ alone: true });
    expect(after.snapshot).toEqual(before.snapshot);
    expect(after.add(system(1))).toBeNull();
    expect(after.add(system(3))).toBeNull();
  });

  test('by somebody else finds nothing', () => {
    const mine = store({ alone: true });
    mine.add(system(1));
    mine.close();
    expect(ids(store({ userKey: 'admin:2' }))).toEqual([]);
  });

  test.each(['{"items":', '[]', '{"items":[{"id":7}],"removed":[7],"muted":1}'])(
    'with %s in storage begins anew',
    (text) => {
      browser.storage.setItem('vsrt:notifications:admin:1', text);
      const notifications = store();
      expect(notifications.snapshot).toEqual({ items: [], unread: 0, muted: false });
      notifications.add(system(1));
      expect(notifications.snapshot.unread).toBe(1);
    },
  );

  test('ten thousand events that are caught up with are not written ten thousand times', () => {
    const notifications = store({ alone: true });
    for (let n = 0; n < 10_000; n += 1) notifications.add(system(n));
    expect(browser.storage.writes).toBe(1);
    browser.clock.advance(200);
    expect(browser.storage.writes).toBe(2);
    notifications.close();
    expect(ids(store({ alone: true }))[0]).toBe('admin.1-9999');
    expect(browser.clock.waiting).toBe(0);
  });

  test('storage that is forbidden costs the memory of it, and no more', () => {
    const forbidden = {
      getItem: (): string => {
        throw new Error('SecurityError');
      },
      setItem: (): void => {
        throw new Error('SecurityError');
      },
    };
    const notifications = new NotificationStore({ userKey: '1', storage: forbidden, clock: browser.clock });
    notifications.add(system(1));
    expect(notifications.snapshot.unread).toBe(1);
  });
});

describe('several tabs', () => {
  test('share what is there, what is read, what is removed and what is muted', async () => {
    const [one, two] = [store(), store()];
    for (const n of [1, 2, 3]) one.add(system(n));
    await until(() => two.snapshot.unread === 3);
    two.markAsRead('admin.1-1');
    await until(() => one.snapshot.unread === 2);
    one.remove('admin.1-2');
    await until(() => two.snapshot.items.length === 2);
    two.setMuted(true);
    await until(() => one.snapshot.muted);
    expect(one.snapshot).toEqual(two.snapshot);
  });

  test('each of which hears an event count it once, and each may ask to show it', async () => {
    const [one, two] = [store(), store()];
    expect(one.add(system(1))).not.toBeNull();
    await until(() => two.snapshot.unread === 1);
    expect(two.add(system(1)), 'or the tab that is looked at would never show it').not.toBeNull();
    expect(two.add(system(1))).toBeNull();
    await settle();
    expect([one.snapshot.unread, two.snapshot.unread]).toEqual([1, 1]);
  });

  test('do not make news of what was read in another', async () => {
    const [one, two] = [store(), store()];
    one.add(system(1));
    one.markAsRead('all');
    await until(() => two.snapshot.items[0]?.read === true);
    expect(two.add(system(1))).toBeNull();
  });

  test('that write over one another come to the same all the same', async () => {
    const [one, two] = [store(), store()];
    // At the same moment, before either has heard of the other.
    one.add(system(1));
    two.add(system(2));
    one.markAsRead('admin.1-1');
    await until(() => one.snapshot.items.length === 2 && two.snapshot.items.length === 2);
    await until(() => two.snapshot.unread === 1);
    browser.clock.advance(1000);
    one.close();
    two.close();
    const reloaded = store({ alone: true });
    expect(reloaded.snapshot).toEqual(one.snapshot);
    expect(ids(reloaded)).toEqual(['admin.1-2', 'admin.1-1']);
  });

  test('and several stores of one user without a channel agree through storage when they write', () => {
    const [one, two] = [store({ alone: true }), store({ alone: true })];
    one.add(system(1));
    two.add(system(2));
    expect(ids(two)).toEqual(['admin.1-2', 'admin.1-1']);
  });
});
