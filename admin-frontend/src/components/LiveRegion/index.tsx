import { useEffect, useState } from 'react';

import hidden from '../hidden.module.css';

/**
 * Announce a text to screen readers when it changes, politely: after what they are saying now.
 *
 * The region is rendered before its first text: one that is added together with its text is not announced.
 */
export function LiveRegion({ text }: { text: string }) {
  const [said, setSaid] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => {
      setSaid(text);
    }, 100);
    return () => {
      clearTimeout(timer);
    };
  }, [text]);
  return (
    <div className={hidden['visually']} role="status" aria-live="polite" aria-atomic>
      {said}
    </div>
  );
}
