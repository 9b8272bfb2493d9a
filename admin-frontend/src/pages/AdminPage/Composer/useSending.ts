import { useCallback, useRef, useState } from 'react';

import {
  type Receipt,
  type Refusal,
  refusalOf,
  sendSystemMessage,
  type SystemMessageDraft,
} from '../../../api/systemMessages';
import type { Address } from '../../../realtime';

export type Sending =
  | { state: 'idle' }
  | { state: 'sending' }
  | { state: 'sent'; receipt: Receipt }
  | { state: 'refused'; refusal: Refusal };

export interface Sender {
  sending: Sending;
  /** True when it was taken. */
  send: (draft: SystemMessageDraft) => Promise<boolean>;
  reset: () => void;
}

/**
 * Send system messages, each under a key of its own.
 *
 * The same draft keeps its key until it was taken, so that trying again after an answer that got lost doubles nothing.
 */
export function useSending(address: Address, getToken: () => string | null): Sender {
  const [sending, setSending] = useState<Sending>({ state: 'idle' });
  const operation = useRef<{ draft: string; key: string } | null>(null);

  const send = useCallback(
    async (draft: SystemMessageDraft) => {
      const same = JSON.stringify(draft);
      if (operation.current?.draft !== same) operation.current = { draft: same, key: newKey() };
      setSending({ state: 'sending' });
      try {
        const receipt = await sendSystemMessage(address, getToken(), draft, operation.current.key);
        operation.current = null;
        setSending({ state: 'sent', receipt });
        return true;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal.kind === 'conflict') operation.current = null;
        setSending({ state: 'refused', refusal });
        return false;
      }
    },
    [address, getToken],
  );
  const reset = useCallback(() => {
    setSending({ state: 'idle' });
  }, []);
  return { sending, send, reset };
}

/** Not randomUUID, which browsers offer on https alone: a cluster inside a network may have none. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
