import { BellOutlined, CloseOutlined } from '@ant-design/icons';
import { Button, Segmented } from 'antd';
import { type KeyboardEvent, type Ref, useId, useState } from 'react';

import { useHush } from '../../hooks/useHush';
import { useNotificationList } from '../../hooks/useNotificationList';
import { useNotifications } from '../../hooks/useNotifications';
import { useNow } from '../../hooks/useNow';
import { useMessages } from '../../i18n';
import { EmptyState } from '../EmptyState';
import { NotificationFeed } from '../NotificationList/NotificationFeed';
import { NotificationTools } from '../NotificationList/NotificationTools';
import styles from './NotificationBadge.module.css';

const SHOWN = 50;

interface Props {
  ref: Ref<HTMLDivElement>;
  isDialog: boolean;
  onClose: () => void;
  onViewAll?: () => void;
}

/** The history as a dialog: Escape closes it. */
export function NotificationPanel({ ref, isDialog, onClose, onViewAll }: Props) {
  const { notifications, page } = useMessages();
  const { items, unread, muted, source } = useNotifications();
  const [onlyUnread, setOnlyUnread] = useState(false);
  const list = useNotificationList({ unread: onlyUnread });
  const now = useNow(15_000);
  const heading = useId();
  useHush(true);
  const closeOnEscape = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    onClose();
  };
  const hint = source === 'server' ? notifications.emptyHintServer : notifications.emptyHint;
  return (
    <div
      ref={ref}
      className={styles['panel']}
      {...(isDialog && { role: 'dialog', 'aria-labelledby': heading })}
      tabIndex={-1}
      onKeyDown={closeOnEscape}
    >
      <div className={styles['head']}>
        <h2 id={heading} className={styles['heading']}>
          {notifications.title}
        </h2>
        <NotificationTools size="small" />
        <Button type="text" size="small" aria-label={page.close} icon={<CloseOutlined />} onClick={onClose} />
      </div>
      <div className={styles['filter']}>
        <Segmented
          block
          size="small"
          aria-label={notifications.readState}
          value={onlyUnread ? 'unread' : 'all'}
          onChange={(value) => {
            setOnlyUnread(value === 'unread');
          }}
          options={[
            { value: 'all', label: notifications.all },
            { value: 'unread', label: unread > 0 ? `${notifications.onlyUnread} ${unread}` : notifications.onlyUnread },
          ]}
        />
        {muted ? <p className={styles['muted']}>{notifications.muted}</p> : null}
      </div>
      <div className={styles['scroll']}>
        <NotificationFeed
          list={list}
          items={source === 'server' ? list.items : list.items.slice(0, SHOWN)}
          now={now}
          label={notifications.title}
          empty={
            <EmptyState
              icon={<BellOutlined />}
              title={onlyUnread ? notifications.emptyUnread : notifications.empty}
              hint={onlyUnread ? notifications.emptyUnreadHint : hint}
            />
          }
        />
      </div>
      {onViewAll && items.length > 0 ? (
        <div className={styles['foot']}>
          <Button type="text" block onClick={onViewAll}>
            {notifications.viewAll}
          </Button>
        </div>
      ) : null}
    </div>
  );
}
