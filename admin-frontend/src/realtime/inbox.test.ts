import { afterEach, describe, expect, test } from 'vitest';

import { FakeBrowser, memoryChannels, SharedStorage } from '../test/FakeTabs';
import { InboxDevice } from '../test/InboxDevice';
import { StandInInbox } from '../test/StandInInbox';
import { settle } from '../test/until';
import type { InboxOptions } from './inbox';
import type { InboxFilter, InboxList } from './inboxList';

const open: InboxDevice[] = [];
afterEach(() => {
  for (const device of open.splice(0)) device.inbox.close();
});

function deviceOf(server: StandInInbox, options: Partial<InboxOptions> = {}): InboxDevice {
  const device = new InboxDevice(server, options);
  open.push(device);
  return device;
}

/** An inbox with devices that all hear of changes at once. */
async function inboxWith(count: number, published = 0): Promise<[StandInInbox, ...InboxDevice[]]> {
  const server = new StandInInbox();
  for (let n = 0; n < published; n += 1) server.publish({ type: 'order_paid' });
  server.archive();
  const devices = Array.from({ length: count }, () => deviceOf(server));
  server.tell = (frame) => {
    for (const device of devices) device.hear(frame);
  };
  for (const device of devices) await device.connect();
  return [server, ...devices];
}

const say = (server: StandInInbox, ...devices: InboxDevice[]): string => {
  const event = server.publish({ type: 'order_paid' });
  for (const device of devices) device.hear(event);
  return event.id;
};

async function listOf(device: InboxDevice, filter: InboxFilter = {}): Promise<InboxList> {
  const list = device.inbox.watch(filter);
  await settle();
  return list;
}

const ids = (list: InboxList): string[] => list.snapshot.items.map(({ id }) => id);
const unreadIn = (list: InboxList): string[] => list.snapshot.items.filter(({ read }) => !read).map(({ id }) => id);

describe('the count', () => {
  test('is the server’s, on a device that was never there', async () => {
    const [, device] = await inboxWith(1, 3);
    expect(device!.unread).toBe(3);
    expect(device!.inbox.snapshot.isOn).toBe(true);
  });

  test('goes on with what the socket brings, and counts nothing twice once the database has it', async () => {
    const [server, device] = await inboxWith(1, 3);
    say(server, device!);
    say(server, device!);
    expect(device!.unread).toBe(5);
    server.archive();
    await device!.connect();
    expect(device!.unread).toBe(5);
  });

  test('does not count what the socket brings late and the server has counted', async () => {
    const [server, device] = await inboxWith(1);
    const late = server.publish({ type: 'order_paid' });
    server.archive();
    await device!.connect();
    device!.hear(late);
    expect(device!.unread).toBe(1);
  });

  test('falls at once on every device when one of them reads or deletes', async () => {
    const [server, here, there] = await inboxWith(2, 3);
    await here!.inbox.markAsRead('admin.1-2');
    await here!.inbox.remove('admin.1-3');
    expect([here!.unread, there!.unread, server.unread.length]).toEqual([1, 1, 1]);
  });

  test('is 0 after all is read, and stays so when what was on its way is written', async () => {
    const [server, here, there] = await inboxWith(2, 2);
    const notWritten = say(server, here!, there!);
    await here!.inbox.markAsRead('all');
    expect([here!.unread, there!.unread]).toEqual([0, 0]);
    server.archive();
    await there!.connect();
    expect(there!.unread).toBe(0);
    expect(server.unread).not.toContain(notWritten);
  });

  test('counts what comes after all was read', async () => {
    const [server, device] = await inboxWith(1, 2);
    await device!.inbox.markAsRead('all');
    say(server, device!);
    expect(device!.unread).toBe(1);
  });

  test('takes the first answer of a connection as it is, also from a server that was put back', async () => {
    const [server, device] = await inboxWith(1, 3);
    await device!.inbox.markAsRead('all');
    server.revision = 0;
    say(server, device!);
    server.archive();
    await device!.connect();
    expect(device!.unread).toBe(1);
  });

  test('is not set back by an answer that is older than a frame', async () => {
    const [server, device] = await inboxWith(1, 3);
    device!.isPrompt = false;
    device!.inbox.refresh();
    await settle(); // it has counted three, and the answer is on its way
    server.otherDevice('read', 'admin.1-1');
    expect(device!.unread).toBe(2);
    await device!.catchUp();
    expect(device!.unread).toBe(2);
  });

  test('is asked for again when five hundred events have been counted here', async () => {
    const [server, device] = await inboxWith(1);
    server.calls.length = 0;
    for (let n = 0; n < 500; n += 1) say(server, device!);
    server.archive();
    await settle();
    expect(server.calls.filter((call) => call.includes('unread-count'))).toHaveLength(1);
    expect(device!.unread).toBe(500);
  });

  test('has what was published before a device came, and is written after', async () => {
    const [server, device] = await inboxWith(1);
    const list = await listOf(device!);
    const { id } = server.publish({ type: 'order_paid' });
    await device!.connect({ recovered: null, cursor: 'admin.1-1,all.1-0' });
    expect(device!.unread).toBe(0);
    server.archive();
    device!.clock.advance(1000);
    await settle();
    expect([device!.unread, ids(list)]).toEqual([1, [id]]);
    server.calls.length = 0;
    device!.clock.advance(600_000);
    await settle();
    expect(server.calls).toEqual([]);
  });

  test('is not waited for for ever where something is never written', async () => {
    const [server, device] = await inboxWith(1);
    server.publish({ type: 'order_paid' });
    await device!.connect({ recovered: null, cursor: 'admin.1-1,all.1-0' });
    server.calls.length = 0;
    for (let minute = 0; minute < 20; minute += 1) {
      device!.clock.advance(60_000);
      await settle();
    }
    expect(server.calls).toHaveLength(8);
  });

  test('is shown from the last visit until the server answers', async () => {
    const storage = new SharedStorage();
    const server = new StandInInbox();
    server.publish({ type: 'order_paid' });
    server.archive();
    await deviceOf(server, { storage }).connect();
    expect(deviceOf(server, { storage }).inbox.snapshot).toMatchObject({ isOn: true, unread: 1 });
  });
});

