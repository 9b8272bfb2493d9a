import { useEffect, useRef, useState } from 'react';

import { storeToken, useToken } from '../../app/token';
import { useConnection } from '../../hooks/useConnection';
import { CloseCode, type ConnectionSnapshot } from '../../realtime';

export interface NewToken {
  /** Whether the person is asked for one. */
  isAsked: boolean;
  /** Whether the page stands still without one; otherwise it was the person's own wish. */
  isNeeded: boolean;
  /** Whether the one that was given is being tried. */
  isTried: boolean;
  /** Whether the one that was given is of no use either. */
  isRefused: boolean;
  ask: () => void;
  /** Not now: the page is asked no more until it had a connection again. */
  putOff: () => void;
  give: (token: string) => void;
}

/** Whether the page stands still for want of a token that the cluster takes: with the old one no attempt helps. */
export const lacksToken = ({ state, lastClose }: ConnectionSnapshot): boolean =>
  lastClose?.code === CloseCode.UNAUTHENTICATED && state !== 'open';

type Answer = 'none' | 'putOff' | 'given';

/**
 * Ask for another token once the cluster takes the old one no more, and go on with it where the page stood: nobody but
 * the person can get one, so that asking again and again by itself would lead nowhere.
 */
export function useNewToken(): NewToken {
  const { snapshot, retry } = useConnection();
  const [wished, setWished] = useState(false);
  const [answer, setAnswer] = useState<Answer>('none');
  const isOpen = snapshot.state === 'open';
  const isNeeded = lacksToken(snapshot);
  const isTried = answer === 'given' && snapshot.state === 'connecting';
  if (isOpen && answer !== 'none') setAnswer('none');

  // Given here or in another tab of this browser.
  const token = useToken();
  const last = useRef(token);
  useEffect(() => {
    if (last.current !== token) retry();
    last.current = token;
  }, [token, retry]);

  return {
    isAsked: wished || (isNeeded && answer !== 'putOff'),
    isNeeded,
    isTried,
    isRefused: isNeeded && answer === 'given' && !isTried,
    ask: () => setWished(true),
    putOff: () => {
      setWished(false);
      setAnswer('putOff');
    },
    give: (given) => {
      setWished(false);
      setAnswer('given');
      storeToken(given);
    },
  };
}
