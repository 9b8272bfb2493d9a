import { ReloadOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useRef, useState } from 'react';

import { useConnection } from '../../hooks/useConnection';
import { useNow } from '../../hooks/useNow';
import { type Messages, useMessages } from '../../i18n';
import type { ConnectionSnapshot, ConnectionState } from '../../realtime';
import { useThemeVariables } from '../../theme';
import { LiveRegion } from '../LiveRegion';
import styles from './ConnectionStatus.module.css';

/** States in which only a person can bring the connection back, or can bring it back sooner. */
const RETRIABLE = new Set<ConnectionState>(['waiting', 'offline', 'stopped']);

/**
 * The connection's state as a word, with the seconds to the next attempt, and a way to try now; `mayRetry` is false
 * where an attempt would come to nothing, for want of a new token for example.
 */
export function ConnectionStatus({ mayRetry = true }: { mayRetry?: boolean }) {
  const messages = useMessages();
  const variables = useThemeVariables();
  const { snapshot, retry } = useConnection();
  const { state, attempt } = snapshot;
  return (
    <div className={styles['status']} style={variables} data-state={state}>
      <span className={styles['pill']} title={detailOf(snapshot, messages)}>
        <span className={styles['dot']} aria-hidden />
        <span className={styles['label']}>
          <Label snapshot={snapshot} />
        </span>
        {state === 'waiting' && attempt > 1 ? (
          <span className={styles['attempt']}>{messages.connection.attempt(attempt)}</span>
        ) : null}
      </span>
      {mayRetry && RETRIABLE.has(state) ? (
        <Button size="small" className={styles['retry'] ?? ''} icon={<ReloadOutlined aria-hidden />} onClick={retry}>
          <span className={styles['retryText']}>{messages.connection.retryNow}</span>
        </Button>
      ) : null}
      <Announcement state={state} />
    </div>
  );
}

function Label({ snapshot }: { snapshot: ConnectionSnapshot }) {
  const { connection } = useMessages();
  if (snapshot.state !== 'waiting') return connection[snapshot.state];
  return snapshot.nextAttemptAt === null ? connection.waitingShort : <Countdown until={snapshot.nextAttemptAt} />;
}

function Countdown({ until }: { until: number }) {
  const { connection } = useMessages();
  const now = useNow(250);
  return connection.waiting(Math.max(0, Math.ceil((until - now) / 1000)));
}

/** Says what changed once, not every second of a countdown, and nothing about how a page's first connection came. */
function Announcement({ state }: { state: ConnectionState }) {
  const { announce } = useMessages().connection;
  const wasOpen = useRef(false);
  const [text, setText] = useState('');
  useEffect(() => {
    if (state in announce && (wasOpen.current || state !== 'open')) setText(announce[state as keyof typeof announce]);
    wasOpen.current ||= state === 'open';
  }, [state, announce]);
  return <LiveRegion text={text} />;
}

function detailOf({ lastClose, state }: ConnectionSnapshot, { connection }: Messages): string {
  if (state === 'open' || lastClose === null) return connection.label;
  return connection.lastClose(lastClose.code, lastClose.reason);
}
