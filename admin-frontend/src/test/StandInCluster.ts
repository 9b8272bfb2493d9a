import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { WebSocketServer } from 'ws';

import { CloseCode } from '../realtime';
import { type Answer, INBOX, type StandInInbox } from './StandInInbox';
import { connected, STATS, Visit } from './StandInNode';

/** A node's sockets and its HTTP calls at one address, as a page needs them; real ones, which do what a test wants. */
export class StandInCluster {
  readonly visits: Visit[] = [];
  /** What polling is told. */
  transcodes: object[] = [];
  polls = 0;
  /** What is told of the cluster's counters; one that waits is told when it comes. */
  stats: () => object | Promise<object> = () => STATS;
  /** Without one, its calls are answered with 404. */
  inbox: StandInInbox | null = null;
  isDown = false;
  /** A token with which nobody is let in. */
  refuses: string | null = null;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'bearer' });

  private constructor() {
    this.#http = createServer((request, response) => {
      void this.#answer(request).then(({ status, body, headers }) => {
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
        response.end(JSON.stringify(body));
      });
    });
    this.#http.on('upgrade', (request, socket, head) => {
      if (this.isDown) socket.destroy();
      else
        this.#sockets.handleUpgrade(request, socket, head, (accepted) =>
          this.#visited(new Visit(accepted, ...asked(request))),
        );
    });
  }

  static async start(): Promise<StandInCluster> {
    const cluster = new StandInCluster();
    cluster.#http.listen(0, '127.0.0.1');
    await once(cluster.#http, 'listening');
    return cluster;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Say something to every page that is connected. */
  say(message: object): void {
    for (const visit of this.visits) if (visit.closedWith === null) visit.send(message);
  }

  /** Cut all sockets and let none in; HTTP goes on. */
  goDown(): void {
    this.isDown = true;
    for (const visit of this.visits) visit.cut();
  }

  async stop(): Promise<void> {
    for (const visit of this.visits) visit.cut();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://node');
    if (url.pathname === '/api/v1/ws/stats') return { status: 200, body: await this.stats() };
    if (url.pathname.startsWith(INBOX) && this.inbox !== null) {
      const text = Buffer.concat((await request.toArray()) as Buffer[]).toString();
      return this.inbox.answer(request.method ?? 'GET', url, text);
    }
    if (url.pathname !== '/api/v1/transcodes') return { status: 404, body: null };
    this.polls += 1;
    return { status: 200, body: { transcodes: this.transcodes } };
  }

  #visited(visit: Visit): void {
    this.visits.push(visit);
    if (visit.token === this.refuses) visit.close(CloseCode.UNAUTHENTICATED);
    else visit.send(connected());
  }
}

function asked(request: IncomingMessage): [path: string, since: string | null, token: string | null] {
  const url = new URL(request.url ?? '/', 'http://node');
  const [, token] = (request.headers['sec-websocket-protocol'] ?? '').split(/, */);
  return [url.pathname, url.searchParams.get('since'), token ?? null];
}
