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

// A day's transcodes of a large platform would make every update slow.
const LIMIT = 2000;
const NOTIFY_EVERY_MS = 50;

/**
 * The newest value of every transcode.
 *
 * Never backwards: what is older by its timestamp is dropped, whatever way it came, and within one second (timestamps
 * have no more) an end wins over progress, and more progress over less. Listeners are told at once of the first
 * change, and then of all those of 50 ms together: at 200 updates a second a page has better things to do.
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
    if (!isTranscode(message) || !this.#take(message)) return false;
    this.#changed();
    return true;
  }

  /**
   * Take what polling found: every state there is.
   *
   * @param askedAt when it was asked for, ms since 1970. What is not among the answer, and was last heard of before,
   *     has aged out; without it nothing is taken away.
   */
  merge(polled: readonly TranscodeMessage[], askedAt = -Infinity): void {
    const found = new Set(polled.map((message) => message.video_id));
    let changed = false;
    for (const message of polled) changed = this.#take(message) || changed;
    for (const [videoId, { seenAt }] of this.#states) {
      if (!found.has(videoId) && seenAt < askedAt) changed = this.#states.delete(videoId);
    }
    if (changed) this.#changed();
  }

  #take(message: TranscodeMessage): boolean {
    const known = this.#states.get(message.video_id);
    const next = stateOf(message, known, this.clock.now());
    if (known !== undefined && !isNews(next, known)) return false;
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

function isNews(next: TranscodeState, known: TranscodeState): boolean {
  const [then, now] = [Date.parse(known.timestamp), Date.parse(next.timestamp)];
  if (now !== then) return !(now < then);
  if (known.phase !== 'active') return false;
  if (next.phase !== 'active') return true;
  if (next.status !== known.status) return next.progress >= known.progress;
  return next.progress > known.progress || (next.progress === known.progress && next.message !== known.message);
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
      return { ...common, title, error, status: 'failed', progress: known?.progress ?? 0, phase: 'failed' };
    }
  }
}
