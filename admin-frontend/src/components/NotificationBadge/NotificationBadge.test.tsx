import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { media } from '../../test/media';
import { complete, failed, openPage, progress, system } from '../../test/page';
import { StandInCluster } from '../../test/StandInCluster';
import NotificationBadge from '.';

let cluster: StandInCluster;

beforeEach(async () => {
  localStorage.clear();
  media.holds = () => false;
  cluster = await StandInCluster.start();
});

afterEach(async () => {
  await cluster.stop();
});

async function openBadge(onViewAll?: () => void): Promise<void> {
  openPage(cluster, <NotificationBadge {...(onViewAll && { onViewAll })} />, { toasts: false });
  await waitFor(() => {
    expect(cluster.visits).toHaveLength(1);
  });
}

const bell = (name: RegExp | string = /^Notifications/): Promise<HTMLElement> => screen.findByRole('button', { name });
const panel = (): Promise<HTMLElement> => screen.findByRole('dialog', { name: 'Notifications' });
const rows = async (): Promise<HTMLElement[]> =>
  within(within(await panel()).getByRole('list', { name: 'Notifications' })).getAllByRole('listitem');

test('the bell says how many are unread', async () => {
  await openBadge();
  await bell('Notifications, none unread');
  cluster.say(progress(1, 10));
  cluster.say(complete(1));
  cluster.say(system('hello'));
  await bell('Notifications, 2 unread');
});

test('without notifications the panel says what will be there', async () => {
  await openBadge();
  await userEvent.click(await bell());
  expect(await panel()).toHaveTextContent('No notifications yet');
});

test('the panel shows what happened, newest first', async () => {
  await openBadge();
  cluster.say(complete(1));
  cluster.say(failed(2, 'no space left'));
  await bell('Notifications, 2 unread');
  await userEvent.click(await bell());
  const [newest, oldest] = await rows();
  expect(newest).toHaveTextContent('Transcode failed');
  expect(newest).toHaveTextContent('no space left');
  expect(oldest).toHaveTextContent('Video number 1');
  expect(oldest).toHaveTextContent('AV1 · 1 GB');
});

test('choosing a notification marks it as read', async () => {
  await openBadge();
  cluster.say(complete(1));
  cluster.say(complete(2));
  await bell('Notifications, 2 unread');
  await userEvent.click(await bell());
  await userEvent.click(await screen.findByText('Video number 1'));
  await bell('Notifications, 1 unread');
  await userEvent.click(screen.getByText('Unread 1'));
  await waitFor(async () => {
    expect(await rows()).toHaveLength(1);
  });
  expect(screen.queryByText('Video number 1')).not.toBeInTheDocument();
});

test('all are marked as read at once', async () => {
  await openBadge();
  for (const id of [1, 2, 3]) cluster.say(complete(id));
  await bell('Notifications, 3 unread');
  await userEvent.click(await bell());
  await userEvent.click(await screen.findByRole('button', { name: 'Mark all as read' }));
  await bell('Notifications, none unread');
});

test('a notification is deleted', async () => {
  await openBadge();
  cluster.say(complete(1));
  cluster.say(complete(2));
  await bell('Notifications, 2 unread');
  await userEvent.click(await bell());
  await userEvent.click(await screen.findByRole('button', { name: /^Delete: Video number 2/ }));
  await waitFor(async () => {
    expect(await rows()).toHaveLength(1);
  });
});

test('by keyboard alone: open, go from row to row, mark as read, close', async () => {
  await openBadge();
  for (const id of [1, 2, 3]) cluster.say(complete(id));
  const button = await bell('Notifications, 3 unread');
  button.focus();
  await userEvent.keyboard('{Enter}');
  await waitFor(async () => {
    expect(await panel()).toHaveFocus();
  });
  const opened = await rows();
  within(opened[0]!)
    .getByRole('button', { name: /^(?!Delete).*number 3/ })
    .focus();
  await userEvent.keyboard('{ArrowDown}{ArrowDown}{ArrowUp}');
  expect(opened[1]).toContainElement(document.activeElement as HTMLElement);
  await userEvent.keyboard('{End}{Enter}');
  await bell('Notifications, 2 unread');
  await userEvent.keyboard('{Escape}');
  await waitFor(() => {
    expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
    expect(button).toHaveFocus();
  });
});

test('pop-ups are muted from the panel, and stay muted after a reload', async () => {
  await openBadge();
  await userEvent.click(await bell());
  await userEvent.click(await screen.findByRole('button', { name: 'Mute pop-ups' }));
  expect(await screen.findByRole('button', { name: 'Unmute pop-ups' })).toHaveAttribute('aria-pressed', 'true');
});

test('where it is narrow the panel comes from the side', async () => {
  media.holds = (query) => query === '(max-width: 640px)';
  await openBadge();
  await userEvent.click(await bell());
  expect(document.querySelector('.ant-drawer')).toContainElement(await panel());
});

test('there is a way to all of them', async () => {
  const onViewAll = vi.fn();
  await openBadge(onViewAll);
  cluster.say(complete(1));
  await bell('Notifications, 1 unread');
  await userEvent.click(await bell());
  await userEvent.click(await screen.findByRole('button', { name: 'View all notifications' }));
  expect(onViewAll).toHaveBeenCalledOnce();
});
