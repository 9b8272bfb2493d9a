import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test } from 'vitest';

import NotificationBadge from '../components/NotificationBadge';
import { complete, failed, openPage, progress, system } from '../test/page';
import { StandInCluster } from '../test/StandInCluster';
import { until } from '../test/until';
import { useWebSocketContext, WebSocketProvider } from './WebSocketContext';

let cluster: StandInCluster;

beforeEach(async () => {
  localStorage.clear();
  cluster = await StandInCluster.start();
});

afterEach(async () => {
  await cluster.stop();
});

function Everything() {
  const { isConnected, unreadCount, notifications, markAsRead, transcodeProgress } = useWebSocketContext();
  return (
    <>
      <output aria-label="connected">{String(isConnected)}</output>
      <output aria-label="unread">{unreadCount}</output>
      <output aria-label="progress">{JSON.stringify([...transcodeProgress])}</output>
      <button
        onClick={() => {
          markAsRead(notifications[0]?.id);
        }}
      >
        newest is read
      </button>
      <button
        onClick={() => {
          markAsRead();
        }}
      >
        all is read
      </button>
    </>
  );
}

async function connectedPage(options = {}) {
  const page = openPage(cluster, <Everything />, options);
  await within(page.container).findByText('true');
  return page;
}

const shows = async (label: string, text: string): Promise<void> => {
  await waitFor(() => {
    expect(screen.getByLabelText(label)).toHaveTextContent(text);
  });
};

const toasts = (): string[] =>
  [...document.querySelectorAll('.ant-notification-notice')].map((toast) => toast.textContent);

test('a page in StrictMode opens one connection, and closes it when it goes', async () => {
  const page = await connectedPage();
  expect(cluster.visits).toHaveLength(1);
  expect(cluster.visits[0]?.path).toBe('/api/v1/ws/admin');
  page.unmount();
  await until(() => cluster.visits[0]?.closedWith !== null, 'the connection is closed');
  expect(cluster.visits).toHaveLength(1);
});

test('a provider inside another one uses its connection', async () => {
  openPage(
    cluster,
    <WebSocketProvider isAdmin url="ws://127.0.0.1:1">
      <Everything />
    </WebSocketProvider>,
  );
  await shows('connected', 'true');
  expect(cluster.visits).toHaveLength(1);
});

test('outside of a provider, the context says what is missing', () => {
  expect(() => render(<Everything />)).toThrow('<WebSocketProvider>');
});

test('events count as unread, progress does not', async () => {
  await connectedPage();
  cluster.say(progress(1, 40));
  cluster.say(complete(2));
  cluster.say(system('hello'));
  await shows('unread', '2');
  await shows('progress', '[[1,40],[2,100]]');
});

test('one notification is marked as read, or all of them', async () => {
  await connectedPage();
  for (const id of [1, 2, 3]) cluster.say(complete(id));
  await shows('unread', '3');
  await userEvent.click(screen.getByText('newest is read'));
  await shows('unread', '2');
  await userEvent.click(screen.getByText('all is read'));
  await shows('unread', '0');
});

test('what was unread is unread after a reload, and counts once', async () => {
  const page = await connectedPage();
  const event = complete(1);
  cluster.say(event);
  await shows('unread', '1');
  page.unmount();
  await connectedPage();
  cluster.say(event);
  cluster.say(complete(2));
  await shows('unread', '2');
});

test('a single event is shown with its words', async () => {
  await connectedPage();
  cluster.say(failed(7, 'FFmpeg process exited with code 1'));
  await waitFor(() => {
    expect(toasts()).toHaveLength(1);
  });
  expect(toasts()[0]).toContain('Transcode failed');
  expect(toasts()[0]).toContain('Video number 7');
  expect(toasts()[0]).toContain('FFmpeg process exited with code 1');
});

test('a burst becomes one toast per kind, which counts', async () => {
  await connectedPage();
  for (let id = 1; id <= 12; id += 1) cluster.say(complete(id));
  cluster.say(failed(13, 'broken'));
  await waitFor(() => {
    expect(toasts().join()).toContain('12 transcodes completed');
    expect(toasts()).toHaveLength(2);
  });
  expect(await screen.findByText(/new notifications?/i)).toHaveAttribute('aria-live', 'polite');
});

test('muted from a toast, notifications are counted and said, but not shown', async () => {
  await connectedPage();
  cluster.say(system('first', 'error')); // it stays the longest
  await userEvent.click(await screen.findByRole('button', { name: 'Mute pop-ups' }));
  await waitFor(() => {
    expect(toasts()).toHaveLength(0);
  });
  cluster.say(system('second'));
  await screen.findByText('New notification: System message, second');
  await shows('unread', '2');
  expect(toasts()).toHaveLength(0);
});

test('of two tabs one shows the toast, and both count the same', async () => {
  const first = await connectedPage();
  const second = await connectedPage();
  cluster.say(system('for one of you', 'error')); // it stays the longest
  await waitFor(() => {
    expect(toasts()).toHaveLength(1);
  });
  for (const tab of [first, second]) {
    await waitFor(() => {
      expect(within(tab.container).getByLabelText('unread')).toHaveTextContent('1');
    });
  }
  await userEvent.click(within(first.container).getByText('all is read'));
  await waitFor(() => {
    expect(within(second.container).getByLabelText('unread')).toHaveTextContent('0');
  });
  expect(toasts()).toHaveLength(1);
});

test('a tab that nobody looks at keeps its toast until it is looked at', async () => {
  const page = await connectedPage();
  page.environment.becomes('hidden');
  cluster.say(system('while you were away'));
  await shows('unread', '1');
  expect(toasts()).toHaveLength(0);
  act(() => {
    page.environment.becomes('visible');
  });
  await waitFor(() => {
    expect(toasts()).toHaveLength(1);
  });
});

test('what was read elsewhere meanwhile is not shown on return', async () => {
  const page = await connectedPage();
  page.environment.becomes('hidden');
  cluster.say(system('read on the other screen'));
  await shows('unread', '1');
  await userEvent.click(screen.getByText('all is read'));
  act(() => {
    page.environment.becomes('visible');
  });
  cluster.say(failed(1, 'news'));
  await waitFor(() => {
    expect(toasts().join()).toContain('news');
  });
  expect(toasts()).toHaveLength(1);
});

test('while the list is open there are no toasts', async () => {
  openPage(cluster, <NotificationBadge />);
  await waitFor(() => {
    expect(cluster.visits).toHaveLength(1);
  });
  cluster.say(system('before'));
  await waitFor(() => {
    expect(toasts()).toHaveLength(1);
  });
  await userEvent.click(screen.getByRole('button', { name: /^Notifications/ }));
  await waitFor(() => {
    expect(toasts()).toHaveLength(0);
  });
  cluster.say(system('meanwhile'));
  await screen.findByText('New notification: System message, meanwhile');
  expect(toasts()).toHaveLength(0);
});
