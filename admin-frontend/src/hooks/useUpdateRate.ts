import { useEffect, useState } from 'react';

import { useSession } from '../contexts/SessionContext';

const WINDOW = 2000; // ms

/** How many transcode updates a second the socket brings, over the last two seconds. */
export function useUpdateRate(): number {
  const session = useSession();
  const [rate, setRate] = useState(0);
  useEffect(() => {
    if (!session) return;
    let count = 0;
    const leave = session.client.on('transcodeProgress', () => {
      count += 1;
    });
    const timer = setInterval(() => {
      setRate(Math.round((count * 1000) / WINDOW));
      count = 0;
    }, WINDOW);
    return () => {
      leave();
      clearInterval(timer);
    };
  }, [session]);
  return rate;
}
