import { SearchOutlined } from '@ant-design/icons';
import { Input, Segmented } from 'antd';
import { useDeferredValue, useMemo, useState } from 'react';

import { Panel } from '../../components/Panel';
import { TranscodeStatus } from '../../components/TranscodeStatus';
import type { PhaseFilter } from '../../components/TranscodeStatus/order';
import { useMedia } from '../../hooks/useMedia';
import { useConnection } from '../../hooks/useConnection';
import { type Transcodes as All, useTranscodeSelection } from '../../hooks/useTranscodes';
import { useTranscodePolling } from '../../hooks/useTranscodePolling';
import { useUpdateRate } from '../../hooks/useUpdateRate';
import { useFormat, useMessages } from '../../i18n';
import { DOWN_MS } from '../../realtime/polling';
import styles from './AdminPage.module.css';

const PHASES = ['all', 'active', 'complete', 'failed'] as const;

/** All transcodes, with filters and with how news of them comes. */
export function Transcodes() {
  const { transcodes } = useMessages();
  const format = useFormat();
  const [phase, setPhase] = useState<PhaseFilter>('all');
  const [query, setQuery] = useState('');
  const narrow = useMedia('(max-width: 1080px)');
  const counts = useTranscodeSelection(useMemo(() => counting(), []));
  return (
    <Panel
      className={styles['board']}
      title={transcodes.title}
      note={<Feed />}
      filters={
        <>
          <Segmented<PhaseFilter>
            aria-label={transcodes.filter}
            value={phase}
            onChange={setPhase}
            options={PHASES.map((each) => ({
              value: each,
              label: (
                <span className={styles['option']}>
                  {transcodes.filters[each]} <span className={styles['count']}>{format.number(counts[each])}</span>
                </span>
              ),
            }))}
          />
          <Input
            allowClear
            className={styles['search'] ?? ''}
            prefix={<SearchOutlined aria-hidden />}
            placeholder={transcodes.search}
            aria-label={transcodes.search}
            value={query}
            onChange={(event) => {
              setQuery(event.target.value);
            }}
          />
        </>
      }
    >
      <TranscodeStatus phase={phase} query={useDeferredValue(query)} rows={narrow ? 6 : 50} />
    </Panel>
  );
}

/** How news comes: by the socket, and how fast; or by polling, and how often; or not at all. */
function Feed() {
  const { transcodes } = useMessages();
  const { snapshot } = useConnection();
  const rate = useUpdateRate();
  const { failed } = useTranscodePolling();
  const isFirst = snapshot.attempt === 0 && (snapshot.state === 'idle' || snapshot.state === 'connecting');
  if (isFirst || snapshot.state === 'paused') return null;
  if (snapshot.state !== 'open') {
    return (
      <span className={styles['feed']} data-feed={failed ? 'failed' : 'polling'}>
        {failed ? transcodes.pollFailed : transcodes.polling(DOWN_MS / 1000)}
      </span>
    );
  }
  return (
    <span className={styles['feed']} data-feed="live">
      {transcodes.live}
      {rate > 0 ? <span className={styles['rate']}>{transcodes.rate(rate)}</span> : null}
    </span>
  );
}

type Counts = Record<PhaseFilter, number>;

/** Make a function that counts by phase, and returns the same object while the counts are the same. */
function counting(): (transcodes: All) => Counts {
  let last: Counts = { all: 0, active: 0, complete: 0, failed: 0 };
  return (transcodes) => {
    const next: Counts = { all: transcodes.size, active: 0, complete: 0, failed: 0 };
    for (const { phase } of transcodes.values()) next[phase] += 1;
    if (PHASES.some((phase) => next[phase] !== last[phase])) last = next;
    return last;
  };
}
