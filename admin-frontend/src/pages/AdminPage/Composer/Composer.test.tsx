import '../../../test/media';

import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { ConfigProvider } from 'antd';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { SessionContext } from '../../../contexts/SessionContext';
import { LocaleProvider } from '../../../i18n';
import { Address } from '../../../realtime';
import Composer from '.';
import { useSending } from './useSending';

interface Sent {
  key: string | undefined;
  authorization: string | undefined;
  body: unknown;
}

const RECEIPT = { id: 'admin.1-1', nodes: 2, online: true, trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' };

let server: Server;
let sent: Sent[];
let answers: { status: number; body: object; retryAfter?: string }[];

beforeEach(async () => {
  sent = [];
  answers = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { headers } = request;
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
      sent.push({ key: headers['idempotency-key'] as string, authorization: headers.authorization, body });
      const answer = answers.shift() ?? { status: 202, body: RECEIPT };
      response.writeHead(answer.status, answer.retryAfter === undefined ? {} : { 'Retry-After': answer.retryAfter });
      response.end(JSON.stringify(answer.body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const STATS = { total_users: 3, total_user_connections: 5, total_admin_connections: 1, total_connections: 6 };

function Page({ address }: { address: Address }) {
  return <Composer open onClose={() => undefined} sender={useSending(address, () => 'a-token')} stats={STATS} />;
}

function openComposer(): void {
  const address = new Address(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  render(
    <ConfigProvider theme={{ token: { motion: false } }}>
      <LocaleProvider locale="en">
        <SessionContext value={null}>
          <Page address={address} />
        </SessionContext>
      </LocaleProvider>
    </ConfigProvider>,
  );
}

const write = (text: string): Promise<void> => userEvent.type(screen.getByLabelText('Message'), text);
const send = (name = 'Send'): Promise<void> => userEvent.click(screen.getByRole('button', { name }));

test('a message goes to all admins unless told otherwise, under a key of its own', async () => {
  openComposer();
  expect(screen.getByText('1 admin connection now')).toBeInTheDocument();
  await write('hello');
  await send();
  await screen.findByText('Message sent');
  expect(screen.getByText(RECEIPT.trace_id)).toBeInTheDocument();
  expect(sent).toHaveLength(1);
  expect(sent[0]?.body).toEqual({ message: 'hello', level: 'info', target: 'admin' });
  expect(sent[0]?.authorization).toBe('Bearer a-token');
  expect(sent[0]?.key).toMatch(/^[0-9a-f]{32}$/);
});

test('to everybody, the button says so', async () => {
  openComposer();
  await userEvent.click(screen.getByText('Everybody'));
  expect(screen.getByText('6 connections now')).toBeInTheDocument();
  await userEvent.click(screen.getByText('Warning'));
  await write('soon');
  await send('Send to everybody');
  await screen.findByText('Message sent');
  expect(sent[0]?.body).toEqual({ message: 'soon', level: 'warning', target: 'all' });
});

test('to certain users, whose ids are checked before anything is sent', async () => {
  openComposer();
  await userEvent.click(screen.getByText('Specific users'));
  await write('for you');
  await send();
  expect(screen.getByText('Enter at least one user id')).toBeInTheDocument();
  await userEvent.type(screen.getByLabelText('User ids'), '7,8,');
  await send();
  await screen.findByText('Message sent');
  expect(sent.map(({ body }) => body)).toEqual([{ message: 'for you', level: 'info', target: { users: ['7', '8'] } }]);
});

test('an empty message is not sent', async () => {
  openComposer();
  await send();
  expect(screen.getByText('Write a message')).toBeInTheDocument();
  expect(sent).toHaveLength(0);
});

test('after a 503, trying again uses the same key; the next message another one', async () => {
  answers = [{ status: 503, body: { detail: 'the router does not answer just now' }, retryAfter: '2' }];
  openComposer();
  await write('hello');
  await send();
  expect(await screen.findByRole('alert')).toHaveTextContent('Try again in 2 s');
  await send('Try again');
  await screen.findByText('Message sent');
  await userEvent.click(screen.getByRole('button', { name: 'Send another' }));
  expect(screen.getByLabelText('Message')).toHaveValue('');
  await write('hello');
  await send();
  await waitFor(() => {
    expect(sent).toHaveLength(3);
  });
  const [first, second, third] = sent.map(({ key }) => key);
  expect(second).toBe(first);
  expect(third).not.toBe(first);
});

test('another text is another message, also after a 503', async () => {
  answers = [{ status: 503, body: { detail: 'not now' } }];
  openComposer();
  await write('hello');
  await send();
  await screen.findByRole('alert');
  await write(' again');
  await send();
  await screen.findByText('Message sent');
  expect(sent[0]?.key).not.toBe(sent[1]?.key);
});

test('what the server holds against a field is shown at that field, and what was written stays', async () => {
  const msg = 'String should match a pattern';
  answers = [{ status: 422, body: { detail: [{ loc: ['body', 'message'], msg }] } }];
  openComposer();
  await write('hello');
  await send();
  await screen.findByText(msg);
  expect(screen.getByLabelText('Message')).toHaveValue('hello');
  expect(screen.getByLabelText('Message')).toHaveAttribute('aria-invalid', 'true');
});

test('without the scope it says what kind of token is needed', async () => {
  answers = [{ status: 403, body: { detail: "the scope 'publish' is missing" } }];
  openComposer();
  await write('hello');
  await send();
  expect(await screen.findByRole('alert')).toHaveTextContent('--scope publish');
});
