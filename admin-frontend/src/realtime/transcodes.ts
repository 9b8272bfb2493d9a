import { systemClock, type Clock, type TimerId } from './clock';
import { isMessage, type ServerMessage, type TranscodeMessage } from './messages';
import { Observable } from './observable';

export interface TranscodeState {
  videoId: number;
  status: string;
  progress: number;
  message: string;
  title: string | null;
  formatType: string | null;
  fileSize: number | null;
  error: string | null;
  phase: 'active' | 'complete' | 'failed';
  /** The router's, UTC. */
  timestamp: string;
  /** When this browser heard of it, ms since 1970. */
  seenAt: number;
}

// Bounded: a day's transcodes of a large platform would make every update slow.
const LIMIT = 2000;
const NOTIFY_EVERY_MS = 50;

/**
 * The newest value of every transcode.
 *
 * Never backwards, and in the end what the cluster's own table says. That orders by microseconds of the producer, while a
 * timestamp is the router's, in seconds; so it takes more than a timestamp to do the same:
 *
 * | comes | wins over what is known |
 * | --- | --- |
 * | by the socket, of a later second | always |
 * | by the socket, of the same second | an end over progress, more progress over less, an end over an end: events come in order |
 * | by polling, asked for after the known one was heard | always, for the table is right; only of two states of progress as by the socket |
 * | by polling, asked for before | as by the socket, but never an end over an end |
 *
 * Listeners are told at once of the first change, and then of all those of 50 ms together: at 200 updates a second a
 * page could not keep up otherwise.
 */
export class TranscodeStore {
  #states = new Map<number, TranscodeState>();
  readonly #published = new Observable<ReadonlyMap<number, TranscodeState>>(new Map());
  #isDirty = false;
  #quiet: TimerId | undefined;

  constructor(private readonly clock: Clock = systemClock) {}

  get snapshot(): ReadonlyMap<number, TranscodeState> {
    return this.#published.value;
  }

  subscribe(listener: () => void): () => void {
    return this.#published.subscribe(listener);
  }

  /** Take what the socket says; false if it is nothing new. */
  apply(message: ServerMessage): boolean {
    if (!isTranscode(message) || !this.#take(message, isNews)) return false;
    this.#changed();
    return true;
  }

  /**
   * Take what polling found: every state there is.
   *
   * @param askedAt when it was asked for, ms since 1970. Of what was last heard of before, the answer knows more: what is
   *     not in it has aged out. Without it nothing is taken away.
   */
  merge(polled: readonly TranscodeMessage[], askedAt = -Infinity): void {
    const found = new Set(polled.map((message) => message.video_id));
    let changed = false;
    const wins: Rule = (next, known) => (known.seenAt < askedAt ? isTruth(next, known) : isLeftOut(next, known));
    for (const message of polled) changed = this.#take(message, wins) || changed;
    for (const [videoId, { seenAt }] of this.#states) {
      if (!found.has(videoId) && seenAt < askedAt) changed = this.#states.delete(videoId);
    }
    if (changed) this.#changed();
  }

  #take(message: TranscodeMessage, wins: Rule): boolean {
    const known = this.#states.get(message.video_id);
    const next = stateOf(message, known, this.clock.now());
    if (known !== undefined && !wins(next, known)) return false;
    this.#states.set(message.video_id, next);
    if (this.#states.size > LIMIT) this.#forgetOne();
    return true;
  }

  /** Forget the one that was heard of the longest ago, an ended one if there is any. */
  #forgetOne(): void {
    const oldest = (states: TranscodeState[]): TranscodeState | undefined =>
      states.reduce<TranscodeState | undefined>((a, b) => (a === undefined || b.seenAt < a.seenAt ? b : a), undefined);
    const all = [...this.#states.values()];
    const victim = oldest(all.filter((state) => state.phase !== 'active')) ?? oldest(all);
    if (victim !== undefined) this.#states.delete(victim.videoId);
  }

  #changed(): void {
    this.#isDirty = true;
    if (this.#quiet === undefined) this.#publish();
  }

  #publish(): void {
    this.#isDirty = false;
    this.#quiet = this.clock.setTimeout(() => {
      this.#quiet = undefined;
      if (this.#isDirty) this.#publish();
    }, NOTIFY_EVERY_MS);
    this.#published.value = new Map(this.#states);
  }
}

function isTranscode(message: ServerMessage): message is TranscodeMessage {
  return (
    isMessage(message, 'transcode_progress') ||
    isMessage(message, 'transcode_complete') ||
    isMessage(message, 'transcode_failed')
  );
}

type Rule = (next: TranscodeState, known: TranscodeState) => boolean;

/** By the socket. */
function isNews(next: TranscodeState, known: TranscodeState): boolean {
  return isEnd(next) && isEnd(known) && compare(next, known) === 0 ? !isSame(next, known) : isLeftOut(next, known);
}

/** By polling, and it may be older than what the socket told. */
function isLeftOut(next: TranscodeState, known: TranscodeState): boolean {
  const order = compare(next, known);
  if (order !== 0) return order > 0;
  if (isEnd(known)) return false;
  if (isEnd(next)) return true;
  if (next.status !== known.status) return next.progress >= known.progress;
  return next.progress > known.progress || (next.progress === known.progress && next.message !== known.message);
}

/** By polling, and it was read from the cluster's table after the socket had told what is known. */
function isTruth(next: TranscodeState, known: TranscodeState): boolean {
  return isEnd(next) || isEnd(known) ? !isSame(next, known) : isLeftOut(next, known);
}

function isEnd({ phase }: TranscodeState): boolean {
  return phase !== 'active';
}

/** Above zero: `next` is of a later second, or says none that can be compared. */
function compare(next: TranscodeState, known: TranscodeState): number {
  const between = Date.parse(next.timestamp) - Date.parse(known.timestamp);
  return Number.isNaN(between) ? 1 : between;
}

function isSame(a: TranscodeState, b: TranscodeState): boolean {
  const both = { ...a, seenAt: b.seenAt };
  return Object.entries(both).every(([field, value]) => b[field as keyof TranscodeState] === value);
}

function stateOf(message: TranscodeMessage, known: TranscodeState | undefined, seenAt: number): TranscodeState {
  const { video_id: videoId, timestamp } = message;
  const before = { title: null, formatType: null, fileSize: null, error: null, message: '' };
  const common = { ...before, title: known?.title ?? null, videoId, timestamp, seenAt };
  switch (message.type) {
    case 'transcode_progress': {
      const { status, progress, message: text } = message;
      return { ...common, status, progress, message: text, phase: 'active' };
    }
    case 'transcode_complete': {
      const { title, format_type: formatType, file_size: fileSize } = message;
      return { ...common, title, formatType, fileSize, status: 'complete', progress: 100, phase: 'complete' };
    }
    case 'transcode_failed': {
      const { title, error } = message;
      const progress = known?.phase === 'complete' ? 0 : (known?.progress ?? 0);
      return { ...common, title, error, status: 'failed', progress, phase: 'failed' };
    }
  }
}
