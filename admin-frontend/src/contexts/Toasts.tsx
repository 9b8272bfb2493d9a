import { Button, notification } from 'antd';
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react';

import { LiveRegion } from '../components/LiveRegion';
import { describe } from '../components/NotificationList/describe';
import { type Format, type Messages, useFormat, useMessages } from '../i18n';
import type { NotificationItem } from '../realtime';
import { useThemeVariables } from '../theme';
import type { Session } from './session';
import { type ToastGroup, ToastGroups } from './toastGroups';
import styles from './Toasts.module.css';

const GATHER = 150; // ms in which a burst is gathered before it is shown
const DURATION = { info: 6, success: 5, warning: 10, error: 10 }; // s

/** Show new notifications as Ant Design toasts, grouped, and say them to screen readers, toasts or not. */
export function Toasts({ session }: { session: Session }) {
  const messages = useMessages();
  const format = useFormat();
  const variables = useThemeVariables();
  const [api, holder] = notification.useNotification({ placement: 'bottomRight', stack: { threshold: 4 } });
  const groups = useRef(new ToastGroups());
  const [said, setSaid] = useState('');

  const mute = useCallback(() => {
    session.notifications.setMuted(true);
    api.destroy();
    for (const key of groups.current.keys()) groups.current.close(key);
  }, [session, api]);

  const show = useCallback(
    (items: readonly NotificationItem[]) => {
      setSaid(announcement(items, messages, format));
      if (session.notifications.snapshot.muted) return;
      const changed = new Map(items.map((item) => groups.current.add(item)).map((group) => [group.key, group]));
      for (const group of changed.values()) {
        api[group.level]({
          key: group.key,
          title: titleOf(group, messages, format),
          description: <Lines group={group} messages={messages} format={format} />,
          duration: DURATION[group.level],
          role: 'status',
          // The live region says it, in one sentence; the toast would say all of it once more.
          props: { 'aria-live': 'off' },
          style: variables,
          actions: (
            <Button size="small" type="text" onClick={mute}>
              {messages.toast.mute}
            </Button>
          ),
          onClose: () => {
            groups.current.close(group.key);
          },
        });
      }
    },
    [session, api, messages, format, variables, mute],
  );

  useGathered(session, show);
  return (
    <>
      {holder}
      <LiveRegion text={said} />
    </>
  );
}

/** Hand over what arrived, a burst at a time. */
function useGathered(session: Session, show: (items: readonly NotificationItem[]) => void): void {
  const latest = useRef(show);
  useEffect(() => {
    latest.current = show;
  }, [show]);
  useEffect(() => {
    let gathered: NotificationItem[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = session.onToast((item) => {
      gathered.push(item);
      timer ??= setTimeout(() => {
        const items = gathered;
        gathered = [];
        timer = undefined;
        latest.current(items);
      }, GATHER);
    });
    return () => {
      leave();
      clearTimeout(timer);
    };
  }, [session]);
}

function announcement(items: readonly NotificationItem[], messages: Messages, format: Format): string {
  const newest = items.at(-1);
  if (!newest) return '';
  const { title, text } = describe(newest, messages, format);
  return messages.notifications.arrived(items.length, `${title}, ${text}`);
}

function titleOf({ kind, count, latest: [newest] }: ToastGroup, messages: Messages, format: Format): string {
  if (count === 1 && newest) return describe(newest, messages, format).title;
  const { toast } = messages;
  const say = {
    transcode_complete: toast.complete,
    transcode_failed: toast.failed,
    system_message: toast.system,
    other: toast.other,
  };
  return say[kind](count);
}

function Lines({ group, messages, format }: { group: ToastGroup; messages: Messages; format: Format }): ReactNode {
  const rest = group.count - group.latest.length;
  return (
    <ul className={styles['lines']}>
      {group.latest.map((item) => (
        <li key={item.id}>{describe(item, messages, format).text}</li>
      ))}
      {rest > 0 ? <li className={styles['rest']}>{messages.toast.more(rest)}</li> : null}
    </ul>
  );
}
