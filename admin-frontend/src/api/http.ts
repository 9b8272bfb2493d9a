/** A call that was not answered as hoped. `status` is 0 when nobody answered at all. */
export class CallFailed extends Error {
  readonly status: number;
  /** What the server said: FastAPI's `detail`. */
  readonly detail: unknown;
  /** ms after which it may be tried again, if the server said so. */
  readonly retryAfter: number | null;

  constructor(status: number, detail: unknown, retryAfter: number | null = null) {
    super(status === 0 ? 'the server does not answer' : `HTTP ${status}: ${say(detail)}`);
    this.name = 'CallFailed';
    this.status = status;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

export interface Call {
  method?: 'GET' | 'POST';
  token?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

const TIMEOUT = 15_000; // ms; a node waits 10 s for its router

/** Call a node and read its JSON; throws `CallFailed`, or the reason for which `signal` was aborted. */
export async function call(url: string, { method = 'GET', token, body, headers, signal }: Call = {}): Promise<unknown> {
  const deadline = AbortSignal.timeout(TIMEOUT);
  let answer: Response;
  try {
    answer = await fetch(url, {
      method,
      headers: {
        Accept: 'application/json',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new CallFailed(0, error instanceof Error ? error.message : String(error));
  }
  const json: unknown = await answer.json().catch(() => null);
  if (answer.ok) return json;
  const detail = typeof json === 'object' && json !== null && 'detail' in json ? json.detail : json;
  throw new CallFailed(answer.status, detail, retryAfterOf(answer));
}

function retryAfterOf(answer: Response): number | null {
  const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : null;
}

function say(detail: unknown): string {
  return typeof detail === 'string' ? detail : JSON.stringify(detail);
}
