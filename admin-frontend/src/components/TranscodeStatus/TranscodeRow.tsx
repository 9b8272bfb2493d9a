import { CheckCircleFilled, CloseCircleFilled } from '@ant-design/icons';
import { memo } from 'react';

import { useTranscode } from '../../hooks/useTranscodes';
import { type Format, type Messages, useFormat, useMessages } from '../../i18n';
import type { TranscodeState } from '../../realtime';
import styles from './TranscodeStatus.module.css';

const STALE = 60_000; // ms; transcoders report every second or so

/** One video. It renders when that video changes, whatever two hundred others do. */
export const TranscodeRow = memo(function TranscodeRow({ videoId, now }: { videoId: number; now: number }) {
  const transcode = useTranscode(videoId);
  const messages = useMessages();
  const format = useFormat();
  if (!transcode) return null;
  const video = messages.message.video(videoId);
  return (
    <li className={styles['row']} data-phase={transcode.phase} data-video={videoId}>
      <div className={styles['what']}>
        <div className={styles['name']}>
          <span className={styles['title']}>{transcode.title ?? video}</span>
          {transcode.title === null ? null : <span className={styles['id']}>{video}</span>}
        </div>
        <div className={styles['message']} title={transcode.error ?? transcode.message}>
          {said(transcode, messages, format)}
        </div>
      </div>
      {transcode.phase === 'active' ? (
        <Progress transcode={transcode} label={messages.transcodes.progressOf(video)} format={format} now={now} />
      ) : (
        <Ended transcode={transcode} now={now} />
      )}
    </li>
  );
});

function said(transcode: TranscodeState, messages: Messages, format: Format): string {
  switch (transcode.phase) {
    case 'active':
      return transcode.message || transcode.status;
    case 'failed':
      return transcode.error ?? messages.message.unknownError;
    case 'complete': {
      const size = transcode.fileSize === null ? null : format.bytes(transcode.fileSize);
      return [transcode.formatType?.toUpperCase(), size].filter(Boolean).join(' · ');
    }
  }
}

interface ProgressProps {
  transcode: TranscodeState;
  label: string;
  format: Format;
  now: number;
}

function Progress({ transcode, label, format, now }: ProgressProps) {
  const { transcodes } = useMessages();
  const { progress, seenAt } = transcode;
  const percent = Math.floor(progress);
  const stale = now - seenAt > STALE;
  return (
    <div className={styles['state']} data-stale={stale || undefined}>
      <div
        className={styles['bar']}
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        {/* A transform is left to the compositor: no layout, no paint, however often it moves. */}
        <span className={styles['fill']} style={{ transform: `scaleX(${progress / 100})` }} />
      </div>
      <span className={styles['percent']}>{format.percent(progress)}</span>
      {stale ? <span className={styles['stale']}>{transcodes.stale(format.clock(seenAt, now))}</span> : null}
    </div>
  );
}

function Ended({ transcode, now }: { transcode: TranscodeState; now: number }) {
  const { transcodes } = useMessages();
  const format = useFormat();
  const at = Date.parse(transcode.timestamp);
  const failed = transcode.phase === 'failed';
  return (
    <div className={styles['ended']}>
      <span className={styles['outcome']}>
        {failed ? <CloseCircleFilled aria-hidden /> : <CheckCircleFilled aria-hidden />}
        {failed ? transcodes.failed : transcodes.complete}
      </span>
      <time className={styles['when']} dateTime={transcode.timestamp} title={format.moment(at)}>
        {format.clock(at, now)}
      </time>
    </div>
  );
}
