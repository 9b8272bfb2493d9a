import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { complete, failed, openPage, system } from '../../test/page';
import { StandInCluster } from '../../test/StandInCluster';
import { History } from './History';

let cluster: StandInCluster;

beforeEach(async () => {
  localStorage.clear();
  cluster = await StandInCluster.start();
});

afterEach(async () => {
  await cluster.stop();
});

async function openHistory(...events: object[]): Promise<void> {
  openPage(cluster, <History id="history" />, { toasts: false });
  await waitFor(() => {
    expect(cluster.visits).toHaveLength(1);
  });
  for (const event of events) cluster.say(event);
  if (events.length > 0) await screen.findByText(`${events.length} unread`);
}

const rows = (): HTMLElement[] => within(screen.getByRole('list', { name: 'Notifications' })).getAllByRole('listitem');

test('it is searched by what its lines say', async () => {
  await openHistory(complete(1), failed(2, 'no space left'), system('maintenance'));
  await userEvent.type(screen.getByLabelText('Search notifications'), 'SPACE');
  await waitFor(() => {
    expect(rows()).toHaveLength(1);
  });
  expect(rows()[0]).toHaveTextContent('Video number 2');
});

test('read and unread are told apart', async () => {
  await openHistory(complete(1), complete(2));
  await userEvent.click(screen.getByText('Video number 1'));
  await userEvent.click(screen.getByText('Read'));
  await waitFor(() => {
    expect(rows()).toHaveLength(1);
  });
  expect(rows()[0]).toHaveTextContent('Video number 1');
});

test('where nothing matches, the filters are cleared by one click', async () => {
  await openHistory(complete(1));
  await userEvent.type(screen.getByLabelText('Search notifications'), 'nothing is called so');
  await userEvent.click(await screen.findByRole('button', { name: 'Clear filters' }));
  await waitFor(() => {
    expect(rows()).toHaveLength(1);
  });
});

test('what was missed for good is said, until the person has taken note', async () => {
  await openHistory();
  cluster.say({ type: 'resync', cursor: 'admin.2-0' });
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('the list may be incomplete');
  await userEvent.click(within(alert).getByRole('button', { name: 'Close' }));
  await waitFor(() => {
    expect(screen.queryByRole('alert')).not.toBeInTheDocument();
  });
});
