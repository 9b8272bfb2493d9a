import { act, render, renderHook } from '@testing-library/react';
import { StrictMode, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket as NodesWebSocket } from 'ws';
import { jwt } from '../test/jwt';
import { connected, StandInNode } from '../test/StandInNode';
import { settle, until } from '../test/until';
import { useWebSocket, type UseWebSocketOptions, type UseWebSocketResult } from './useWebSocket';

let node: StandInNode;
beforeEach(async () => {
  node = await StandInNode.start();
  localStorage.setItem('token', jwt());
  sessionStorage.clear();
});
afterEach(() => node.stop());

const strict = ({ children }: { children: ReactNode }): ReactNode => <StrictMode>{children}</StrictMode>;

/** Wait for a condition while React does its work. */
async function seen(condition: () => boolean): Promise<void> {
  await act(() => until(condition));
}

// jsdom's own is undici's, whose events jsdom does not take for events.
const WebSocket = NodesWebSocket as unknown as typeof globalThis.WebSocket;

function mount(options: UseWebSocketOptions = {}, isAdmin = true) {
  return renderHook(
    (more: UseWebSocketOptions) => useWebSocket(isAdmin, { url: node.url, WebSocket, ...options, ...more }),
    {
      wrapper: strict,
      initialProps: {},
    },
  );
}

const system = { type: 'system_message', message: 'hello', level: 'info', timestamp: '2026-01-31T12:00:00Z' };

describe('useWebSocket', () => {
  test('mounted twice by StrictMode leaves exactly one socket, with the token from localStorage', async () => {
    const { result } = mount();
    expect(result.current.isConnected).toBe(false);
    await seen(() => result.current.isConnected);
    await act(settle);
    expect(node.visits).toHaveLength(1);
    expect(node.open).toBe(1);
    expect(node.last.token).toBe(jwt());
    expect(node.last.path).toBe('/api/v1/ws/admin');
  });

  test('closes the socket when the component goes', async () => {
    const { result, unmount } = mount();
    await seen(() => result.current.isConnected);
    unmount();
    await until(() => node.open === 0);
    expect(node.last.closedWith).toBe(1000);
  });

  test('calls the callback of each message, and shows the last one', async () => {
    const heard: string[] = [];
    const { result } = mount({
      onMessage: (message) => heard.push(`message ${message.type}`),
      onSystemMessage: (message) => heard.push(`system ${message.message}`),
      onConnect: () => heard.push('connect'),
      onDisconnect: ({ code }) => heard.push(`disconnect ${code}`),
      onError: ({ kind }) => heard.push(`error ${kind}`),
      onLost: () => heard.push('lost'),
    });
    await seen(() => result.current.isConnected);
    node.last.send({ ...system, id: 'admin.1-1' });
    node.last.send('{');
    node.last.send({ type: 'resync', cursor: 'admin.1-1' });
    await seen(() => heard.includes('lost'));
    expect(heard).toEqual([
      ...['message connected', 'connect', 'message system_message', 'system hello'],
      ...['error json', 'message resync', 'lost'],
    ]);
    expect(result.current.lastMessage).toMatchObject({ type: 'resync' });
    node.last.close(4403);
    await seen(() => !result.current.isConnected);
    expect(heard.at(-1)).toBe('disconnect 4403');
    expect(result.current.status.state).toBe('stopped');
  });

  test('calls the callbacks and the token provider of the last render, without a new connection for them', async () => {
    const [first, second] = [vi.fn(), vi.fn()];
    let asked = '';
    const provider = (name: string) => () => {
      asked = name;
      return jwt();
    };
    const { result, rerender } = mount({ reconnectInterval: 1 });
    rerender({ onSystemMessage: first, getToken: provider('first') });
    await seen(() => result.current.isConnected);
    const { client } = result.current;
    rerender({ onSystemMessage: second, getToken: provider('second') });
    expect(result.current.client).toBe(client);
    node.last.send({ ...system, id: 'admin.1-1' });
    await seen(() => second.mock.calls.length === 1);
    expect(first).not.toHaveBeenCalled();
    node.last.cut();
    await seen(() => node.visits.length === 2 && result.current.isConnected);
    expect(asked).toBe('second');
  });

  test('begins a new connection when a setting changes, and ends the old one', async () => {
    const other = await StandInNode.start();
    try {
      const { result, rerender } = mount();
      await seen(() => result.current.isConnected);
      rerender({ url: other.url });
      await seen(() => other.open === 1 && node.open === 0 && result.current.isConnected);
      expect(other.visits).toHaveLength(1);
    } finally {
      await other.stop();
    }
  });

  test('without autoConnect waits to be told, and does as it is told', async () => {
    const { result } = mount({ autoConnect: false }, false);
    await act(settle);
    expect(node.visits).toHaveLength(0);
    expect(result.current.status.state).toBe('idle');
    act(() => result.current.connect());
    await seen(() => result.current.isConnected);
    expect(node.last.path).toBe('/api/v1/ws');
    expect(result.current.sendMessage('get_stats')).toBe(true);
    await until(() => node.last.received.includes('get_stats'));
    act(() => result.current.disconnect());
    await until(() => node.open === 0);
    act(() => result.current.retry());
    await seen(() => result.current.isConnected);
  });

  test('says that it gave up, and retry() begins again', async () => {
    node.welcomes = [(visit) => visit.close(1011), (visit) => visit.close(1011), (visit) => visit.send(connected())];
    const { result } = mount({ maxReconnectAttempts: 1, reconnectInterval: 1 });
    await seen(() => result.current.status.state === 'offline');
    act(() => result.current.retry());
    await seen(() => result.current.isConnected);
    expect(node.visits).toHaveLength(3);
  });

  test('gives the same result object until something changes', async () => {
    const results: UseWebSocketResult[] = [];
    function Page({ n }: { n: number }): ReactNode {
      results.push(useWebSocket(true, { url: node.url, WebSocket, autoConnect: false }));
      return n;
    }
    const { rerender } = render(<Page n={1} />);
    rerender(<Page n={2} />);
    expect(results[1]).toBe(results[0]);
  });
});
