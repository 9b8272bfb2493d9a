import { Skeleton } from 'antd';

import type { Polled } from '../../hooks/usePolled';
import { useFormat, useMessages } from '../../i18n';
import type { ConnectionStats } from '../../realtime';
import styles from './Counters.module.css';
import { Sparkline } from './Sparkline';

const COUNTERS = ['total_users', 'total_user_connections', 'total_admin_connections', 'total_connections'] as const;

interface Props {
  stats: Polled<ConnectionStats>;
  interval: number;
  kept: number;
}

/** The four counters of the cluster, each with how it went since the page was opened. */
export function Counters({ stats, interval, kept }: Props) {
  const { cluster } = useMessages();
  const format = useFormat();
  const labels: Record<(typeof COUNTERS)[number], string> = {
    total_users: cluster.users,
    total_user_connections: cluster.userConnections,
    total_admin_connections: cluster.adminConnections,
    total_connections: cluster.connections,
  };
  const stale = stats.error !== null;
  const minutes = Math.round((kept * interval) / 60_000);
  return (
    <section aria-label={cluster.title} className={styles['counters']} data-stale={stale || undefined}>
      {COUNTERS.map((counter) => (
        <div key={counter} className={styles['counter']}>
          <div className={styles['label']}>{labels[counter]}</div>
          <div className={styles['line']}>
            {stats.data ? (
              <span className={styles['value']} data-counter={counter}>
                {format.number(stats.data[counter])}
              </span>
            ) : stale ? (
              <span className={styles['value']}>–</span>
            ) : (
              <Skeleton.Button active size="small" />
            )}
            <Sparkline
              className={styles['spark']}
              values={stats.past.map((counts) => counts[counter])}
              capacity={kept}
              label={`${labels[counter]}: ${cluster.trend(minutes)}`}
            />
          </div>
        </div>
      ))}
    </section>
  );
}
