import { act, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Address } from '../../realtime';
import { openPage } from '../../test/page';
import { StandInCluster } from '../../test/StandInCluster';
import { connected, STATS } from '../../test/StandInNode';
import { Counters } from './Counters';
import { useCounters } from './useCounters';

const EVERY = 60 * 60_000; // ms; nothing here waits for the next time
const NOBODY = { total_users: 0, total_user_connections: 0, total_admin_connections: 0, total_connections: 0 };

let cluster: StandInCluster;

beforeEach(async () => {
  localStorage.clear();
  cluster = await StandInCluster.start();
});

afterEach(async () => {
  await cluster.stop();
});

function Shown({ address, interval = EVERY }: { address: Address; interval?: number }) {
  return <Counters stats={useCounters(address, interval, 60)} interval={interval} kept={60} />;
}

const shows = (counter: string, value: string): Promise<void> =>
  waitFor(() => {
    expect(document.querySelector(`[data-counter=${counter}]`)).toHaveTextContent(value);
  });

test('whoever is connected finds itself counted, though it was not when the page asked', async () => {
  cluster.stats = () => NOBODY;
  openPage(cluster, <Shown address={new Address(cluster.url)} />, { toasts: false });
  await shows('total_admin_connections', String(STATS.total_admin_connections));
});

test('an older answer that comes late does not take it back', async () => {
  const asked: ((counts: object) => void)[] = [];
  cluster.stats = () => new Promise((resolve) => asked.push(resolve));
  openPage(cluster, <Shown address={new Address(cluster.url)} interval={1} />, { toasts: false });
  await shows('total_connections', String(STATS.total_connections));
  await waitFor(() => {
    expect(asked).not.toHaveLength(0);
  });
  const before = asked.length;
  act(() => {
    for (const answer of asked) answer(NOBODY);
  });
  // It has read the answer when it asks again.
  await waitFor(() => {
    expect(asked.length).toBeGreaterThan(before);
  });
  await shows('total_connections', String(STATS.total_connections));
});

test('every new connection brings them anew', async () => {
  openPage(cluster, <Shown address={new Address(cluster.url)} />, { toasts: false });
  await shows('total_users', String(STATS.total_users));
  cluster.say(connected({ connection_stats: { ...STATS, total_users: 1234 } }));
  await shows('total_users', '1,234');
  expect(screen.queryAllByRole('img')).toHaveLength(0); // one value that was replaced, and no line through two of them
});
