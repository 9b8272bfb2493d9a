import { WarningFilled } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useState } from 'react';

import type { Claims } from '../../app/token';
import { useConnection } from '../../hooks/useConnection';
import { useNow } from '../../hooks/useNow';
import { type Messages, useMessages } from '../../i18n';
import { CloseCode, type ConnectionSnapshot } from '../../realtime';
import styles from './AdminPage.module.css';
import { lacksToken } from './useNewToken';

const SOON = 5 * 60_000; // ms before a token ends
const PATIENCE = 1500; // ms; a connection that is back by then was hardly gone

/** What a lost connection means for the page, or a token that soon ends, and what to do about it. */
export function Banner({ claims, onChangeToken }: { claims: Claims | null; onChangeToken: () => void }) {
  const messages = useMessages();
  const { snapshot, retry } = useConnection();
  const text = explain(snapshot, messages);
  const patient = usePatience(text !== null && (snapshot.state === 'waiting' || snapshot.state === 'connecting'));
  if (text === null) return <ExpiresSoon claims={claims} onChangeToken={onChangeToken} />;
  if (patient) return null;
  const { state, lastClose } = snapshot;
  const needsToken = lacksToken(snapshot);
  const detail =
    state !== 'paused' && lastClose ? messages.connection.lastClose(lastClose.code, lastClose.reason) : null;
  return (
    <div className={styles['banner']} data-tone={state === 'offline' || state === 'stopped' ? 'error' : 'warning'}>
      <WarningFilled aria-hidden />
      <p>
        {text} {detail === null ? null : <span className={styles['detail']}>{detail}</span>}
      </p>
      {state === 'stopped' || needsToken ? (
        <Button type={needsToken ? 'primary' : 'default'} onClick={onChangeToken}>
          {messages.page.changeToken}
        </Button>
      ) : null}
      {state === 'offline' && !needsToken ? (
        <Button type="primary" onClick={retry}>
          {messages.connection.retryNow}
        </Button>
      ) : null}
    </div>
  );
}

/** A token that is replaced before its end costs no connection. */
function ExpiresSoon({ claims, onChangeToken }: { claims: Claims | null; onChangeToken: () => void }) {
  const { newToken, page, time } = useMessages();
  const now = useNow(1000);
  const left = (claims?.expiresAt ?? Infinity) - now;
  if (left > SOON || left <= 0) return null;
  const seconds = Math.ceil(left / 1000);
  return (
    <div className={styles['banner']} data-tone="warning">
      <WarningFilled aria-hidden />
      <p>{newToken.expiresIn(time.duration(0, 0, Math.floor(seconds / 60), seconds % 60))}</p>
      <Button onClick={onChangeToken}>{page.changeToken}</Button>
    </div>
  );
}

function explain(snapshot: ConnectionSnapshot, { connection }: Messages): string | null {
  const { state, attempt, lastClose } = snapshot;
  if (lacksToken(snapshot)) return connection.explain.unauthenticated;
  switch (state) {
    case 'waiting':
    case 'paused':
    case 'offline':
      return connection.explain[state];
    case 'stopped':
      return lastClose?.code === CloseCode.FORBIDDEN ? connection.explain.forbidden : connection.explain.stopped;
    case 'connecting':
      // Between two attempts the banner stays; otherwise it would blink.
      return attempt > 0 ? connection.explain.waiting : null;
    case 'idle':
    case 'open':
      return null;
  }
}

/** True for the first moments of a trouble that may pass by itself. */
function usePatience(trouble: boolean): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (!trouble) return;
    const timer = setTimeout(() => {
      setOver(true);
    }, PATIENCE);
    return () => {
      clearTimeout(timer);
      setOver(false);
    };
  }, [trouble]);
  return trouble && !over;
}
