import { BellOutlined, SearchOutlined } from '@ant-design/icons';
import { Alert, Button, Input, Segmented, Select } from 'antd';
import { useDeferredValue, useMemo, useState } from 'react';

import { EmptyState } from '../../components/EmptyState';
import { NotificationList } from '../../components/NotificationList';
import { describe, type Kind, kindOf, lineOf } from '../../components/NotificationList/describe';
import { NotificationTools } from '../../components/NotificationList/NotificationTools';
import { Panel } from '../../components/Panel';
import { useLost } from '../../hooks/useLost';
import { useNotifications } from '../../hooks/useNotifications';
import { useNow } from '../../hooks/useNow';
import { useFormat, useMessages } from '../../i18n';
import type { NotificationItem } from '../../realtime';
import styles from './AdminPage.module.css';

type ReadFilter = 'all' | 'unread' | 'read';
type KindFilter = 'all' | Kind;

const KINDS = ['all', 'transcode_complete', 'transcode_failed', 'system_message', 'other'] as const;
const PAGE = 50;

/** All notifications that this browser keeps, with filters. */
export function History({ id }: { id: string }) {
  const { notifications, page } = useMessages();
  const { items, unread, muted } = useNotifications();
  const [read, setRead] = useState<ReadFilter>('all');
  const [kind, setKind] = useState<KindFilter>('all');
  const [query, setQuery] = useState('');
  const [limit, setLimit] = useState(PAGE);
  const shown = useFiltered(items, read, kind, useDeferredValue(query));
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
      {shown.length > 0 ? (
        <>
          <NotificationList items={shown.slice(0, limit)} now={now} label={notifications.title} />
          {shown.length > limit ? (
            <div className={styles['more']}>
              <Button
                type="text"
                onClick={() => {
                  setLimit(limit + PAGE);
                }}
              >
                {page.showMore(Math.min(PAGE, shown.length - limit))}
              </Button>
            </div>
          ) : null}
        </>
      ) : (
        <Nothing any={items.length > 0} onlyUnread={read === 'unread' && kind === 'all' && !query} onClear={clear} />
      )}
    </Panel>
  );
}

/** Said openly: a list with a hole in it must not look whole. */
function Lost() {
  const { connection, page } = useMessages();
  const [lost, dismiss] = useLost();
  if (!lost) return null;
  const closable = { 'aria-label': page.close, onClose: dismiss };
  return <Alert banner type="warning" title={connection.lost} closable={closable} />;
}

function Nothing({ any, onlyUnread, onClear }: { any: boolean; onlyUnread: boolean; onClear: () => void }) {
  const { notifications } = useMessages();
  const icon = <BellOutlined />;
  if (!any) return <EmptyState icon={icon} title={notifications.empty} hint={notifications.emptyHint} />;
  if (onlyUnread) {
    return <EmptyState icon={icon} title={notifications.emptyUnread} hint={notifications.emptyUnreadHint} />;
  }
  const action = <Button onClick={onClear}>{notifications.clearFilters}</Button>;
  return (
    <EmptyState icon={icon} title={notifications.emptyFilter} hint={notifications.emptyFilterHint} action={action} />
  );
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
