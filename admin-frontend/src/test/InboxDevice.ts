import { Address, Inbox, type InboxOptions, type RealtimeClient, type ServerMessage } from '../realtime';
import { Emitter } from '../realtime/emitter';
import { announce, type RealtimeEvents } from '../realtime/events';
import { itemOf } from '../realtime/notificationItem';
import { Observable } from '../realtime/observable';
import { FakeClock } from './FakeClock';
import { FakeEnvironment } from './FakeEnvironment';
import type { StandInInbox } from './StandInInbox';
import { connected } from './StandInNode';
import { settle } from './until';

/** A device whose socket and whose calls' answers bring what they bring when the test says so. */
export class InboxDevice {
  readonly clock = new FakeClock();
  readonly environment = new FakeEnvironment();
  readonly inbox: Inbox;
  /** What the socket has not brought yet, in its order. */
  readonly coming: object[] = [];
  /** Answers of the server that have not arrived yet. */
  readonly answers: (() => void)[] = [];
  /** Whether answers arrive by themselves. */
  isPrompt = true;
  readonly #events = new Emitter<RealtimeEvents>();
  readonly #state = new Observable<{ state: string }>({ state: 'connecting' });

  constructor(server: StandInInbox, options: Partial<InboxOptions> = {}) {
    const client = {
      tokens: { get: async () => 'token', refuse: () => undefined },
      address: new Address('http://node'),
      on: this.#events.on.bind(this.#events),
      subscribe: this.#state.subscribe.bind(this.#state),
      snapshot: { state: 'connecting' },
    };
    Object.defineProperty(client, 'snapshot', { get: () => this.#state.value });
    this.inbox = new Inbox({
      client: client as unknown as RealtimeClient,
      isAdmin: true,
      userKey: 'admin:1',
      storage: null,
      clock: this.clock,
      environment: this.environment,
      fetch: async (...call) => {
        const answer = await server.fetch(...call);
        if (!this.isPrompt) await new Promise<void>((arrived) => this.answers.push(arrived));
        call[1]?.signal?.throwIfAborted();
        return answer;
      },
      ...options,
    });
  }

  get unread(): number {
    return this.inbox.snapshot.unread;
  }

  /** Connect, and hear the server's first answer. */
  async connect(more: object = {}): Promise<this> {
    this.#state.value = { state: 'open' };
    this.hear(connected(more));
    await settle();
    return this;
  }

  async goDown(): Promise<void> {
    this.#state.value = { state: 'waiting' };
    await settle();
  }

  /** Hear what the socket brings. */
  hear(frame: object): void {
    const message = frame as ServerMessage;
    announce(this.#events, message);
    const item = itemOf(message, this.clock.now());
    if (item !== null) this.inbox.hear(item);
  }

  /** Let everything arrive that is on its way, and what comes of it. */
  async catchUp(): Promise<void> {
    while (this.coming.length > 0 || this.answers.length > 0) {
      for (const frame of this.coming.splice(0)) this.hear(frame);
      for (const arrive of this.answers.splice(0)) arrive();
      await settle();
    }
  }
}
