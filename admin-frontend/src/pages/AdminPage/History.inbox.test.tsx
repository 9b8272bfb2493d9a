import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test } from 'vitest';

import NotificationBadge from '../../components/NotificationBadge';
import { openPage } from '../../test/page';
import { StandInCluster } from '../../test/StandInCluster';
import { StandInInbox } from '../../test/StandInInbox';
import { History } from './History';

let cluster: StandInCluster;
let inbox: StandInInbox;

beforeEach(async () => {
  localStorage.clear();
  cluster = await StandInCluster.start();
  inbox = new StandInInbox();
  inbox.tell = (frame) => {
    cluster.say(frame);
  };
  cluster.inbox = inbox;
});

afterEach(async () => {
  await cluster.stop();
});

const publish = (message: string): object => inbox.publish({ type: 'system_message', message, level: 'info' });

function openHistory(...messages: string[]): void {
  for (const message of messages) publish(message);
  inbox.archive();
  openPage(
    cluster,
    <>
      <NotificationBadge />
      <History id="history" />
    </>,
    { toasts: false },
  );
}

const bell = (name: string): Promise<HTMLElement> => screen.findByRole('button', { name: `Notifications, ${name}` });
const rows = async (): Promise<HTMLElement[]> =>
  within(await screen.findByRole('list', { name: 'Notifications' })).getAllByRole('listitem');
const texts = async (): Promise<string[]> =>
  (await rows()).map((row) => /one|two|three/.exec(row.textContent)?.[0] ?? '');

test('it has what this browser never heard, and on top what it hears', async () => {
  openHistory('one', 'two');
  await bell('2 unread');
  expect(await texts()).toEqual(['two', 'one']);
  cluster.say(publish('three'));
  await bell('3 unread');
  expect(await texts()).toEqual(['three', 'two', 'one']);
  expect(screen.queryByText('Kept in this browser only')).not.toBeInTheDocument();
});

test('a change on another device is shown', async () => {
  openHistory('one', 'two');
  await bell('2 unread');
  inbox.otherDevice('read', 'admin.1-1');
  await bell('1 unread');
  inbox.otherDevice('delete', 'admin.1-2');
  await bell('none unread');
  expect(await texts()).toEqual(['one']);
});

test('reading and deleting reach the server', async () => {
  openHistory('one', 'two', 'three');
  await bell('3 unread');
  await userEvent.click(await screen.findByText('one'));
  await userEvent.click(screen.getByRole('button', { name: /^Delete: .*two/ }));
  await waitFor(() => {
    expect(inbox.unread).toEqual(['admin.1-3']);
  });
  await userEvent.click(screen.getByRole('button', { name: 'Mark all as read' }));
  await waitFor(() => {
    expect(inbox.unread).toEqual([]);
  });
  expect(inbox.kept).toEqual(['admin.1-3', 'admin.1-1']);
  await bell('none unread');
});

test('what the server does not take is taken back, and said', async () => {
  inbox.isReadOnly = true;
  openHistory('one', 'two');
  await bell('2 unread');
  await userEvent.click(await screen.findByRole('button', { name: /^Delete: .*two/ }));
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('Could not be deleted, and is shown as before');
  expect(await texts()).toEqual(['two', 'one']);
  await bell('2 unread');
  await userEvent.click(within(alert).getByRole('button', { name: 'Close' }));
  await waitFor(() => {
    expect(screen.queryByRole('alert')).not.toBeInTheDocument();
  });
});

test('older ones are loaded by a button, and reading goes on at the first of them', async () => {
  openHistory(...Array.from({ length: 40 }, (_, n) => `number ${n}`));
  await bell('40 unread');
  expect(await rows()).toHaveLength(30);
  await userEvent.click(screen.getByRole('button', { name: 'Load older notifications' }));
  await waitFor(async () => {
    expect(await rows()).toHaveLength(40);
  });
  const first = (await rows())[30];
  expect(first).toHaveTextContent('number 9');
  expect(first).toContainElement(document.activeElement as HTMLElement);
  expect(screen.queryByRole('button', { name: 'Load older notifications' })).not.toBeInTheDocument();
});

test('the unread ones are asked of the server', async () => {
  openHistory(...Array.from({ length: 40 }, (_, n) => (n === 0 ? 'the last one' : `number ${n}`)));
  await bell('40 unread');
  for (let n = 2; n <= 40; n += 1) inbox.otherDevice('read', `admin.1-${n}`);
  await bell('1 unread');
  await userEvent.click(screen.getByText('Unread'));
  expect(await screen.findByText('the last one')).toBeInTheDocument();
  await waitFor(async () => {
    expect(await rows()).toHaveLength(1);
  });
});

test('while the inbox is away that is said, and tried again by a button', async () => {
  localStorage.setItem('vsrt:inbox:admin:1', '{"unread":2}'); // it was there the last time
  inbox.isAway = true;
  openHistory('one', 'two');
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('Notifications cannot be loaded just now');
  await bell('2 unread');
  inbox.isAway = false;
  await userEvent.click(within(alert).getByRole('button', { name: 'Retry' }));
  await waitFor(async () => {
    expect(await texts()).toEqual(['two', 'one']);
  });
  expect(screen.queryByRole('alert')).not.toBeInTheDocument();
});

test('without an inbox it is this browser’s, and says so', async () => {
  cluster.inbox = null;
  openHistory();
  await waitFor(() => {
    expect(cluster.visits).toHaveLength(1);
  });
  expect(await screen.findByText('Kept in this browser only')).toBeInTheDocument();
  cluster.say(publish('one'));
  await bell('1 unread');
  expect(await texts()).toEqual(['one']);
});
