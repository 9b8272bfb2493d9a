import { Alert, Button, Skeleton } from 'antd';
import { type ReactNode, useEffect, useRef } from 'react';

import type { NotificationListView } from '../../hooks/useNotificationList';
import { useNotificationActions, useNotifications } from '../../hooks/useNotifications';
import { useMessages } from '../../i18n';
import type { NotificationItem } from '../../realtime';
import hidden from '../hidden.module.css';
import { NotificationList } from '.';
import styles from './NotificationList.module.css';

interface Props {
  list: NotificationListView;
  /** Those of the list that are shown. */
  items: readonly NotificationItem[];
  now: number;
  label: string;
  /** What is shown where there are none. */
  empty: ReactNode;
  /** The button for more; by default the list's own, if it has more. */
  more?: { label: string; onMore: () => void } | null;
}

/** Notifications with what is said of them: that they are awaited, could not be had, could not be changed, go on. */
export function NotificationFeed({ list, items, now, label, empty, more }: Props) {
  const { notifications, page } = useMessages();
  const place = useRef<HTMLDivElement>(null);
  const expectFrom = useFocusOnNew(place, items.length);
  const own = list.hasMore ? { label: notifications.showOlder, onMore: list.loadMore } : null;
  const button = more ?? own;
  const isAwaited = list.state === 'idle' || list.state === 'loading';
  return (
    <div ref={place}>
      <Failure />
      {list.state === 'failed' ? (
        <Alert
          banner
          type="error"
          title={notifications.loadFailed}
          action={
            <Button size="small" onClick={list.reload}>
              {page.retry}
            </Button>
          }
        />
      ) : null}
      {items.length > 0 ? (
        <NotificationList items={items} now={now} label={label} />
      ) : isAwaited ? (
        <Loading label={notifications.loading} />
      ) : list.state === 'failed' ? null : (
        empty
      )}
      {button ? (
        <div className={styles['more']}>
          <Button
            type="text"
            loading={list.state === 'more'}
            onClick={() => {
              expectFrom();
              button.onMore();
            }}
          >
            {button.label}
          </Button>
        </div>
      ) : null}
    </div>
  );
}

/** Said openly: it was shown as done, and is not. */
function Failure() {
  const { notifications, page } = useMessages();
  const { failed } = useNotifications();
  const { noteFailure } = useNotificationActions();
  if (failed === null) return null;
  const closable = { 'aria-label': page.close, onClose: noteFailure };
  return <Alert banner type="error" title={notifications.changeFailed[failed]} closable={closable} />;
}

function Loading({ label }: { label: string }) {
  return (
    <div role="status" className={styles['loading']}>
      <span className={hidden['visually']}>{label}</span>
      <Skeleton active title={false} paragraph={{ rows: 4 }} />
    </div>
  );
}

/** Who asks for more goes on reading there: the button may be gone by then. */
function useFocusOnNew(place: React.RefObject<HTMLElement | null>, count: number): () => void {
  const from = useRef<number | null>(null);
  useEffect(() => {
    if (from.current === null || count <= from.current) return;
    place.current?.querySelectorAll<HTMLElement>('[data-row]')[from.current]?.focus();
    from.current = null;
  }, [count, place]);
  return () => {
    from.current = count;
  };
}
