import type { Transcodes } from '../../hooks/useTranscodes';
import type { TranscodeState } from '../../realtime';

export type PhaseFilter = 'all' | TranscodeState['phase'];

export interface Order {
  active: readonly number[];
  finished: readonly number[];
}

/**
 * Make a function that says which videos are shown, in which order: active ones by number, so that no row jumps while it
 * moves on, finished ones by when they ended. It returns the same object until something really moved.
 */
export function ordering(filter: PhaseFilter, query: string): (transcodes: Transcodes) => Order {
  let seen: Transcodes | null = null;
  let last: Order = { active: [], finished: [] };
  return (transcodes) => {
    if (transcodes === seen) return last;
    seen = transcodes;
    const shown = [...transcodes.values()].filter((each) => matches(each, filter, query));
    const active = shown.filter((each) => each.phase === 'active').sort((a, b) => b.videoId - a.videoId);
    const finished = shown.filter((each) => each.phase !== 'active').sort(byEnd);
    const next = { active: active.map((each) => each.videoId), finished: finished.map((each) => each.videoId) };
    if (!same(next.active, last.active) || !same(next.finished, last.finished)) last = next;
    return last;
  };
}

function matches(transcode: TranscodeState, filter: PhaseFilter, query: string): boolean {
  if (filter !== 'all' && transcode.phase !== filter) return false;
  return (
    !query || String(transcode.videoId).includes(query) || (transcode.title?.toLowerCase().includes(query) ?? false)
  );
}

function byEnd(a: TranscodeState, b: TranscodeState): number {
  // Timestamps are UTC to the second, all alike, so that text sorts as time does.
  return b.timestamp.localeCompare(a.timestamp) || b.videoId - a.videoId;
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((each, at) => each === b[at]);
}
