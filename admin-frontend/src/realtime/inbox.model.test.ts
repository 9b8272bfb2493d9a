import { expect, test } from 'vitest';

import { InboxDevice } from '../test/InboxDevice';
import { StandInInbox } from '../test/StandInInbox';
import { settle } from '../test/until';

const RUNS = 60;
const STEPS = 40;

/** A small generator of numbers that a seed repeats (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/**
 * Two devices, a database that lags, sockets and answers that arrive when they like: whenever everything has arrived,
 * both show what the server has, also of what its database has not got yet.
 */
test.each(Array.from({ length: RUNS }, (_, seed) => seed))('devices and server agree, seed %i', async (seed) => {
  const pick = numbers(seed + 1);
  const server = new StandInInbox();
  const devices = [new InboxDevice(server), new InboxDevice(server)];
  server.tell = (frame) => {
    for (const { coming } of devices) coming.push(frame);
  };
  const lists = devices.map(({ inbox }) => inbox.watch());
  for (const device of devices) await device.connect();
  for (const device of devices) device.isPrompt = false;

  const steps: ((device: InboxDevice) => unknown)[] = [
    () => {
      const event = server.publish({ type: 'order_paid' }, pick(3) === 0 ? 'all' : 'admin');
      for (const { coming } of devices) coming.push(event);
    },
    () => server.archive(),
    ({ inbox }) => void inbox.markAsRead(server.kept[pick(server.kept.length)] ?? 'none'),
    ({ inbox }) => void inbox.remove(server.kept[pick(server.kept.length)] ?? 'none'),
    ({ inbox }) => (pick(4) === 0 ? void inbox.markAsRead('all') : undefined),
    ({ inbox }) => (pick(4) === 0 ? inbox.refresh() : undefined),
    (device) => {
      for (const frame of device.coming.splice(0, 1 + pick(3))) device.hear(frame);
    },
    ({ answers }) => answers.splice(pick(answers.length), 1)[0]?.(),
    ({ clock }) => clock.advance(1000),
    () => settle(),
  ];
  for (let step = 0; step < STEPS; step += 1) await steps[pick(steps.length)]?.(devices[pick(2)]!);

  if (pick(2) === 0) server.archive();
  for (let round = 0; round < 8; round += 1) {
    for (const device of devices) {
      await device.catchUp();
      device.clock.advance(5000); // calls that were too early are made again, or given up
      await settle();
    }
  }
  for (const [at, device] of devices.entries()) {
    expect(device.unread).toBe(server.unread.length);
    const { items } = lists[at]!.snapshot;
    expect(items.map(({ id }) => id).sort()).toEqual([...server.kept].sort());
    expect(
      items
        .filter(({ read }) => !read)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...server.unread].sort());
    device.inbox.close();
  }
});
