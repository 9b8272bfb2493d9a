import { useCallback, useMemo, useSyncExternalStore } from 'react';

import { useSession } from '../contexts/SessionContext';

const never = (): (() => void) => () => undefined;

/** Whether notifications were missed for good, and how to say that the person knows. */
export function useLost(): [lost: boolean, dismiss: () => void] {
  const session = useSession();
  const lost = session?.lost;
  const isLost = useSyncExternalStore(
    useMemo(() => lost?.subscribe.bind(lost) ?? never, [lost]),
    () => lost?.value ?? false,
  );
  const dismiss = useCallback(() => session?.noteLost(), [session]);
  return [isLost, dismiss];
}
