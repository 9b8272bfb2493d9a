import { beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../test/FakeClock';
import type { TranscodeComplete, TranscodeFailed, TranscodeProgress } from './messages';
import { TranscodeStore } from './transcodes';

let clock: FakeClock;
let store: TranscodeStore;
beforeEach(() => {
  clock = new FakeClock();
  store = new TranscodeStore(clock);
});

const at = (second: number): string => new Date(Date.parse('2026-01-31T12:00:00Z') + second * 1000).toISOString();
const progress = (second: number, value: number, more: Partial<TranscodeProgress> = {}): TranscodeProgress => ({
  type: 'transcode_progress',
  video_id: 123,
  status: 'processing',
  progress: value,
  message: '',
  timestamp: at(second),
  ...more,
});
const complete = (second: number, more: Partial<TranscodeComplete> = {}): TranscodeComplete => ({
  type: 'transcode_complete',
  video_id: 123,
  title: '示例视频',
  format_type: 'av1',
  file_size: 1024,
  timestamp: at(second),
  ...more,
});
const failed = (second: number): TranscodeFailed => ({
  type: 'transcode_failed',
  video_id: 123,
  title: '示例视频',
  error: 'FFmpeg',
  timestamp: at(second),
});
const seen = (): number | undefined => {
  clock.advance(50);
  return store.snapshot.get(123)?.progress;
};

describe('the newest value', () => {
  test('is shown as it comes, and ends as it ends', () => {
    expect(store.apply(progress(1, 10))).toBe(true);
    expect(store.snapshot.get(123)).toMatchObject({ phase: 'active', progress: 10, title: null, seenAt: clock.now() });
    clock.advance(50);
    store.apply(complete(2));
    const ended = { phase: 'complete', progress: 100, title: '示例视频', formatType: 'av1', fileSize: 1024 };
    expect(store.snapshot.get(123)).toMatchObject(ended);
  });

  test('of a failure keeps how far it had come', () => {
    store.apply(progress(1, 40));
    store.apply(failed(2));
    expect(seen()).toBe(40);
    expect(store.snapshot.get(123)).toMatchObject({ phase: 'failed', error: 'FFmpeg' });
  });

  test('never goes backwards, whichever way the older one comes', () => {
    store.apply(progress(5, 50));
    expect(store.apply(progress(4, 60))).toBe(false);
    store.merge([progress(3, 40)]);
    expect(seen()).toBe(50);
  });

  test('within one second never goes backwards either', () => {
    store.apply(progress(5, 50));
    expect(store.apply(progress(5, 49))).toBe(false);
    expect(store.apply(progress(5, 50))).toBe(false);
    expect(store.apply(progress(5, 51))).toBe(true);
    expect(store.apply(progress(5, 51, { message: 'another text' }))).toBe(true);
    store.apply(complete(5));
    expect(store.apply(progress(5, 99))).toBe(false);
    expect(seen()).toBe(100);
  });

  test('of what has failed is no more progress of the same second', () => {
    store.apply(progress(5, 40));
    store.apply(failed(5));
    expect(store.apply(progress(5, 50))).toBe(false);
  });

  test('may be lower later: it was begun anew', () => {
    store.apply(progress(5, 90));
    expect(store.apply(progress(6, 1))).toBe(true);
    store.apply(complete(7));
    expect(store.apply(progress(9, 2))).toBe(true);
    expect(seen()).toBe(2);
    expect(store.snapshot.get(123)).toMatchObject({ phase: 'active', title: '示例视频' });
  });

  test('is not touched by an old end that is caught up with', () => {
    store.apply(progress(9, 20));
    expect(store.apply(complete(5))).toBe(false);
    expect(seen()).toBe(20);
  });

  test('is not touched by other messages', () => {
    expect(store.apply({ type: 'system_message', message: 'x', level: 'info', timestamp: at(1), id: 'a.1-1' })).toBe(
      false,
    );
    expect(store.apply({ type: 'shop.order' })).toBe(false);
    expect(store.snapshot.size).toBe(0);
  });
});

describe('of several ends', () => {
  const phase = (): string | undefined => {
    clock.advance(50);
    return store.snapshot.get(123)?.phase;
  };
  /** Ask, wait for as long as an answer takes, and take it. */
  const poll = (answer: TranscodeComplete | TranscodeFailed | TranscodeProgress, meanwhile = (): void => undefined) => {
    clock.advance(1000);
    const askedAt = clock.now();
    meanwhile();
    clock.advance(10);
    store.merge([answer], askedAt);
  };

  test('within one second the last one counts, as in the cluster', () => {
    store.apply(complete(5));
    expect(store.apply(failed(5))).toBe(true);
    expect(phase()).toBe('failed');
    expect(store.apply(complete(5))).toBe(true);
    expect(phase()).toBe('complete');
  });

  test('the same one said twice is nothing new', () => {
    store.apply(complete(5));
    expect(store.apply(complete(5))).toBe(false);
  });

  test('a failure after a completion has not come as far as the end', () => {
    store.apply(complete(5));
    store.apply(failed(5));
    expect(seen()).toBe(0);
  });

  test('polling tells the same as the socket, in the same second or a later one', () => {
    store.apply(complete(5));
    store.apply(failed(5));
    poll(failed(5));
    expect(phase()).toBe('failed');
    poll(complete(6));
    expect(phase()).toBe('complete');
  });

  test('an answer that was under way when the socket told more undoes nothing', () => {
    store.apply(complete(5));
    poll(complete(5), () => store.apply(failed(5)));
    expect(phase()).toBe('failed');
  });

  // The router's timestamp is of when it came; the cluster's table goes by when the producer sent it.
  test('one that was late for the cluster is put right by polling', () => {
    store.apply(complete(5));
    store.apply(failed(8));
    poll(complete(5));
    expect(phase()).toBe('complete');
  });

  test('one that was followed by a new start within its second is put right by polling', () => {
    store.apply(complete(5));
    expect(store.apply(progress(5, 1))).toBe(false);
    poll(progress(5, 1));
    expect(phase()).toBe('active');
  });

  test('progress does not go backwards by polling all the same', () => {
    store.apply(progress(5, 60));
    poll(progress(5, 50));
    expect(seen()).toBe(60);
  });
});

describe('polled values', () => {
  test('fill in what the socket did not tell', () => {
    store.apply(progress(1, 10));
    store.merge([complete(2), progress(2, 5, { video_id: 7 })]);
    clock.advance(50);
    expect([...store.snapshot.values()].map(({ videoId, phase }) => [videoId, phase])).toEqual([
      [123, 'complete'],
      [7, 'active'],
    ]);
  });

  test('take away what has aged out, and nothing that was heard of since they were asked for', () => {
    store.apply(progress(1, 10));
    clock.advance(1000);
    const askedAt = clock.now();
    clock.advance(10);
    store.apply(progress(2, 10, { video_id: 7 }));
    store.merge([], askedAt);
    clock.advance(50);
    expect([...store.snapshot.keys()]).toEqual([7]);
  });
});

describe('listeners', () => {
  test('hear the first change at once, and the rest of a burst together', () => {
    let heard = 0;
    store.subscribe(() => (heard += 1));
    for (let n = 0; n < 100; n += 1) store.apply(progress(n, n));
    expect(heard).toBe(1);
    clock.advance(50);
    expect(heard).toBe(2);
    expect(store.snapshot.get(123)?.progress).toBe(99);
    clock.advance(1000);
    expect(heard).toBe(2);
    expect(clock.waiting).toBe(0);
  });

  test('see another snapshot after a change, and the old one as it was', () => {
    store.apply(progress(1, 10));
    const before = store.snapshot;
    clock.advance(50);
    store.apply(progress(2, 20));
    expect(store.snapshot).not.toBe(before);
    expect(before.get(123)?.progress).toBe(10);
  });
});

test('of very many the ended ones are forgotten first', () => {
  store.apply(progress(1, 10));
  for (let video = 1000; video < 3100; video += 1) store.apply(complete(2, { video_id: video }));
  clock.advance(50);
  expect(store.snapshot.size).toBe(2000);
  expect(store.snapshot.get(123)?.phase).toBe('active');
});
