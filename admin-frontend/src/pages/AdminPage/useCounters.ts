import { useCallback, useEffect } from 'react';

import { fetchCounts } from '../../api/cluster';
import { useConnection } from '../../hooks/useConnection';
import { type Polled, usePolled } from '../../hooks/usePolled';
import type { Address, ConnectionStats } from '../../realtime';

/**
 * The cluster's counters, polled; and as every `connected` frame tells them: the page would otherwise not find itself
 * counted until it asks again.
 */
export function useCounters(address: Address, interval: number, kept: number): Polled<ConnectionStats> {
  const read = useCallback((signal: AbortSignal) => fetchCounts(address, signal), [address]);
  const polled = usePolled(read, interval, kept);
  const { stats } = useConnection().snapshot;
  const { take } = polled;
  useEffect(() => {
    if (stats !== null) take(stats);
  }, [stats, take]);
  return polled;
}
