import { CloseCode } from './closeCodes';
import type { Clock, TimerId } from './clock';
import type { BrowserEnvironment } from './environment';
import { readFrame } from './frames';
import { Heartbeat } from './heartbeat';
import { ABNORMAL, type Close, type Transport, type TransportEvents } from './transport';

interface ConnectionOptions {
  url: string;
  token: string;
  WebSocket: typeof WebSocket;
  clock: Clock;
  /** Within which the `connected` frame must come, ms. */
  connectTimeout: number;
  heartbeatInterval: number;
  heartbeatTimeout: number;
  environment: BrowserEnvironment;
  on: TransportEvents;
}

/**
 * One WebSocket, from its handshake to its end, which is told exactly once.
 *
 * A dead one is given up at once: the browser's own `close` event would come only when the other side has answered,
 * or minutes later.
 */
export class Connection implements Transport {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #heartbeat: Heartbeat;
  readonly #on: ConnectionOptions['on'];
  readonly #environment: BrowserEnvironment;
  readonly #handshake: TimerId;
  #isOver = false;
  /** When `connected` came, ms since 1970. */
  connectedAt: number | null = null;
  /** What the node said before it closed: when to come back, ms. */
  retryAfter: number | null = null;

  /** @throws whatever `new WebSocket` throws, for a token that is no token for example. */
  constructor(options: ConnectionOptions) {
    const { clock, heartbeatInterval, heartbeatTimeout, on } = options;
    this.#clock = clock;
    this.#on = on;
    this.#environment = options.environment;
    // Not in the URL: proxies log that.
    this.#socket = new options.WebSocket(options.url, ['bearer', options.token]);
    this.#heartbeat = new Heartbeat(clock, heartbeatInterval, heartbeatTimeout, {
      ask: () => this.send('ping'),
      dead: () => this.#giveUp({ code: CloseCode.NO_HEARTBEAT, reason: 'the node does not answer' }),
    });
    this.#handshake = clock.setTimeout(
      () => this.#giveUp({ code: ABNORMAL, reason: 'no connection within the deadline' }),
      options.connectTimeout,
    );
    this.#listen();
  }

  /** Say that the node let us in, and how often it wants to hear us. */
  welcomed(heartbeatInterval: number): void {
    this.#clock.clearTimeout(this.#handshake);
    this.connectedAt = this.#clock.now();
    this.#heartbeat.start(heartbeatInterval);
  }

  send(text: string): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(text);
  }

  /** Find out within `timeout` ms whether it still lives. */
  probe(timeout: number): void {
    this.#heartbeat.probe(timeout);
  }

  /** End it; `ended` is not called. */
  close(): void {
    this.#finish();
    this.#socket.close(CloseCode.NORMAL);
  }

  #listen(): void {
    this.#socket.onmessage = (event: MessageEvent<unknown>) => {
      this.#heartbeat.heard();
      const received = readFrame(event.data);
      if (received.kind === 'ask') this.#acknowledge(received.number);
      else this.#on.received(received);
    };
    this.#socket.onclose = ({ code, reason }) => {
      this.#end({ code, reason });
    };
    // It contains nothing that `close` does not.
    this.#socket.onerror = () => undefined;
  }

  /** Say when the message before was painted. Its listeners have had it by now. */
  #acknowledge(number: string): void {
    this.#environment.afterPaint((ms) => this.send(`ack ${number} ${ms.toFixed(3)}`));
  }

  #giveUp(close: Close): void {
    this.#socket.close(close.code === CloseCode.NO_HEARTBEAT ? close.code : CloseCode.NORMAL);
    this.#end(close);
  }

  #end(close: Close): void {
    if (this.#isOver) return;
    this.#finish();
    this.#on.ended(close);
  }

  #finish(): void {
    this.#isOver = true;
    this.#heartbeat.stop();
    this.#clock.clearTimeout(this.#handshake);
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
  }
}
