import { WebSocket } from 'ws';
import { RealtimeClient, type RealtimeError, type RealtimeOptions, type ServerMessage } from '../realtime';
import { FakeClock } from './FakeClock';
import { FakeEnvironment } from './FakeEnvironment';
import { jwt } from './jwt';
import { until } from './until';

interface Happened {
  messages: ServerMessage[];
  errors: RealtimeError[];
  closes: { code: number; reason: string; willReconnect: boolean }[];
  lost: number;
  /** Every state, in the order in which they were taken. */
  states: string[];
}

/** A page with a client whose time, network and chance the test holds; its sockets are real. */
export class Browser {
  readonly clock = new FakeClock();
  readonly environment = new FakeEnvironment();
  readonly happened: Happened = { messages: [], errors: [], closes: [], lost: 0, states: [] };
  readonly client: RealtimeClient;

  constructor(url: string, options: Partial<RealtimeOptions> = {}) {
    this.client = new RealtimeClient({
      url,
      isAdmin: true,
      getToken: () => jwt(),
      clock: this.clock,
      environment: this.environment,
      streamAfter: Infinity, // a test that is about sockets hears by them
      random: () => 1, // the longest wait, so that a test can tell it
      WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
      ...options,
    });
    const { client, happened } = this;
    client.on('message', (message) => happened.messages.push(message));
    client.on('error', (error) => happened.errors.push(error));
    client.on('disconnected', (close) => happened.closes.push(close));
    client.on('lost', () => (happened.lost += 1));
    client.subscribe(() => {
      if (client.snapshot.state !== happened.states.at(-1)) happened.states.push(client.snapshot.state);
    });
  }

  get state(): string {
    return this.client.snapshot.state;
  }

  /** How long it waits before the next attempt, ms; null if it does not. */
  get delay(): number | null {
    const { nextAttemptAt } = this.client.snapshot;
    return nextAttemptAt === null ? null : nextAttemptAt - this.clock.now();
  }

  async becomes(state: string): Promise<void> {
    await until(() => this.state === state, `the state ${state} (it is ${this.state})`);
  }

  async connect(): Promise<this> {
    this.client.connect();
    await this.becomes('open');
    return this;
  }

  /** Let the wait for the next attempt pass. */
  async waitOut(): Promise<void> {
    await this.becomes('waiting');
    this.clock.advance(this.delay ?? 0);
  }
}
