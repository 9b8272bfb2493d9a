import { Button, notification } from 'antd';
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';

import { LiveRegion } from '../components/LiveRegion';
import { describe, lineOf } from '../components/NotificationList/describe';
import { useMedia } from '../hooks/useMedia';
import { type Format, type Messages, useFormat, useMessages } from '../i18n';
import type { NotificationItem } from '../realtime';
import { useThemeVariables } from '../theme';
import type { Session } from './session';
import { type ToastGroup, ToastGroups } from './toastGroups';
import styles from './Toasts.module.css';

const GATHER = 150; // ms in which a burst is gathered before it is shown
const TOAST = {
  title: { fontSize: 14, fontWeight: 600, lineHeight: '22px', marginBottom: 2 },
  description: { fontSize: 13 },
  icon: { fontSize: 18, lineHeight: '22px' },
  close: { top: 12, insetInlineEnd: 12 },
  actions: { marginTop: 4, marginInlineEnd: -6, marginBottom: -4 },
} as const;
const DURATION = { info: 6, success: 5, warning: 10, error: 10 }; // s

/** Show new notifications as Ant Design toasts, grouped, and say them to screen readers, toasts or not. */
export function Toasts({ session }: { session: Session }) {
  const messages = useMessages();
  const format = useFormat();
  const variables = useThemeVariables();
  const narrow = useMedia('(max-width: 640px)');
  const place = useRef<HTMLElement>(null);
  const [api, holder] = notification.useNotification({
    placement: narrow ? 'top' : 'bottomLeft',
    top: 64,
    stack: false,
    getContainer: () => place.current ?? document.body,
  });
  const groups = useRef(new ToastGroups());
  const [said, setSaid] = useState('');

  // Muted (here or in another tab), or a component asks for quiet: open toasts close at once.
  useEffect(() => {
    const clear = (): void => {
      if (!isQuiet(session)) return;
      api.destroy();
      groups.current = new ToastGroups();
    };
    const stops = [session.notifications.subscribe(clear), session.hushed.subscribe(clear)];
    return () => {
      for (const stop of stops) stop();
    };
  }, [session, api]);

  const show = useCallback(
    (items: readonly NotificationItem[]) => {
      setSaid(announcement(items, messages, format));
      if (isQuiet(session)) return;
      const changed = new Map(items.map((item) => groups.current.add(item)).map((group) => [group.key, group]));
      for (const group of changed.values()) {
        api[group.level]({
          key: group.key,
          title: titleOf(group, messages, format),
          description: <Lines group={group} messages={messages} format={format} />,
          duration: DURATION[group.level],
          closable: { 'aria-label': messages.page.close },
          role: 'status',
          // The live region announces it in one sentence; the toast must not be announced as well.
          props: { 'aria-live': 'off' },
          style: { ...variables, padding: '14px 16px', border: '1px solid var(--rt-border)' },
          styles: TOAST,
          actions: (
            <Button
              size="small"
              type="text"
              onClick={() => {
                session.notifications.setMuted(true);
              }}
            >
              {messages.toast.mute}
            </Button>
          ),
          onClose: () => {
            groups.current.close(group.key);
          },
        });
      }
    },
    [session, api, messages, format, variables],
  );

  useGathered(session, show);
  return (
    <>
      {holder}
      {/* A landmark, by which screen readers find them; in the body, for they lie above everything. */}
      {createPortal(<section ref={place} aria-label={messages.toast.region} />, document.body)}
      <LiveRegion text={said} />
    </>
  );
}

function isQuiet({ notifications, hushed }: Session): boolean {
  return notifications.snapshot.muted || hushed.value > 0;
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
  const described = describe(newest, messages, format);
  return messages.notifications.arrived(items.length, `${described.event}, ${lineOf(described)}`);
}

function titleOf({ kind, count, latest: [newest] }: ToastGroup, messages: Messages, format: Format): string {
  if (count === 1 && newest) return describe(newest, messages, format).event;
  const { toast } = messages;
  const say = {
    transcode_complete: toast.complete,
    transcode_failed: toast.failed,
    system_message: toast.system,
    other: toast.other,
  };
  return say[kind](count);
}

/** Always two lines: Ant Design does not move the other toasts when one of them grows. */
function Lines({ group, messages, format }: { group: ToastGroup; messages: Messages; format: Format }): ReactNode {
  const [newest, second] = group.latest.map((item) => lineOf(describe(item, messages, format)));
  const rest = group.count - 2;
  return (
    <div className={styles['lines']} data-several={group.count > 1 || undefined}>
      <div className={styles['line']}>{newest}</div>
      {second === undefined ? null : (
        <div className={styles['second']}>
          <span className={styles['line']}>{second}</span>
          {rest > 0 ? <span className={styles['rest']}>{messages.toast.more(rest)}</span> : null}
        </div>
      )}
    </div>
  );
}
