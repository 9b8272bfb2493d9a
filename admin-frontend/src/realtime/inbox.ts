import type { RealtimeClient } from './client';
import { systemClock, type Clock } from './clock';
import { browserEnvironment, type BrowserEnvironment } from './environment';
import { isFields } from './frames';
import { InboxApi, InboxError } from './inboxApi';
import { InboxBadge, isCounted, type Counted } from './inboxBadge';
import { FRESH_MAX, type InboxFilter, type InboxList } from './inboxList';
import { InboxLists } from './inboxLists';
import { InboxMarks, type Change } from './inboxMarks';
import { InboxMemory } from './inboxMemory';
import { InboxQuestions } from './inboxQuestions';
import { insist } from './insist';
import type { InboxChanged } from './messages';
import type { NotificationItem } from './notificationItem';
import type { KeptStorage } from './notificationShelf';
import { Observable } from './observable';
import { Places } from './places';
import type { Tabs } from './tabs';

export interface InboxOptions {
  client: RealtimeClient;
  isAdmin: boolean;
  /** Whose it is: what is remembered over a reload is remembered for them. */
  userKey: string;
  tabs?: Tabs;
  storage?: KeptStorage | null;
  fetch?: typeof fetch;
  environment?: BrowserEnvironment;
  clock?: Clock;
}

export interface InboxSnapshot {
  /** Whether the server keeps an inbox; until it has answered, whether it did when this browser last asked. */
  readonly isOn: boolean;
  readonly unread: number;
  /** Why the server's count could not be had; null if it could. */
  readonly error: InboxError | null;
  /** What was taken back because the server did not take it, until `noteFailure()`. */
  readonly failed: 'read' | 'remove' | null;
}

type Call = (signal: AbortSignal) => Promise<Counted>;

// Events that the server's count has not gone past: then it is asked for again, however good ours is.
const HEARD_MAX = 500;

/**
 * The server's inbox as one device sees it: the count of what is unread, lists, and changes, which are shown at once.
 *
 * Nothing of it is kept in the browser but whether there is one, and the last count, shown until the server answers.
 */
export class Inbox {
  readonly api: InboxApi;
  readonly #badge = new InboxBadge();
  readonly #marks = new InboxMarks();
  readonly #lists: InboxLists;
  readonly #memory: InboxMemory;
  readonly #questions: InboxQuestions;
  readonly #published: Observable<InboxSnapshot>;
  readonly #ends: (() => void)[] = [];
  readonly #stop = new AbortController();
  readonly #clock: Clock;
  readonly #tellTabs: (change: Change, counted: Counted) => void;
  #isOn: boolean;
  #error: InboxError | null = null;
  #failed: InboxSnapshot['failed'] = null;
  #top = Places.NONE;
  /** Of the last change that was heard of on this connection. */
  #revision: number | null = null;
  #hasHole = false;

