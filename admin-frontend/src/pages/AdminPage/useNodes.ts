import { useMemo } from 'react';

import { type ClusterNode, fetchNodes } from '../../api/cluster';
import { CallFailed } from '../../api/http';
import { useSession } from '../../contexts/SessionContext';
import { type Polled, usePolled } from '../../hooks/usePolled';
import type { Address } from '../../realtime';

const TOKEN_WITHIN = 10_000; // ms

/** The cluster's nodes, polled; without a token that is still of use nobody is asked. */
export function useNodes(address: Address, interval: number): Polled<ClusterNode[]> {
  const tokens = useSession()?.client.tokens;
  const read = useMemo(() => {
    if (!tokens) return null;
    return async (signal: AbortSignal): Promise<ClusterNode[]> => {
      const token = await tokens.get(TOKEN_WITHIN);
      try {
        return await fetchNodes(address, token, signal);
      } catch (error) {
        if (error instanceof CallFailed && error.status === 401) tokens.refuse(token);
        throw error;
      }
    };
  }, [address, tokens]);
  return usePolled(read, interval);
}