describe('a change', () => {
  test('is shown before the server has answered, and counted once when frame and answer have come', async () => {
    const [, device] = await inboxWith(1, 2);
    const list = await listOf(device!);
    device!.isPrompt = false;
    const done = device!.inbox.markAsRead('admin.1-1');
    expect(device!.unread).toBe(1);
    expect(unreadIn(list)).toEqual(['admin.1-2']);
    await settle(); // the frame is here, the answer is not
    expect(device!.unread).toBe(1);
    await device!.catchUp();
    await done;
    expect(device!.unread).toBe(1);
  });

  test('is taken back if the server does not take it, and that is said until somebody takes note', async () => {
    const [server, device] = await inboxWith(1, 2);
    const list = await listOf(device!);
    server.isAway = true;
    const done = Promise.all([device!.inbox.markAsRead('admin.1-1'), device!.inbox.remove('admin.1-2')]);
    expect([device!.unread, ids(list)]).toEqual([0, ['admin.1-1']]);
    for (let tries = 0; tries < 3; tries += 1) {
      await settle();
      device!.clock.advance(5000);
    }
    await done;
    expect(device!.unread).toBe(2);
    expect(unreadIn(list)).toEqual(['admin.1-2', 'admin.1-1']);
    expect(device!.inbox.snapshot.failed).not.toBeNull();
    device!.inbox.noteFailure();
    expect(device!.inbox.snapshot.failed).toBeNull();
  });

  test('of an event that is not written yet is tried until it is', async () => {
    const [server, device] = await inboxWith(1);
    const id = say(server, device!);
    const done = device!.inbox.markAsRead(id);
    await settle();
    server.archive();
    device!.clock.advance(1000);
    await done;
    expect([device!.unread, server.unread]).toEqual([0, []]);
    expect(device!.inbox.snapshot.failed).toBeNull();
  });

  test('of what is no more takes it out of the list, and is no failure', async () => {
    const [server, device] = await inboxWith(1, 2);
    const list = await listOf(device!);
    server.tell = () => undefined; // this device does not hear of it
    server.otherDevice('delete', 'admin.1-1');
    await device!.inbox.remove('admin.1-1');
    await settle();
    expect(ids(list)).toEqual(['admin.1-2']);
    expect(device!.inbox.snapshot).toMatchObject({ unread: 1, failed: null });
  });

  test('asked for twice is made once', async () => {
    const [server, device] = await inboxWith(1, 2);
    await listOf(device!);
    await Promise.all([device!.inbox.remove('admin.1-1'), device!.inbox.remove('admin.1-1')]);
    await device!.inbox.markAsRead('admin.1-2');
    await device!.inbox.markAsRead('admin.1-2');
    expect(server.calls.filter((call) => !call.startsWith('GET'))).toHaveLength(2);
  });

  test('in one tab is known to another one whose socket is down', async () => {
    const browser = new FakeBrowser();
    const openChannel = memoryChannels();
    const [server] = await inboxWith(0, 2);
    const [here, there] = [0, 1].map(() => deviceOf(server, { tabs: browser.tab({ openChannel }) }));
    await here!.connect();
    await there!.connect();
    await there!.goDown();
    await here!.inbox.markAsRead('admin.1-1'); // no frame comes of it, to either of them
    await settle();
    expect([here!.unread, there!.unread]).toEqual([1, 1]);
    browser.close();
  });
});

