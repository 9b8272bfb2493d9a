import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Browser } from '../test/Browser';
import { StandInNode } from '../test/StandInNode';
import { settle, until } from '../test/until';

let node: StandInNode;
beforeEach(async () => {
  node = await StandInNode.start();
});
afterEach(() => node.stop());

const MESSAGE = { type: 'order_paid', id: 'admin.1-1' };

describe('a client that acknowledges', () => {
  test('answers when what it was told is on the screen, with the time that took it', async () => {
    const browser = await new Browser(node.url, { acknowledge: true }).connect();
    expect(node.last.acks).toBe('1');
    node.last.send(MESSAGE);
    node.last.send('ack 17');
    await until(() => browser.environment.painting.length === 1);
    expect(browser.happened.messages.at(-1)).toMatchObject(MESSAGE);
    expect(node.last.received).toEqual([]);
    browser.environment.paint(12.34567);
    await until(() => node.last.received.length === 1);
    expect(node.last.received).toEqual(['ack 17 12.346']);
  });

  test('tells no listener of the question, and is none the worse for it', async () => {
    const browser = await new Browser(node.url, { acknowledge: true }).connect();
    const { length } = browser.happened.messages;
    node.last.send('ack 1');
    await until(() => browser.environment.painting.length === 1);
    expect(browser.happened.messages).toHaveLength(length);
    expect(browser.happened.errors).toEqual([]);
    expect(browser.state).toBe('open');
  });

  test('answers nobody when its page is painted after the connection has ended', async () => {
    const browser = await new Browser(node.url, { acknowledge: true }).connect();
    const first = node.last;
    first.send('ack 1');
    await until(() => browser.environment.painting.length === 1);
    first.close(1012);
    await browser.waitOut();
    await browser.becomes('open');
    browser.environment.paint(5);
    await settle();
    expect(node.visits.flatMap((visit) => visit.received)).toEqual([]);
  });
});

test('a client does not offer it unless it is asked to', async () => {
  await new Browser(node.url).connect();
  expect(node.last.acks).toBeNull();
});