  constructor(options: InboxOptions) {
    const { client, isAdmin, userKey, tabs, clock = systemClock } = options;
    const { storage, environment = browserEnvironment() } = options;
    this.#clock = clock;
    this.api = new InboxApi({ client, isAdmin, clock, ...(options.fetch && { fetch: options.fetch }) });
    this.#lists = new InboxLists(this.api, this.#marks);
    this.#memory = new InboxMemory(userKey, storage);
    this.#isOn = this.#memory.unread !== null;
    this.#published = new Observable(this.#now());
    this.#tellTabs = (change, counted) => tabs?.post({ inbox: userKey, change, counted });
    this.#questions = new InboxQuestions({
      client,
      environment,
      clock,
      ask: (signal) => this.#ask(signal),
      lost: () => (this.#hasHole = true),
      connected: () => {
        this.#badge.renew();
        this.#error = null; // another node may have what the one before had not
      },
    });
    this.#ends.push(
      client.on('inboxChanged', (frame) => this.#changedElsewhere(frame)),
      tabs?.on((message) => {
        if (isFields(message) && message['inbox'] === userKey) this.#changedInTab(message);
      }) ?? (() => undefined),
    );
    this.#questions.start();
  }

  get snapshot(): InboxSnapshot {
    return this.#published.value;
  }

  subscribe(listener: () => void): () => void {
    return this.#published.subscribe(listener);
  }

  /** Take an event that the socket brought. */
  hear(item: NotificationItem): void {
    if (this.#error?.kind === 'off') return;
    this.#top = this.#top.with(Places.of([item.id]));
    if (this.#marks.isDeleted(item.id)) return;
    const read = this.#marks.isRead(item.id);
    if (!read) this.#badge.hear(item.id);
    for (const list of this.#lists) {
      list.hear({ ...item, read });
      if (this.#isOn && list.fresh === FRESH_MAX) void this.#reload(list);
    }
    this.#publish();
    if (this.#isOn && this.#badge.heard === HEARD_MAX) this.#questions.askNow();
  }

  /** Return a list that is kept up to date until it is given back by `unwatch`; the same one for the same filter. */
  watch(filter: InboxFilter = {}): InboxList {
    const { list, isNew } = this.#lists.watch(filter);
    if (isNew && this.#error !== null) list.fail(this.#error);
    else if (isNew && this.#revision !== null) void this.#reload(list);
    return list;
  }

  unwatch(list: InboxList): void {
    this.#lists.unwatch(list);
  }

  watched(filter: InboxFilter): InboxList | undefined {
    return this.#lists.watched(filter);
  }

  /** Mark one as read, or `'all'` that the server or the socket have told of. */
  async markAsRead(id: string): Promise<void> {
    if (id === 'all') {
      const upTo = this.#top.with(this.#badge.asOf);
      if (upTo.isEmpty) return;
      await this.#change('read', { up_to: upTo.ids }, (signal) => this.api.markUpTo(upTo.toString(), signal));
    } else if (!this.#marks.isAsked(id) && this.#lists.find(id)?.read !== true) {
      await this.#change('read', { read: [id] }, (signal) => this.api.markAsRead(id, signal));
    }
  }

  /** Delete one. */
  async remove(id: string): Promise<void> {
    if (this.#marks.asked.deleted.has(id)) return;
    const counts = this.#lists.find(id)?.read === false && !this.#marks.isAsked(id);
    const change = { deleted: [id], ...(counts && { read: [id] }) };
    await this.#change('remove', change, (signal) => this.api.remove(id, signal));
  }

  /** The person knows that a change was taken back. */
  noteFailure(): void {
    this.#failed = null;
    this.#publish();
  }

  /** Ask for everything anew. */
  refresh(): void {
    this.#hasHole = true;
    this.#questions.askNow();
  }

  close(): void {
    this.#stop.abort();
    this.#questions.stop();
    for (const end of this.#ends.splice(0)) end();
    for (const list of this.#lists) list.close();
  }

  // --- what the server says

  async #ask(signal: AbortSignal): Promise<InboxError | Places> {
    try {
      this.#counted(await this.api.count(signal));
      return this.#badge.asOf;
    } catch (cause) {
      const error = cause instanceof InboxError ? cause : new InboxError('away', 'no answer', null, cause);
      if (!signal.aborted) this.#unanswered(error);
      return error;
    }
  }

  #counted(counted: Counted): void {
    const before = this.#badge.asOf;
    const isFirst = this.#revision === null;
    this.#isOn = true;
    this.#error = null;
    this.#badge.take(counted);
    // With a socket what is new comes by it, and what was changed by frames; a list is read again when it may lack any.
    const isPartial = !this.#questions.isUp || this.#questions.isBehind;
    const missed = this.#hasHole || (isPartial && !before.reachAll(this.#badge.asOf));
    const isOld = isFirst || missed || this.#revision !== counted.revision;
    this.#revision = counted.revision;
    this.#hasHole = false;
    this.#publish();
    for (const list of this.#lists) {
      if (isOld || ['idle', 'failed'].includes(list.snapshot.state)) void this.#reload(list);
    }
  }

  #unanswered(error: InboxError): void {
    if (error.kind === 'off') {
      this.#isOn = false;
      this.#revision = null;
    }
    this.#error = error;
    for (const list of this.#lists) list.fail(error);
    this.#publish();
  }

  #changedElsewhere(frame: InboxChanged): void {
    // A change that nobody told us of: which one it was only the lists know.
    const hasGap = this.#revision !== null && frame.revision > this.#revision + 1;
    this.#isOn = true;
    this.#take(frame, frame);
    if (this.#revision !== null) this.#revision = Math.max(this.#revision, frame.revision);
    if (hasGap) for (const list of this.#lists) void this.#reload(list);
  }

  #changedInTab({ change, counted }: { change?: unknown; counted?: unknown }): void {
    if (isFields(change) && isCounted(counted)) this.#take(change, counted);
  }

  #take(change: Change, counted: Counted): void {
    this.#confirm(change);
    this.#badge.take(counted);
    this.#publish();
  }

  #confirm(change: Change): void {
    this.#marks.confirm(change);
    this.#badge.forget((id) => this.#marks.isRead(id));
    for (const list of this.#lists) list.confirm();
  }

  // --- what the person does

  async #change(what: 'read' | 'remove', change: Change, call: Call): Promise<void> {
    const { signal } = this.#stop;
    const settled = this.#marks.ask(change);
    this.#show();
    try {
      const counted = await insist(() => call(signal), this.#clock, signal);
      settled();
      this.#take(change, counted);
      this.#tellTabs(change, counted);
    } catch (cause) {
      settled();
      if (!signal.aborted) this.#refused(what, change, cause);
    }
  }

  /** Take back what was shown; one that is no more is gone, as if it had been deleted. */
  #refused(what: 'read' | 'remove', change: Change, cause: unknown): void {
    if (cause instanceof InboxError && cause.kind === 'unknown') {
      this.#confirm({ deleted: [...(change.read ?? []), ...(change.deleted ?? [])] });
      this.#questions.askNow();
    } else {
      this.#failed = what;
    }
    this.#show();
  }

  // --- what is shown

  #reload(list: InboxList): Promise<void> {
    return list.reload(() => this.#badge.asOf);
  }

  #show(): void {
    for (const list of this.#lists) list.show();
    this.#publish();
  }

  #publish(): void {
    this.#published.value = this.#now();
    this.#memory.keep(this.#isOn ? this.#published.value.unread : null);
  }

  #now(): InboxSnapshot {
    // Until the server has counted, what it counted for this browser the last time.
    const before = this.#badge.revision === null ? (this.#memory.unread ?? 0) : 0;
    const unread = before + this.#badge.unread(this.#marks.asked);
    return { isOn: this.#isOn, unread, error: this.#error, failed: this.#failed };
  }
}