describe('a list', () => {
  test('goes back beyond what any socket would bring, page by page, each once', async () => {
    const [server, device] = await inboxWith(1, 70);
    const list = await listOf(device!);
    expect(list.snapshot).toMatchObject({ state: 'ready', hasMore: true });
    const live = say(server, device!);
    await list.loadMore();
    await list.loadMore();
    expect(ids(list)).toEqual(server.kept);
    expect(ids(list)[0]).toBe(live);
    expect(list.snapshot.hasMore).toBe(false);
  });

  test('of what is unread, or of a type, has what the server has of it and what comes of it', async () => {
    const [server, device] = await inboxWith(1, 2);
    const unread = await listOf(device!, { unread: true });
    const orders = await listOf(device!, { type: 'order_paid' });
    await device!.inbox.markAsRead('admin.1-1');
    device!.hear(server.publish({ type: 'other' }));
    expect(ids(unread)).toEqual(['admin.1-3', 'admin.1-2']);
    expect(ids(orders)).toEqual(['admin.1-2', 'admin.1-1']);
  });

  test('is read again after a change that nobody told this device of', async () => {
    const [server, device] = await inboxWith(1, 3);
    const list = await listOf(device!);
    const { tell } = server;
    server.tell = () => undefined;
    server.otherDevice('delete', 'admin.1-1');
    server.tell = tell;
    server.otherDevice('read', 'admin.1-2');
    await settle();
    expect(ids(list)).toEqual(['admin.1-3', 'admin.1-2']);
    expect(unreadIn(list)).toEqual(['admin.1-3']);
  });

  test('is whole again after something was missed for good', async () => {
    const [server, device] = await inboxWith(1, 1);
    const list = await listOf(device!);
    server.publish({ type: 'order_paid' });
    server.archive();
    await device!.connect({ recovered: false });
    expect(ids(list)).toEqual(['admin.1-2', 'admin.1-1']);
    server.publish({ type: 'order_paid' });
    server.archive();
    device!.hear({ type: 'resync', cursor: 'admin.1-3' });
    await settle();
    expect([ids(list).length, device!.unread]).toEqual([3, 3]);
  });

  test('is not read again by a connection after which nothing has changed', async () => {
    const [server, device] = await inboxWith(1, 1);
    await listOf(device!);
    server.calls.length = 0;
    await device!.connect({ recovered: true });
    expect(server.calls).toEqual(['GET /unread-count?audience=admin%2Call']);
  });

  test('says that it cannot be had, and has it when the server is back', async () => {
    const server = new StandInInbox();
    server.publish({ type: 'order_paid' });
    server.archive();
    const device = await deviceOf(server).connect();
    const list = device.inbox.watch();
    server.isAway = true;
    await settle();
    device.inbox.refresh();
    await settle();
    expect(device.inbox.snapshot.error?.kind).toBe('away');
    server.isAway = false;
    device.clock.advance(2000);
    await settle();
    expect(list.snapshot.state).toBe('ready');
    expect(device.inbox.snapshot.error).toBeNull();
  });

  test('has what the socket would have brought while that is down and the page is looked at', async () => {
    const [server, device] = await inboxWith(1, 1);
    const list = await listOf(device!);
    await device!.goDown();
    server.publish({ type: 'order_paid' });
    server.archive();
    device!.clock.advance(30_000);
    await settle();
    expect([ids(list).length, device!.unread]).toEqual([2, 2]);
    device!.environment.becomes('hidden');
    server.calls.length = 0;
    device!.clock.advance(300_000);
    await settle();
    expect(server.calls).toEqual([]);
  });
});

describe('without an inbox', () => {
  const none: typeof fetch = async () => new Response('{"detail":"there is no inbox here"}', { status: 404 });

  test('it is off, and asked for at every connection, no oftener', async () => {
    let calls = 0;
    const fetch: typeof globalThis.fetch = (...call) => {
      calls += 1;
      return none(...call);
    };
    const device = await deviceOf(new StandInInbox(), { fetch }).connect();
    device.clock.advance(600_000);
    await settle();
    expect([device.inbox.snapshot.isOn, calls]).toEqual([false, 1]);
    await device.connect();
    expect(calls).toBe(2);
  });

  test('what was remembered of one is not shown any more', async () => {
    const storage = new SharedStorage();
    storage.setItem('vsrt:inbox:admin:1', '{"unread":4}');
    const device = deviceOf(new StandInInbox(), { storage, fetch: none });
    expect(device.inbox.snapshot.isOn).toBe(true);
    await device.connect();
    expect(device.inbox.snapshot.isOn).toBe(false);
    expect(storage.getItem('vsrt:inbox:admin:1')).toBe('null');
  });
});
