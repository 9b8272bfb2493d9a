import { BellOutlined, SearchOutlined } from '@ant-design/icons';
import { Alert, Button, Input, Segmented, Select } from 'antd';
import { useDeferredValue, useMemo, useState } from 'react';

import { EmptyState } from '../../components/EmptyState';
import { describe, type Kind, kindOf, lineOf } from '../../components/NotificationList/describe';
import { NotificationFeed } from '../../components/NotificationList/NotificationFeed';
import { NotificationTools } from '../../components/NotificationList/NotificationTools';
import { Panel } from '../../components/Panel';
import { useLost } from '../../hooks/useLost';
import { useNotificationList } from '../../hooks/useNotificationList';
import { useNotifications } from '../../hooks/useNotifications';
import { useNow } from '../../hooks/useNow';
import { useFormat, useMessages } from '../../i18n';
import type { NotificationItem } from '../../realtime';
import styles from './AdminPage.module.css';

type ReadFilter = 'all' | 'unread' | 'read';
type KindFilter = 'all' | Kind;

const KINDS = ['all', 'transcode_complete', 'transcode_failed', 'system_message', 'other'] as const;
const PAGE = 50;

/** All notifications, with filters: type and unread are the server's, if it keeps an inbox; the others are of what is loaded. */
export function History({ id }: { id: string }) {
  const { notifications, page } = useMessages();
  const { unread, muted, source } = useNotifications();
  const [read, setRead] = useState<ReadFilter>('all');
  const [kind, setKind] = useState<KindFilter>('all');
  const [query, setQuery] = useState('');
  const [limit, setLimit] = useState(PAGE);
  const list = useNotificationList({
    ...(kind !== 'all' && kind !== 'other' && { type: kind }),
    unread: read === 'unread',
  });
  const found = useFiltered(list.items, read, kind, useDeferredValue(query));
  const shown = source === 'server' ? found : found.slice(0, limit);
  const older = found.length - shown.length;
  const now = useNow(15_000);
  const clear = (): void => {
    setRead('all');
    setKind('all');
    setQuery('');
  };
  return (
    <Panel
      id={id}
      className={styles['history']}
      title={notifications.title}
      note={
        <>
          {unread > 0 ? <span>{notifications.unread(unread)}</span> : null}
          {muted ? <span>{notifications.mutedShort}</span> : null}
          {source === 'browser' ? <span>{notifications.thisBrowser}</span> : null}
        </>
      }
      tools={<NotificationTools />}
      filters={
        <>
          <Segmented<ReadFilter>
            aria-label={notifications.readState}
            value={read}
            onChange={setRead}
            options={[
              { value: 'all', label: notifications.all },
              { value: 'unread', label: notifications.onlyUnread },
              { value: 'read', label: notifications.onlyRead },
            ]}
          />
          <Select<KindFilter>
            aria-label={notifications.kind}
            className={styles['kind'] ?? ''}
            value={kind}
            onChange={setKind}
            options={KINDS.map((each) => ({ value: each, label: notifications.kinds[each] }))}
          />
          <Input
            allowClear
            className={styles['search'] ?? ''}
            prefix={<SearchOutlined aria-hidden />}
            placeholder={notifications.search}
            aria-label={notifications.search}
            value={query}
            onChange={(event) => {
              setQuery(event.target.value);
            }}
          />
        </>
      }
    >
      <Lost />
      <NotificationFeed
        list={list}
        items={shown}
        now={now}
        label={notifications.title}
        empty={
          <Nothing
            isFiltered={read !== 'all' || kind !== 'all' || query !== ''}
            onlyUnread={read === 'unread' && kind === 'all' && !query}
            hasMore={list.hasMore}
            onClear={clear}
          />
        }
        {...(older > 0 && {
          more: {
            label: page.showMore(Math.min(PAGE, older)),
            onMore: () => {
              setLimit(limit + PAGE);
            },
          },
        })}
      />
    </Panel>
  );
}

/** Said openly: a list with a hole in it must not look whole. */
function Lost() {
  const { connection, page } = useMessages();
  const { source } = useNotifications();
  const [lost, dismiss] = useLost();
  // What the socket missed the server's list has.
  if (!lost || source === 'server') return null;
  const closable = { 'aria-label': page.close, onClose: dismiss };
  return <Alert banner type="warning" title={connection.lost} closable={closable} />;
}

interface NothingProps {
  isFiltered: boolean;
  onlyUnread: boolean;
  hasMore: boolean;
  onClear: () => void;
}

function Nothing({ isFiltered, onlyUnread, hasMore, onClear }: NothingProps) {
  const { notifications } = useMessages();
  const { items, source } = useNotifications();
  const icon = <BellOutlined />;
  if (!isFiltered || (items.length === 0 && !hasMore)) {
    const hint = source === 'server' ? notifications.emptyHintServer : notifications.emptyHint;
    return <EmptyState icon={icon} title={notifications.empty} hint={hint} />;
  }
  if (onlyUnread) {
    return <EmptyState icon={icon} title={notifications.emptyUnread} hint={notifications.emptyUnreadHint} />;
  }
  const action = <Button onClick={onClear}>{notifications.clearFilters}</Button>;
  const hint = hasMore ? notifications.emptyFilterHintLoaded : notifications.emptyFilterHint;
  return <EmptyState icon={icon} title={notifications.emptyFilter} hint={hint} action={action} />;
}

function useFiltered(
  items: readonly NotificationItem[],
  read: ReadFilter,
  kind: KindFilter,
  query: string,
): readonly NotificationItem[] {
  const messages = useMessages();
  const format = useFormat();
  return useMemo(() => {
    const wanted = query.trim().toLowerCase();
    return items.filter((item) => {
      if (read !== 'all' && item.read !== (read === 'read')) return false;
      if (kind !== 'all' && kindOf(item) !== kind) return false;
      if (!wanted) return true;
      const described = describe(item, messages, format);
      return `${described.event} ${lineOf(described)}`.toLowerCase().includes(wanted);
    });
  }, [items, read, kind, query, messages, format]);
}
