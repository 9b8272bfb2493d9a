import type { ReactNode } from 'react';

import styles from './EmptyState.module.css';

interface Props {
  icon: ReactNode;
  title: string;
  hint?: string;
  action?: ReactNode;
}

/** What a list says when there is nothing in it: what would be there, and what brings it. */
export function EmptyState({ icon, title, hint, action }: Props) {
  return (
    <div className={styles['empty']}>
      <span className={styles['icon']} aria-hidden>
        {icon}
      </span>
      <p className={styles['title']}>{title}</p>
      {hint === undefined ? null : <p className={styles['hint']}>{hint}</p>}
      {action}
    </div>
  );
}
