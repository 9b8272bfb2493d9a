import { act, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { WebSocketProviderProps } from '../../contexts/WebSocketContext';
import { FakeClock } from '../../test/FakeClock';
import { complete, failed, openPage, type Page, progress } from '../../test/page';
import { StandInCluster } from '../../test/StandInCluster';
import { TranscodeStatus, type TranscodeStatusProps } from '.';

let cluster: StandInCluster;

beforeEach(async () => {
  localStorage.clear();
  cluster = await StandInCluster.start();
});

afterEach(async () => {
  await cluster.stop();
});

async function open(props: TranscodeStatusProps = {}, options: Partial<WebSocketProviderProps> = {}): Promise<Page> {
  const page = openPage(cluster, <TranscodeStatus {...props} />, { toasts: false, ...options });
  await polled(1);
  return page;
}

const polled = (times: number): Promise<void> =>
  waitFor(() => {
    expect(cluster.visits).toHaveLength(1);
    expect(cluster.polls).toBe(times);
  });

const bar = (videoId: number): Promise<HTMLElement> =>
  screen.findByRole('progressbar', { name: `Transcode progress of Video ${videoId}` });

const stands = async (videoId: number, percent: number): Promise<void> => {
  await waitFor(async () => {
    expect(await bar(videoId)).toHaveAttribute('aria-valuenow', String(percent));
  });
};

test('before anything is known it says that it is loading, then that nothing is there', async () => {
  await open();
  await screen.findByText('No active transcodes');
});

test('a bar follows what the socket says', async () => {
  await open();
  cluster.say(progress(5, 10));
  await stands(5, 10);
  cluster.say(progress(5, 45, { message: '已完成720p转码 (2/3)' }));
  await stands(5, 45);
  expect(screen.getByText('已完成720p转码 (2/3)')).toBeInTheDocument();
});

test('it never goes backwards, whichever way old news comes', async () => {
  cluster.transcodes = [progress(5, 20)];
  const clock = new FakeClock();
  await open({}, { clock });
  cluster.say(progress(5, 60));
  await waitFor(async () => {
    act(() => {
      clock.advance(100);
    });
    expect(await bar(5)).toHaveAttribute('aria-valuenow', '60');
  });
  cluster.say(progress(5, 50));
  act(() => {
    clock.advance(15_000);
  });
  await polled(2);
  cluster.say(progress(6, 1));
  act(() => {
    clock.advance(1000);
  });
  await stands(6, 1);
  await stands(5, 60);
  expect(screen.getAllByRole('progressbar')).toHaveLength(2);
});

test('while the socket is down it polls every five seconds, and once for all that show it', async () => {
  const clock = new FakeClock();
  openPage(
    cluster,
    <>
      <TranscodeStatus />
      <TranscodeStatus videoId={5} />
    </>,
    { toasts: false, clock },
  );
  await polled(1);
  cluster.transcodes = [progress(5, 30)];
  act(() => {
    cluster.goDown();
  });
  await polled(2);
  await waitFor(() => {
    expect(screen.getAllByText('30%')).toHaveLength(2);
  });
  cluster.transcodes = [progress(5, 70)];
  act(() => {
    clock.advance(5000);
  });
  await waitFor(() => {
    expect(screen.getAllByText('70%')).toHaveLength(2);
  });
  expect(cluster.polls).toBe(3);
});

test('what has ended leaves the active ones, with its result', async () => {
  await open();
  cluster.say(progress(5, 90));
  cluster.say(progress(6, 10));
  await stands(5, 90);
  cluster.say(complete(5));
  cluster.say(failed(6, 'FFmpeg process exited with code 1'));
  const finished = await screen.findByRole('region', { name: 'Recently finished' });
  await waitFor(() => {
    expect(within(finished).getAllByRole('listitem')).toHaveLength(2);
  });
  expect(finished).toHaveTextContent('AV1 · 1 GB');
  expect(finished).toHaveTextContent('FFmpeg process exited with code 1');
  expect(screen.queryByRole('region', { name: 'Active' })).not.toBeInTheDocument();
});

test('active ones keep their places while they move on', async () => {
  await open();
  for (const id of [3, 1, 2]) cluster.say(progress(id, 10));
  await stands(2, 10);
  const order = (): (string | undefined)[] =>
    [...document.querySelectorAll<HTMLElement>('[data-video]')].map((row) => row.dataset['video']);
  await waitFor(() => {
    expect(order()).toEqual(['3', '2', '1']);
  });
  cluster.say(progress(1, 80));
  await stands(1, 80);
  expect(order()).toEqual(['3', '2', '1']);
});

test('they are searched by number and title, and shown by phase', async () => {
  cluster.transcodes = [progress(1234, 10), complete(77), failed(78, 'broken')];
  const page = await open({ query: ' NUMBER 7 ' });
  await screen.findByText('Video number 77');
  expect(screen.queryByText('Video 1234')).not.toBeInTheDocument();
  page.unmount();
  openPage(cluster, <TranscodeStatus phase="failed" />);
  await screen.findByText('Video number 78');
  expect(screen.queryByText('Video number 77')).not.toBeInTheDocument();
});

test('of very many a part is shown, and more on demand', async () => {
  cluster.transcodes = Array.from({ length: 60 }, (_, id) => complete(id + 1));
  await open();
  await waitFor(() => {
    expect(screen.getAllByRole('listitem')).toHaveLength(50);
  });
  await userEvent.click(screen.getByRole('button', { name: 'Show 10 more' }));
  expect(screen.getAllByRole('listitem')).toHaveLength(60);
});

test('of one video alone it says when nothing is known', async () => {
  await open({ videoId: 9 });
  await screen.findByText('No transcode of this video is known');
  cluster.say(progress(8, 50));
  cluster.say(progress(9, 5));
  await stands(9, 5);
  expect(screen.getAllByRole('progressbar')).toHaveLength(1);
});
