const SOCKET_PATH = /\/api\/v1\/ws(?:\/admin)?\/?$/;

/** Where the cluster is. `base` may be a ws:, wss:, http: or https: URL or empty: then it is where the page came from. */
export class Address {
  readonly #base: URL;

  constructor(base: string | undefined, page = pageAddress()) {
    this.#base = new URL(base === undefined || base === '' ? page : base, page);
    // Older set-ups name the socket itself.
    const path = this.#base.pathname.replace(SOCKET_PATH, '');
    this.#base.pathname = base === undefined || base === '' ? '/' : path.replace(/\/?$/, '/');
    this.#base.search = '';
    this.#base.hash = '';
  }

  /** @param acknowledge whether the node may ask when a message was shown. */
  socket(isAdmin: boolean, since: string | null, acknowledge = false): string {
    const url = new URL(isAdmin ? 'api/v1/ws/admin' : 'api/v1/ws', this.#base);
    url.protocol = secure(this.#base) ? 'wss:' : 'ws:';
    if (since !== null) url.searchParams.set('since', since);
    if (acknowledge) url.searchParams.set('acks', '1');
    return url.href;
  }

  events(isAdmin: boolean, since: string | null): string {
    const url = new URL(this.http(isAdmin ? 'events/admin' : 'events'));
    if (since !== null) url.searchParams.set('since', since);
    return url.href;
  }

  http(path: string): string {
    const url = new URL(`api/v1/${path}`, this.#base);
    url.protocol = secure(this.#base) ? 'https:' : 'http:';
    return url.href;
  }
}

function secure(url: URL): boolean {
  return url.protocol === 'https:' || url.protocol === 'wss:';
}

function pageAddress(): string {
  return typeof location === 'undefined' ? 'http://localhost' : location.href;
}
