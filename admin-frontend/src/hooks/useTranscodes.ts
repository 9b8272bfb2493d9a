import { useSyncExternalStore } from 'react';

import { type Store } from '../contexts/perFrame';
import { useSession } from '../contexts/SessionContext';
import type { TranscodeState } from '../realtime';

export type Transcodes = ReadonlyMap<number, TranscodeState>;

const NONE: Transcodes = new Map();
const EMPTY: Store<Transcodes> = { snapshot: NONE, subscribe: () => () => undefined };

/** Every known transcode. Whoever uses it renders with each frame in which any of them changed. */
export function useTranscodes(): Transcodes {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => store.snapshot);
}

/** One transcode. Whoever uses it renders when that one changed, at most once per frame. */
export function useTranscode(videoId: number): TranscodeState | undefined {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => store.snapshot.get(videoId));
}

/** A view of all transcodes, for example their order; `select` has to return the same value while it means the same. */
export function useTranscodeSelection<T>(select: (transcodes: Transcodes) => T): T {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => select(store.snapshot));
}

function useStore(): Store<Transcodes> {
  return useSession()?.frames ?? EMPTY;
}
