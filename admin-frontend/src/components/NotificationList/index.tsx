import {
  BellOutlined,
  CheckCircleFilled,
  CloseCircleFilled,
  CloseOutlined,
  ExclamationCircleFilled,
  InfoCircleFilled,
} from '@ant-design/icons';
import { type KeyboardEvent, memo, type ReactNode, useCallback } from 'react';

import { useNotificationActions } from '../../hooks/useNotifications';
import { useFormat, useMessages } from '../../i18n';
import type { NotificationItem } from '../../realtime';
import hidden from '../hidden.module.css';
import { describe } from './describe';
import styles from './NotificationList.module.css';

const ICONS: Record<NotificationItem['level'], ReactNode> = {
  info: <InfoCircleFilled />,
  success: <CheckCircleFilled />,
  warning: <ExclamationCircleFilled />,
  error: <CloseCircleFilled />,
};

interface Props {
  items: readonly NotificationItem[];
  now: number;
  label: string;
}

/** Notifications, newest first. Choosing one marks it as read; arrow keys go from one to the next. */
export function NotificationList({ items, now, label }: Props) {
  return (
    <ul className={styles['list']} aria-label={label} onKeyDown={moveFocus}>
      {items.map((item) => (
        <Row key={item.id} item={item} now={now} />
      ))}
    </ul>
  );
}

const Row = memo(function Row({ item, now }: { item: NotificationItem; now: number }) {
  const messages = useMessages();
  const format = useFormat();
  const { markAsRead, remove } = useNotificationActions();
  const { event, subject, facts } = describe(item, messages, format);
  const title = subject ?? event;
  const text = subject === null ? facts : `${event} · ${facts}`;
  const read = useCallback(() => {
    markAsRead(item.id);
  }, [markAsRead, item.id]);
  return (
    <li className={styles['row']} data-level={item.level} data-unread={!item.read || undefined}>
      <button type="button" className={styles['open']} onClick={read} data-row>
        <span className={styles['icon']} role="img" aria-label={messages.notifications.levels[item.level]}>
          {ICONS[item.level]}
        </span>
        <span className={styles['body']}>
          <span className={styles['head']}>
            {item.read ? null : <span className={hidden['visually']}>{messages.notifications.unreadMark}</span>}
            <span className={styles['title']}>{title}</span>
            <time
              className={styles['time']}
              dateTime={new Date(item.receivedAt).toISOString()}
              title={format.moment(item.receivedAt)}
            >
              {format.relative(item.receivedAt, now) ?? messages.time.justNow}
            </time>
          </span>
          <span className={styles['text']}>{text}</span>
        </span>
      </button>
      <button
        type="button"
        className={styles['remove']}
        aria-label={`${messages.notifications.remove}: ${title}, ${text}`}
        onClick={() => {
          remove(item.id);
        }}
      >
        <CloseOutlined aria-hidden />
      </button>
    </li>
  );
});

export function NotificationIcon() {
  return <BellOutlined />;
}

/** Up, Down, Home and End move between rows; Tab goes on to a row's own buttons and out of the list. */
function moveFocus(event: KeyboardEvent<HTMLUListElement>): void {
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-row]')];
  const row = (event.target as HTMLElement).closest('li')?.querySelector<HTMLElement>('[data-row]');
  const at = row ? rows.indexOf(row) : -1;
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  rows[Math.min(Math.max(next, 0), rows.length - 1)]?.focus();
}
