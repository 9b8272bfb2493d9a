import type { ReactNode } from 'react';
import { useId } from 'react';

import styles from './Panel.module.css';

interface Props {
  title: string;
  id?: string;
  /** Beside the title: what state the panel's content is in. */
  note?: ReactNode;
  /** On the right of the title: what can be done. */
  tools?: ReactNode;
  /** Below the title: filters. */
  filters?: ReactNode;
  className?: string | undefined;
  children: ReactNode;
}

/** A titled region of the page. */
export function Panel({ title, id, note, tools, filters, className = '', children }: Props) {
  const heading = useId();
  return (
    <section id={id} className={`${styles['panel'] ?? ''} ${className}`} aria-labelledby={heading} tabIndex={-1}>
      <header className={styles['head']}>
        <h2 id={heading} className={styles['title']}>
          {title}
        </h2>
        <div className={styles['note']}>{note}</div>
        <div className={styles['tools']}>{tools}</div>
      </header>
      {filters ? <div className={styles['filters']}>{filters}</div> : null}
      <div className={styles['body']}>{children}</div>
    </section>
  );
}
