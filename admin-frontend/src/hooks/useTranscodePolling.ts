import { useEffect, useMemo, useSyncExternalStore } from 'react';

import { useSession } from '../contexts/SessionContext';
import type { TranscodePolling } from '../realtime';

export type PollingState = TranscodePolling['snapshot'];

const NOT_YET: PollingState = { interval: 15_000, loaded: false, failed: false };
const never = (): (() => void) => () => undefined;

/** Keep the transcodes fresh by polling while the component is there; several of them poll once. */
export function useTranscodePolling(): PollingState {
  const session = useSession();
  useEffect(() => session?.watchTranscodes(), [session]);
  const polling = session?.polling;
  return useSyncExternalStore(
    useMemo(() => polling?.subscribe.bind(polling) ?? never, [polling]),
    () => polling?.snapshot ?? NOT_YET,
  );
}
