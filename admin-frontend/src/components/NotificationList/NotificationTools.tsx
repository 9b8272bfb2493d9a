import { CheckOutlined, MutedOutlined, SoundOutlined } from '@ant-design/icons';
import { Button, type ButtonProps, Tooltip } from 'antd';

import { useNotificationActions, useNotifications } from '../../hooks/useNotifications';
import { useMessages } from '../../i18n';

/** What is done to all notifications at once: mute their toasts, mark them as read. */
export function NotificationTools({ size = 'middle' }: Pick<ButtonProps, 'size'>) {
  const { notifications } = useMessages();
  const { unread, muted } = useNotifications();
  const { markAsRead, setMuted } = useNotificationActions();
  const muteLabel = muted ? notifications.unmute : notifications.mute;
  return (
    <>
      <Tooltip title={muteLabel}>
        <Button
          type="text"
          size={size}
          aria-label={muteLabel}
          aria-pressed={muted}
          icon={muted ? <MutedOutlined /> : <SoundOutlined />}
          onClick={() => {
            setMuted(!muted);
          }}
        />
      </Tooltip>
      <Tooltip title={notifications.markAllRead}>
        <Button
          type="text"
          size={size}
          aria-label={notifications.markAllRead}
          icon={<CheckOutlined />}
          disabled={unread === 0}
          onClick={() => {
            markAsRead();
          }}
        />
      </Tooltip>
    </>
  );
}
