import { withDeadline, type Clock } from './clock';
import { RealtimeError } from './errors';
import { expiryOf } from './jwt';

export interface TokenSources {
  /** Asked before every attempt. Default: `localStorage.token`. */
  getToken?: () => string | null | Promise<string | null>;
  /** Fetches a new access token; null if there is none to be had: the person has to log in. */
  refreshAccessToken?: () => Promise<string | null>;
}

export const NO_TOKEN = 'no_token';
const PROVIDER_FAILED = 'provider_failed';

// One that ends sooner would end while the handshake is under way.
const NEAR_EXPIRY_MS = 10_000;

// More than one: the stored one may still be the first that was refused.
const REFUSED_KEPT = 10;

/** Where tokens come from, and which of them are of no use any more. */
export class Tokens {
  readonly #sources: TokenSources & Required<Pick<TokenSources, 'getToken'>>;
  readonly #refused = new Set<string>();
  #refreshing: Promise<string | null> | null = null;

  constructor(
    sources: TokenSources,
    private readonly clock: Clock,
  ) {
    const { getToken = storedToken, refreshAccessToken } = sources;
    this.#sources = refreshAccessToken === undefined ? { getToken } : { getToken, refreshAccessToken };
  }

  /**
   * Return a token to connect with, a fresh one if the stored one is missing, refused or about to expire.
   *
   * @param deadline ms within which the app has to answer.
   * @throws RealtimeError of kind `token`; its code is `no_token` if asking again will not help.
   */
  get(deadline: number): Promise<string> {
    const late = (): Error =>
      new RealtimeError('token', 'the token provider does not answer', { code: PROVIDER_FAILED });
    return withDeadline(this.#get(), deadline, this.clock, late);
  }

  async #get(): Promise<string> {
    const token = await this.#ask(async () => this.#sources.getToken());
    const refreshable = this.#sources.refreshAccessToken !== undefined;
    // Without a way to get another one, leave the decision to the node: our clock may be wrong.
    if (this.#isUsable(token) && !(refreshable && this.#endsWithin(token, NEAR_EXPIRY_MS))) return token;
    try {
      const fresh = await this.#refresh();
      // Used whatever its exp says: if our clock is ahead, every token looks expired.
      if (this.#isUsable(fresh)) return fresh;
    } catch (error) {
      if (!this.#isUsable(token) || this.#endsWithin(token, 0)) throw error;
    }
    if (this.#isUsable(token) && !this.#endsWithin(token, 0)) return token;
    throw new RealtimeError('token', 'there is no valid token', { code: NO_TOKEN });
  }

  /** Return a token to go on with when `current` is about to expire; null if there is no other. */
  async renew(current: string): Promise<string | null> {
    const fresh =
      this.#sources.refreshAccessToken === undefined
        ? await this.#ask(async () => this.#sources.getToken())
        : await this.#refresh();
    return this.#isUsable(fresh) && fresh !== current ? fresh : null;
  }

  /** Never offer this token again: a node does not want it. */
  refuse(token: string): void {
    this.#refused.add(token);
    const [oldest] = this.#refused;
    if (this.#refused.size > REFUSED_KEPT && oldest !== undefined) this.#refused.delete(oldest);
  }

  #isUsable(token: string | null): token is string {
    return token !== null && token !== '' && !this.#refused.has(token);
  }

  #endsWithin(token: string, ms: number): boolean {
    const expiry = expiryOf(token);
    return expiry !== null && expiry - this.clock.now() <= ms;
  }

  /** Several who need a fresh token at once (socket and polling) share one call: a refresh token may be for one use. */
  #refresh(): Promise<string | null> {
    const { refreshAccessToken } = this.#sources;
    if (refreshAccessToken === undefined) return Promise.resolve(null);
    this.#refreshing ??= this.#ask(refreshAccessToken).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #ask(provider: () => Promise<string | null>): Promise<string | null> {
    try {
      return await provider();
    } catch (cause) {
      throw new RealtimeError('token', 'the token provider failed', { code: PROVIDER_FAILED, cause });
    }
  }
}

function storedToken(): string | null {
  return typeof localStorage === 'undefined' ? null : localStorage.getItem('token');
}
