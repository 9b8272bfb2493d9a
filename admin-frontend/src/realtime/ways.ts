import { CloseCode } from './closeCodes';
import type { Clock } from './clock';
import type { Close } from './transport';

export type Way = 'socket' | 'stream';

const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 30 * 60_000;

/**
 * Chooses between socket and event stream for the next attempt.
 *
 * Sockets are preferred. Where several fail in a row without any frame of a node, a proxy may not let them
 * through: then an event stream is tried, which is plain HTTP, and sockets again after a while; ever longer ones.
 */
export class Ways {
  #failures = 0;
  #pause = FIRST_PAUSE_MS;
  #socketAgainAt = 0;
  #streamFailed = false;

  constructor(
    private readonly streamAfter: number,
    private readonly clock: Clock,
  ) {}

  get next(): Way {
    if (this.#failures < this.streamAfter || this.#streamFailed) return 'socket';
    return this.clock.now() < this.#socketAgainAt ? 'stream' : 'socket';
  }

  /** How long a stream may last before a socket is tried, ms. */
  get untilSocket(): number {
    return this.#socketAgainAt - this.clock.now();
  }

  /** Take note of how an attempt ended; true if the other way is to be tried, at once. */
  ended(way: Way, close: Close, wasConnected: boolean): boolean {
    const isOpenWay = wasConnected || close.code in WORDS;
    if (way === 'stream') {
      // Streams fail as well, so it is not because of the sockets.
      this.#streamFailed = !isOpenWay;
      return false;
    }
    this.#streamFailed = false;
    if (isOpenWay) {
      this.#failures = 0;
      this.#pause = FIRST_PAUSE_MS;
      return false;
    }
    this.#failures += 1;
    if (this.#failures < this.streamAfter) return false;
    this.#socketAgainAt = this.clock.now() + this.#pause;
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    return true;
  }
}

/** Only a node closes with these: whoever hears one has got through. */
const WORDS: Readonly<Record<number, true>> = {
  [CloseCode.SERVICE_RESTART]: true,
  [CloseCode.TRY_AGAIN_LATER]: true,
  [CloseCode.UNAUTHENTICATED]: true,
  [CloseCode.FORBIDDEN]: true,
  [CloseCode.TOO_MANY]: true,
};
