import { act, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { storedToken, storeToken } from '../../app/token';
import { CloseCode } from '../../realtime';
import { jwt } from '../../test/jwt';
import { openPage } from '../../test/page';
import { StandInCluster } from '../../test/StandInCluster';
import { Banner } from './Banner';
import { TokenDialog } from './TokenDialog';
import { useNewToken } from './useNewToken';

const NEEDED = 'A new token is needed';
const REFUSED = 'The server does not accept this token';
const OLD = jwt({ exp: 4_000_000_000 });
const [FRESH, FRESHER] = [1, 2].map((n) => jwt({ exp: 4_000_000_000, is_admin: true, n })) as [string, string];

let cluster: StandInCluster;

beforeEach(async () => {
  localStorage.clear();
  storeToken(OLD);
  cluster = await StandInCluster.start();
});

afterEach(async () => {
  await cluster.stop();
});

function Asking() {
  const token = useNewToken();
  return (
    <>
      <button onClick={token.ask}>change</button>
      <TokenDialog token={token} />
    </>
  );
}

async function open(): Promise<void> {
  openPage(cluster, <Asking />, { toasts: false, getToken: storedToken, random: () => 0 });
  await visited([OLD]);
}

/** Wait until the page came with these tokens, one after another. */
const visited = (tokens: string[]): Promise<void> =>
  waitFor(() => {
    expect(cluster.visits.map(({ token }) => token)).toEqual(tokens);
  });

const refuseLast = (): void => {
  cluster.visits.at(-1)!.close(CloseCode.UNAUTHENTICATED, 'the token has expired');
};

async function give(token: string): Promise<void> {
  await userEvent.click(await screen.findByLabelText('Administrator’s token'));
  await userEvent.clear(screen.getByLabelText('Administrator’s token'));
  await userEvent.paste(token);
  await userEvent.keyboard('{Enter}');
}

const isClosed = (): Promise<void> =>
  waitFor(() => {
    expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
  });

test('a token that the server takes no more is asked for anew, and the page goes on with it', async () => {
  await open();
  refuseLast();
  await screen.findByRole('dialog', { name: NEEDED });
  await give(FRESH);
  await visited([OLD, FRESH]);
  await isClosed();
  expect(storedToken()).toBe(FRESH);
});

test('one that is of no use either is told so', async () => {
  await open();
  refuseLast();
  await screen.findByRole('dialog', { name: NEEDED });
  cluster.refuses = FRESH;
  await give(FRESH);
  await waitFor(() => {
    expect(screen.getByRole('alert')).toHaveTextContent(REFUSED);
  });
  await give(FRESHER);
  await visited([OLD, FRESH, FRESHER]);
  await isClosed();
});

test('put off, it is not asked for again, and one that another tab was given is taken', async () => {
  await open();
  refuseLast();
  await screen.findByRole('dialog', { name: NEEDED });
  await userEvent.keyboard('{Escape}');
  await isClosed();
  localStorage.setItem('token', FRESH);
  act(() => {
    window.dispatchEvent(new StorageEvent('storage', { key: 'token' }));
  });
  await visited([OLD, FRESH]);
  // That was another time: the next is asked about again.
  refuseLast();
  await screen.findByRole('dialog', { name: NEEDED });
});

test('while one is lacking, a new one is offered and no attempt with the old', async () => {
  const offered = <Banner claims={null} onChangeToken={() => undefined} />;
  openPage(cluster, offered, { toasts: false, getToken: storedToken, maxReconnectAttempts: 0 });
  await visited([OLD]);
  cluster.visits.at(-1)!.close(CloseCode.SERVICE_RESTART, 'restarts');
  await screen.findByRole('button', { name: 'Reconnect now' });
  await userEvent.click(screen.getByRole('button', { name: 'Reconnect now' }));
  await visited([OLD, OLD]);
  refuseLast();
  await screen.findByRole('button', { name: 'Change token' });
  expect(screen.queryByRole('button', { name: 'Reconnect now' })).not.toBeInTheDocument();
});

test('whoever wants another one while all is well keeps the connection', async () => {
  await open();
  await userEvent.click(screen.getByRole('button', { name: 'change' }));
  await screen.findByRole('dialog', { name: 'Change token' });
  await give(FRESH);
  await isClosed();
  expect(storedToken()).toBe(FRESH);
  await visited([OLD]);
});
