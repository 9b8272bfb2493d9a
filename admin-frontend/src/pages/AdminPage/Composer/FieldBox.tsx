import { type ReactNode, useId } from 'react';

import styles from './Composer.module.css';

interface Props {
  label: string;
  /** The control's id; a group of controls has none, and its own label. */
  htmlFor?: string;
  group?: boolean;
  hint?: string | undefined;
  error?: string | undefined;
  children: ReactNode;
}

/** The id of what is said below a control, for its `aria-describedby`. */
export function noteOf(control: string): string {
  return `${control}-note`;
}

/** A control with its label, and below it what is wrong or worth knowing. */
export function FieldBox({ label, htmlFor, group = false, hint, error, children }: Props) {
  const own = useId();
  const note = htmlFor === undefined ? own : noteOf(htmlFor);
  return (
    <div className={styles['field']} {...(group && { role: 'group', 'aria-label': label, 'aria-describedby': note })}>
      {group ? (
        <span className={styles['label']} aria-hidden>
          {label}
        </span>
      ) : (
        <label className={styles['label']} htmlFor={htmlFor}>
          {label}
        </label>
      )}
      {children}
      <div id={note} className={styles['note']} data-error={error !== undefined || undefined} aria-live="polite">
        {error ?? hint}
      </div>
    </div>
  );
}
