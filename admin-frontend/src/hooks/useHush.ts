import { useEffect } from 'react';

import { useSession } from '../contexts/SessionContext';

/** Show no toasts while `active`: notifications are still counted, kept, and said to screen readers. */
export function useHush(active: boolean): void {
  const session = useSession();
  useEffect(() => (active ? session?.hush() : undefined), [active, session]);
}
