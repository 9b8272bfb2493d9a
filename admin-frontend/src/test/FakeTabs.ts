import { Tabs, type TabsOptions } from '../realtime';
import { FakeClock } from './FakeClock';
import { FakeEnvironment } from './FakeEnvironment';

type OpenChannel = NonNullable<TabsOptions['openChannel']>;
type Channel = ReturnType<OpenChannel>;
type Locks = NonNullable<TabsOptions['locks']>;

/** Storage that several tabs share. */
export class SharedStorage {
  readonly entries = new Map<string, string>();
  writes = 0;

  getItem(key: string): string | null {
    return this.entries.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.writes += 1;
    this.entries.set(key, value);
  }
}

/** What the tabs of one browser share; Node has real BroadcastChannels, and no Web Locks. */
export class FakeBrowser {
  readonly clock = new FakeClock();
  readonly storage = new SharedStorage();
  readonly locks = fakeLocks();
  readonly #name = `tabs-${Math.random()}`;
  readonly #open: Tabs[] = [];

  tab(options: { environment?: FakeEnvironment } & Partial<TabsOptions> = {}): Tabs {
    const { clock, storage, locks } = this;
    const tabs = new Tabs(this.#name, { clock, storage, locks, environment: new FakeEnvironment(), ...options });
    this.#open.push(tabs);
    return tabs;
  }

  close(): void {
    for (const tabs of this.#open) tabs.close();
  }
}

/** Exclusive locks as `navigator.locks` gives them: in turn, or not at all with `ifAvailable`. */
function fakeLocks(): Locks {
  const held = new Map<string, Promise<unknown>>();
  type Work = (lock: Lock | null) => unknown;
  const request = async (name: string, options: LockOptions, work: Work): Promise<unknown> => {
    if (options.ifAvailable && held.has(name)) return work(null);
    while (held.has(name)) {
      const aborted = new Promise((_, reject) =>
        options.signal?.addEventListener('abort', () => reject(new Error('aborted'))),
      );
      await Promise.race([held.get(name), aborted]);
    }
    const done = Promise.resolve(work({ name, mode: 'exclusive' }));
    held.set(name, done);
    return done.finally(() => held.delete(name));
  };
  return { request } as unknown as Locks;
}

/** Channels whose messages have arrived once promises have settled: for what must be heard before time goes on. */
export function memoryChannels(): OpenChannel {
  const open = new Set<Channel>();
  return () => {
    const channel: Channel = {
      onmessage: null,
      postMessage: (data) => {
        for (const other of open) {
          if (other !== channel) queueMicrotask(() => other.onmessage?.({ data } as MessageEvent<unknown>));
        }
      },
      close: () => open.delete(channel),
    };
    open.add(channel);
    return channel;
  };
}
