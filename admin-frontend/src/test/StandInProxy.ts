import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { WebSocketServer } from 'ws';
import { connected, STATS, Visit } from './StandInNode';

/** An event stream, as the stand-in sees it. */
export class StreamVisit {
  readonly path: string;
  readonly since: string | null;
  readonly token: string | null;
  isClosed = false;

  constructor(
    request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {
    const url = new URL(request.url ?? '/', 'http://node');
    this.path = url.pathname;
    this.since = url.searchParams.get('since');
    this.token = request.headers.authorization?.replace('Bearer ', '') ?? null;
    response.on('close', () => (this.isClosed = true));
  }

  begin(): void {
    this.response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
    this.response.write('retry: 3000\n');
  }

  send(message: object): void {
    this.response.write(`id: x\ndata: ${JSON.stringify(message)}\n\n`);
  }

  comment(): void {
    this.response.write(':\n\n');
  }

  close(code: number, reason = ''): void {
    this.response.end(`event: close\ndata: ${JSON.stringify({ code, reason })}\n\n`);
  }

  refuse(status: number, detail: string, headers: Record<string, string> = {}): void {
    this.response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify({ detail }));
  }

  /** Break the answer without a word. */
  cut(): void {
    this.response.destroy();
  }
}

/** A node behind a proxy that, unless told otherwise, lets no socket through. */
export class StandInProxy {
  readonly streams: StreamVisit[] = [];
  readonly sockets: Visit[] = [];
  upgrades = 0;
  passesSockets = false;
  /** What to do with the next streams, in turn; the last one goes on. */
  welcomes: ((stream: StreamVisit) => void)[] = [welcome];
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'bearer' });
  readonly #http = createServer((request, response) => this.#asked(request, response));

  static async start(): Promise<StandInProxy> {
    const proxy = new StandInProxy();
    proxy.#http.on('upgrade', (request, socket, head) => {
      proxy.upgrades += 1;
      if (!proxy.passesSockets) {
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
        return;
      }
      proxy.#sockets.handleUpgrade(request, socket, head, (accepted) => {
        const since = new URL(request.url ?? '/', 'http://node').searchParams.get('since');
        const visit = new Visit(accepted, '', since, null);
        proxy.sockets.push(visit);
        visit.send(connected({ recovered: since === null ? null : true, cursor: since ?? 'admin.1-0,all.1-0' }));
      });
    });
    proxy.#http.listen(0, '127.0.0.1');
    await once(proxy.#http, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get last(): StreamVisit {
    return this.streams.at(-1)!;
  }

  async stop(): Promise<void> {
    for (const visit of this.sockets) visit.cut();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #asked(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === '/api/v1/ws/stats') {
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ ...STATS, total_users: 7 }));
      return;
    }
    const stream = new StreamVisit(request, response);
    this.streams.push(stream);
    const next = this.welcomes.length > 1 ? this.welcomes.shift() : this.welcomes[0];
    next?.(stream);
  }
}

export function welcome(stream: StreamVisit): void {
  stream.begin();
  const { since } = stream;
  stream.send(connected(since === null ? {} : { recovered: true, cursor: since }));
}
