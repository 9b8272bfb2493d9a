import { lazy, Suspense, useEffect, useMemo, useState } from 'react';

import type { Preferences } from '../../app/preferences';
import type { Claims } from '../../app/token';
import { storedToken } from '../../app/token';
import { useNotifications } from '../../hooks/useNotifications';
import { useMessages } from '../../i18n';
import { Address } from '../../realtime';
import styles from './AdminPage.module.css';
import { Banner } from './Banner';
import { useSending } from './Composer/useSending';
import { Counters } from './Counters';
import { Header } from './Header';
import { History } from './History';
import { Nodes } from './Nodes';
import { TokenDialog } from './TokenDialog';
import { Transcodes } from './Transcodes';
import { useCounters } from './useCounters';
import { useNewToken } from './useNewToken';
import { useNodes } from './useNodes';

// Loaded on demand: most visits send no message.
const Composer = lazy(() => import('./Composer'));

const COUNTERS_EVERY = 5000; // ms
const COUNTERS_KEPT = 60; // five minutes
const NODES_EVERY = 5000; // ms
const HISTORY = 'history';

interface Props {
  claims: Claims | null;
  preferences: Preferences;
  onSignOut: () => void;
}

/** Everything an administrator watches, on one page. */
export function AdminPage({ claims, preferences, onSignOut }: Props) {
  const { page } = useMessages();
  const address = useMemo(() => new Address(import.meta.env['VITE_WS_URL'] as string | undefined), []);
  const counters = useCounters(address, COUNTERS_EVERY, COUNTERS_KEPT);
  const nodes = useNodes(address, NODES_EVERY);
  const sender = useSending(address, storedToken);
  const [composing, setComposing] = useState(false);
  const [everComposed, setEverComposed] = useState(false);
  const token = useNewToken();
  useTitle();

  return (
    <div className={styles['page']}>
      <a className={styles['skip']} href="#main">
        {page.skip}
      </a>
      <Header
        claims={claims}
        preferences={preferences}
        onCompose={() => {
          setEverComposed(true);
          setComposing(true);
        }}
        onViewAll={showHistory}
        onChangeToken={token.ask}
        onSignOut={onSignOut}
      />
      <main id="main" className={styles['main']} tabIndex={-1}>
        <Banner claims={claims} onChangeToken={token.ask} />
        <div className={styles['grid']}>
          <div className={styles['counters']}>
            <Counters stats={counters} interval={COUNTERS_EVERY} kept={COUNTERS_KEPT} />
          </div>
          <div className={styles['transcodes']}>
            <Transcodes />
          </div>
          <aside className={styles['aside']}>
            <History id={HISTORY} />
          </aside>
          <div className={styles['nodes']}>
            <Nodes nodes={nodes} />
          </div>
        </div>
      </main>
      <TokenDialog token={token} />
      {everComposed ? (
        <Suspense>
          <Composer
            open={composing}
            onClose={() => {
              setComposing(false);
            }}
            sender={sender}
            stats={counters.data}
          />
        </Suspense>
      ) : null}
    </div>
  );
}

function showHistory(): void {
  const history = document.getElementById(HISTORY);
  history?.scrollIntoView({ block: 'start' });
  history?.focus({ preventScroll: true });
}

/** The number of unread notifications in the tab's title, for whoever looks elsewhere. */
function useTitle(): void {
  const { unread } = useNotifications();
  const { page } = useMessages();
  useEffect(() => {
    const title = `${page.title} · VideoSite`;
    document.title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) ${title}` : title;
  }, [unread, page]);
}
