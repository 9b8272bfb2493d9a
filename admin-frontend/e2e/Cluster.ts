import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TRIES = 300;
const BETWEEN_TRIES = 100; // ms

export type NodeName = 'node-1' | 'node-2';
export type Claims = Record<string, string | number | boolean>;

export interface Update {
  type: 'transcode_progress' | 'transcode_complete' | 'transcode_failed' | 'system_message';
  [field: string]: unknown;
}

interface Places {
  /** Of the page and of both nodes. */
  url: string;
  router_url: string;
  api_key: string;
  /** An origin that the nodes allow, where an app may be served that is none of theirs. */
  other_origin: string;
}

/** Valkey, a router and two nodes that share one port: the Python tests' own cluster, commanded by lines. */
export class Cluster {
  readonly url: string;
  readonly otherOrigin: string;
  #numbers = 1000;

  private constructor(
    private readonly program: ChildProcessWithoutNullStreams,
    private readonly answers: AsyncIterator<string, undefined>,
    private readonly places: Places,
  ) {
    this.url = places.url;
    this.otherOrigin = places.other_origin;
  }

  /** @param inbox whether it keeps what its history does not reach back to, which is then very short. */
  static async start(inbox: boolean): Promise<Cluster> {
    const own = `${ROOT}.venv/bin/python`;
    const python = process.env['PYTHON'] ?? (existsSync(own) ? own : 'python3');
    const program = spawn(python, ['-m', 'tests.support.remote_control', ...(inbox ? ['--inbox'] : [])], { cwd: ROOT });
    program.stderr.pipe(process.stderr);
    const answers = createInterface(program.stdout)[Symbol.asyncIterator]() as AsyncIterator<string, undefined>;
    return new Cluster(program, answers, (await nextValue(answers)) as Places);
  }

  async stop(): Promise<void> {
    this.program.stdin.end();
    if (this.program.exitCode === null) await new Promise((ended) => this.program.once('exit', ended));
  }

  /** A number that this cluster has never heard: an admin's, a video's. */
  number(): number {
    return this.#numbers++;
  }

  // --- its processes

  kill(name: NodeName): Promise<unknown> {
    return this.#command('kill', name);
  }

  /** End it as a rolling update does: clients are asked to come back. */
  drain(name: NodeName): Promise<unknown> {
    return this.#command('stop', name);
  }

  start(name: NodeName): Promise<unknown> {
    return this.#command('start', name);
  }

  restartRedis(): Promise<unknown> {
    return this.#command('restart redis');
  }

  /** The nodes that hold connections of admins. */
  async holders(): Promise<NodeName[]> {
    return (await this.#command('holders')) as NodeName[];
  }

  async #command(...words: unknown[]): Promise<unknown> {
    this.program.stdin.write(`${JSON.stringify(words)}\n`);
    return nextValue(this.answers);
  }

  // --- what platform and producers do

  /** An administrator's token, good for ten minutes unless `exp` is given. */
  async token(claims: Claims = {}): Promise<string> {
    return (await this.#command('token', { sub: '1', is_admin: true, ...claims })) as string;
  }

  publish(update: Update): Promise<unknown> {
    return this.#post('notifications', update);
  }

  publishAll(items: readonly Update[]): Promise<unknown> {
    return this.#post('notifications/batch', { items });
  }

  /** Publish something whose trace is sampled, and return the trace's id. */
  async publishTraced(update: Update): Promise<string> {
    const traceId = randomUUID().replaceAll('-', '');
    await this.#post('notifications', update, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
    return traceId;
  }

  /** The names of a trace's spans, as far as they have come. */
  async spans(traceId: string): Promise<string[]> {
    return (await this.#command('spans', traceId)) as string[];
  }

  /** A system message to all admins. */
  announce(message: string, level = 'info'): Promise<unknown> {
    return this.publish({ type: 'system_message', message, level });
  }

  /** Mark everything as read for somebody: to whoever is new, all that other tests sent to the admins is not. */
  async readAll(claims: Claims): Promise<void> {
    const answer = await fetch(`${this.url}/api/v1/notifications/read`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${await this.token(claims)}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ all: true }),
    });
    if (!answer.ok) throw new Error(`reading all: HTTP ${answer.status} ${await answer.text()}`);
  }

  /** End all connections of somebody, as an administrator of the cluster does: the token they stand on is refused. */
  endConnections(user: string): Promise<unknown> {
    return this.#call('DELETE', `users/${user}/connections`);
  }

  #post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<unknown> {
    return this.#call('POST', path, body, headers);
  }

  /** Tried again while Redis is away, under one key, as producers do. */
  async #call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> {
    const request = {
      method,
      headers: {
        ...headers,
        Authorization: `Bearer ${this.places.api_key}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': randomUUID(),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    for (let triesLeft = TRIES; ; triesLeft -= 1) {
      const answer = await fetch(`${this.places.router_url}/api/v1/${path}`, request);
      if (answer.ok) return answer.json();
      if (answer.status !== 503 || triesLeft === 0)
        throw new Error(`${path}: HTTP ${answer.status} ${await answer.text()}`);
      await pause(BETWEEN_TRIES);
    }
  }
}

async function nextValue(answers: AsyncIterator<string, undefined>): Promise<unknown> {
  const { done, value: line } = await answers.next();
  if (done) throw new Error('the cluster has ended');
  const answer = JSON.parse(line) as { value?: unknown; error?: string };
  if (answer.error !== undefined) throw new Error(`the cluster: ${answer.error}`);
  return answer.value;
}
