import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

/** A client's connection, as the stand-in sees it. */
export class Visit {
  readonly received: string[] = [];
  closedWith: number | null = null;

  constructor(
    readonly socket: WebSocket,
    readonly path: string,
    readonly since: string | null,
    readonly token: string | null,
    readonly acks: string | null = null,
  ) {
    socket.on('message', (data) => this.received.push((data as Buffer).toString()));
    socket.on('close', (code) => (this.closedWith = code));
  }

  send(frame: object | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  close(code: number, reason = ''): void {
    this.socket.close(code, reason);
  }

  /** Break the connection without a word. */
  cut(): void {
    this.socket.terminate();
  }
}

export const STATS = { total_users: 1, total_user_connections: 0, total_admin_connections: 1, total_connections: 1 };

export function connected(more: object = {}): object {
  return {
    type: 'connected',
    message: '管理员 admin 已连接',
    admin_id: 1,
    connection_stats: STATS,
    recovered: null,
    cursor: 'admin.1-0,all.1-0',
    heartbeat_interval_ms: 30_000,
    ...more,
  };
}

/** A WebSocket server on a real socket that does what a test wants; by default it lets everybody in and says `pong`. */
export class StandInNode {
  readonly visits: Visit[] = [];
  /** What to do with the next visits, in turn; the last one goes on. */
  welcomes: ((visit: Visit) => void)[] = [(visit) => visit.send(connected())];
  answersPings = true;
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket, request) => this.#visited(socket, request));
  }

  static async start(port = 0): Promise<StandInNode> {
    const handleProtocols = (offered: Set<string>): string | false => (offered.has('bearer') ? 'bearer' : false);
    const server = new WebSocketServer({ port, host: '127.0.0.1', handleProtocols });
    await once(server, 'listening');
    return new StandInNode(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The connections that are open. */
  get open(): number {
    return this.#server.clients.size;
  }

  get last(): Visit {
    return this.visits.at(-1)!;
  }

  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #visited(socket: WebSocket, request: IncomingMessage): void {
    const url = new URL(request.url ?? '/', 'http://node');
    const [protocol, token] = (request.headers['sec-websocket-protocol'] ?? '').split(/, */);
    const visit = new Visit(
      socket,
      url.pathname,
      url.searchParams.get('since'),
      protocol === 'bearer' ? (token ?? null) : null,
      url.searchParams.get('acks'),
    );
    this.visits.push(visit);
    socket.on('message', (data) => {
      if (this.answersPings && (data as Buffer).toString() === 'ping') visit.send('pong');
    });
    const welcome = this.welcomes.length > 1 ? this.welcomes.shift() : this.welcomes[0];
    welcome?.(visit);
  }
}
