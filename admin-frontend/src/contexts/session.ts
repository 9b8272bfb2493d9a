import {
  browserEnvironment,
  type BrowserEnvironment,
  Inbox,
  NotificationCenter,
  type NotificationItem,
  NotificationStore,
  RealtimeClient,
  type RealtimeOptions,
  systemClock,
  Tabs,
  type TranscodeState,
  TranscodePolling,
  TranscodeStore,
} from '../realtime';
import { Observable } from '../realtime/observable';
import { PerFrame } from './perFrame';

export interface SessionOptions extends RealtimeOptions {
  /** Whose history it is. */
  userKey: string;
}

export interface PolledState {
  loaded: boolean;
  failed: boolean;
}

/** Everything that one page shares: the connection, what it brought, and the other tabs. */
export class Session {
  readonly client: RealtimeClient;
  readonly transcodes: TranscodeStore;
  /** The transcodes as they are painted. */
  readonly frames: PerFrame<ReadonlyMap<number, TranscodeState>>;
  readonly tabs: Tabs;
  readonly notifications: NotificationCenter;
  readonly polling: TranscodePolling;
  /** Whether polling has told everything there is, and whether it last failed. */
  readonly polled = new Observable<PolledState>({ loaded: false, failed: false });
  /** How many ask for quiet just now: the list itself, which a toast would cover and repeat; a form that covers the page. */
  readonly hushed = new Observable(0);
  /** Something was missed for good since the person last took note of it: a hole in what this browser keeps. */
  readonly lost = new Observable(false);
  readonly #environment: BrowserEnvironment;
  readonly #toasts = new Set<(item: NotificationItem) => void>();
  readonly #end: (() => void)[] = [];
  #unseen: NotificationItem[] = [];
  #watchers = 0;

  constructor(options: SessionOptions) {
    const { userKey, clock = systemClock, environment = browserEnvironment() } = options;
    const shared = { clock, environment };
    this.#environment = environment;
    this.client = new RealtimeClient(options);
    this.transcodes = new TranscodeStore(clock);
    this.frames = new PerFrame(this.transcodes);
    this.tabs = new Tabs(`vsrt:${userKey}`, shared);
    const inbox = new Inbox({ client: this.client, isAdmin: options.isAdmin, userKey, tabs: this.tabs, ...shared });
    const own = new NotificationStore({ userKey, tabs: this.tabs, clock });
    this.notifications = new NotificationCenter({ inbox, own, clock });
    this.polling = new TranscodePolling({ client: this.client, store: this.transcodes, ...shared });
    this.#end.push(
      this.client.on('lost', () => {
        this.lost.value = true;
      }),
      this.polling.on('polled', () => {
        this.polled.value = { loaded: true, failed: false };
      }),
      this.polling.on('error', () => {
        this.polled.value = { ...this.polled.value, failed: true };
      }),
      this.client.on('message', (message) => {
        this.transcodes.apply(message);
        const item = this.notifications.add(message);
        if (item) this.#arrived(item);
      }),
      this.#environment.subscribe((event) => {
        if (event === 'visible') this.#seen();
      }),
    );
  }

  /** Keep the transcodes fresh by polling for as long as anybody shows them. */
  watchTranscodes(): () => void {
    this.#watchers += 1;
    if (this.#watchers === 1) this.polling.start();
    return () => {
      this.#watchers -= 1;
      if (this.#watchers === 0) this.polling.stop();
    };
  }

  /** The person knows that something was missed. */
  noteLost(): void {
    this.lost.value = false;
  }

  /** Show no toasts until the returned function is called. */
  hush(): () => void {
    this.hushed.value += 1;
    return () => {
      this.hushed.value -= 1;
    };
  }

  /** Hear of the notifications that this tab, and no other of this browser, has to show. */
  onToast(listener: (item: NotificationItem) => void): () => void {
    this.#toasts.add(listener);
    return () => {
      this.#toasts.delete(listener);
    };
  }

  close(): void {
    for (const end of this.#end) end();
    this.polling.stop();
    this.client.disconnect();
    this.notifications.close();
    this.tabs.close();
  }

  #arrived(item: NotificationItem): void {
    // A toast in a hidden tab would disappear before anybody looks, so it waits. If a visible tab shows it, it is not
    // shown again.
    if (this.#environment.visible) void this.#show(item);
    else this.#unseen.push(item);
  }

  #seen(): void {
    const waiting = this.#unseen;
    this.#unseen = [];
    for (const item of waiting) if (this.notifications.isUnread(item.id)) void this.#show(item);
  }

  async #show(item: NotificationItem): Promise<void> {
    if (!(await this.tabs.claim(item.id))) return;
    for (const listener of [...this.#toasts]) listener(item);
  }
}
