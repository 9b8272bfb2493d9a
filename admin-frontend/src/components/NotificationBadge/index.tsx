import { BellOutlined } from '@ant-design/icons';
import { Badge, Button, Drawer, Popover } from 'antd';
import { useCallback, useRef, useState } from 'react';

import { useMedia } from '../../hooks/useMedia';
import { useNotifications } from '../../hooks/useNotifications';
import { useMessages } from '../../i18n';
import { useThemeVariables } from '../../theme';
import styles from './NotificationBadge.module.css';
import { NotificationPanel } from './NotificationPanel';

export interface NotificationBadgeProps {
  /** Where all notifications are; without it, the panel has no link to them. */
  onViewAll?: () => void;
}

/** A bell with the number of unread notifications. It opens their history: below it, or from the side where it is narrow. */
export default function NotificationBadge({ onViewAll }: NotificationBadgeProps) {
  const messages = useMessages();
  const variables = useThemeVariables();
  const { unread } = useNotifications();
  const narrow = useMedia('(max-width: 640px)');
  const [open, setOpen] = useState(false);
  const bell = useRef<HTMLButtonElement>(null);

  const panelRef = useRef<HTMLDivElement>(null);
  const takeFocus = (isOpen: boolean): void => {
    if (isOpen) panelRef.current?.focus();
  };
  const close = useCallback(() => {
    setOpen(false);
    bell.current?.focus();
  }, []);
  const panel = (
    <NotificationPanel
      ref={panelRef}
      isDialog={!narrow} // a drawer is one already
      onClose={close}
      {...(onViewAll && {
        onViewAll: () => {
          setOpen(false);
          onViewAll();
        },
      })}
    />
  );
  const button = (
    <Button
      ref={bell}
      type="text"
      className={styles['bell'] ?? ''}
      aria-label={messages.notifications.bell(unread)}
      aria-haspopup="dialog"
      aria-expanded={open}
      icon={
        <Badge
          count={unread}
          size="small"
          overflowCount={99}
          offset={[unread > 99 ? 2 : unread > 9 ? 6 : 4, -4]}
          aria-hidden
        >
          <BellOutlined className={styles['icon'] ?? ''} />
        </Badge>
      }
      {...(narrow && {
        onClick: () => {
          setOpen(true);
        },
      })}
    />
  );
  if (narrow) {
    return (
      <>
        {button}
        <Drawer
          aria-label={messages.notifications.title}
          open={open}
          afterOpenChange={takeFocus}
          onClose={close}
          size="100%"
          closable={false}
          destroyOnHidden
          styles={{ body: { padding: 0 } }}
        >
          <div className={styles['drawer']} style={variables}>
            {panel}
          </div>
        </Drawer>
      </>
    );
  }
  return (
    <Popover
      open={open}
      onOpenChange={setOpen}
      afterOpenChange={takeFocus}
      trigger="click"
      placement="bottomRight"
      arrow={false}
      destroyOnHidden
      styles={{ container: { padding: 0 } }}
      content={
        <div className={styles['popover']} style={variables}>
          {panel}
        </div>
      }
    >
      {button}
    </Popover>
  );
}
