import { VideoCameraOutlined, WarningOutlined } from '@ant-design/icons';
import { Button, Skeleton } from 'antd';
import { type ReactNode, useMemo, useState } from 'react';

import { useNow } from '../../hooks/useNow';
import { useTranscodePolling } from '../../hooks/useTranscodePolling';
import { useTranscode, useTranscodeSelection } from '../../hooks/useTranscodes';
import { useMessages } from '../../i18n';
import { useThemeVariables } from '../../theme';
import { EmptyState } from '../EmptyState';
import { type PhaseFilter, ordering } from './order';
import { TranscodeRow } from './TranscodeRow';
import styles from './TranscodeStatus.module.css';

const ROWS = 50;
const MANY = 10;

export interface TranscodeStatusProps {
  /** Show this video alone; otherwise all that the token may see. */
  videoId?: number;
  /** Show only those in this phase. */
  phase?: PhaseFilter;
  /** Show only those whose number or title contains it. */
  query?: string;
  /** Of each kind at first; the others on demand. Default 50. */
  rows?: number;
}

/**
 * The state of transcodes: live by WebSocket, polled over HTTP every 5 s while that is down, every 15 s while it is up.
 */
export function TranscodeStatus({ videoId, phase = 'all', query = '', rows = ROWS }: TranscodeStatusProps) {
  const variables = useThemeVariables();
  const polling = useTranscodePolling();
  return (
    <div className={styles['root']} style={variables}>
      {videoId === undefined ? (
        <All phase={phase} query={query.trim().toLowerCase()} rows={rows} {...polling} />
      ) : (
        <One videoId={videoId} loaded={polling.loaded} />
      )}
    </div>
  );
}

export default TranscodeStatus;

function One({ videoId, loaded }: { videoId: number; loaded: boolean }) {
  const { transcodes } = useMessages();
  const known = useTranscode(videoId) !== undefined;
  const now = useNow(15_000);
  if (known) {
    return (
      <ul className={styles['list']} aria-label={transcodes.title}>
        <TranscodeRow videoId={videoId} now={now} />
      </ul>
    );
  }
  return loaded ? <EmptyState icon={<VideoCameraOutlined />} title={transcodes.unknown} /> : <Loading rows={1} />;
}

interface AllProps {
  phase: PhaseFilter;
  query: string;
  rows: number;
  loaded: boolean;
  failed: boolean;
}

function All({ phase, query, rows, loaded, failed }: AllProps) {
  const { transcodes } = useMessages();
  const { active, finished } = useTranscodeSelection(useMemo(() => ordering(phase, query), [phase, query]));
  if (active.length + finished.length > 0) {
    return (
      <>
        <Section title={transcodes.active} ids={active} rows={rows} />
        <Section title={transcodes.finished} ids={finished} rows={rows} />
      </>
    );
  }
  if (failed) return <EmptyState icon={<WarningOutlined />} title={transcodes.pollFailed} />;
  if (!loaded) return <Loading rows={4} />;
  return query || phase === 'complete' || phase === 'failed' ? (
    <EmptyState icon={<VideoCameraOutlined />} title={transcodes.emptyFilter} />
  ) : (
    <EmptyState icon={<VideoCameraOutlined />} title={transcodes.empty} hint={transcodes.emptyHint} />
  );
}

function Section({ title, ids, rows }: { title: string; ids: readonly number[]; rows: number }): ReactNode {
  const { page } = useMessages();
  const [more, setMore] = useState(0);
  const limit = rows + more;
  const now = useNow(15_000);
  if (ids.length === 0) return null;
  return (
    <section className={styles['section']} aria-label={title}>
      <h3 className={styles['heading']}>
        {title} <span className={styles['count']}>{ids.length}</span>
      </h3>
      <ul className={styles['list']} data-many={ids.length > MANY || undefined}>
        {ids.slice(0, limit).map((videoId) => (
          <TranscodeRow key={videoId} videoId={videoId} now={now} />
        ))}
      </ul>
      {ids.length > limit ? (
        <div className={styles['more']}>
          <Button
            type="text"
            onClick={() => {
              setMore(more + ROWS);
            }}
          >
            {page.showMore(Math.min(ids.length - limit, ROWS))}
          </Button>
        </div>
      ) : null}
    </section>
  );
}

function Loading({ rows }: { rows: number }) {
  const { transcodes } = useMessages();
  return (
    <div className={styles['loading']} role="status" aria-label={transcodes.loading}>
      {/* Their titles are headings that say nothing. */}
      <div aria-hidden>
        {Array.from({ length: rows }, (_, row) => (
          <Skeleton key={row} active title={{ width: '34%' }} paragraph={{ rows: 1, width: '72%' }} />
        ))}
      </div>
    </div>
  );
}
