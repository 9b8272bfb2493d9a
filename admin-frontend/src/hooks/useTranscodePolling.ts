import { useEffect, useMemo, useSyncExternalStore } from 'react';

import type { PolledState } from '../contexts/session';
import { useSession } from '../contexts/SessionContext';

const NOT_YET: PolledState = { loaded: false, failed: false };
const never = (): (() => void) => () => undefined;

/** Keep the transcodes fresh by polling while the component is there; several of them poll once. */
export function useTranscodePolling(): PolledState {
  const session = useSession();
  useEffect(() => session?.watchTranscodes(), [session]);
  const polled = session?.polled;
  return useSyncExternalStore(
    useMemo(() => polled?.subscribe.bind(polled) ?? never, [polled]),
    () => polled?.value ?? NOT_YET,
  );
}
