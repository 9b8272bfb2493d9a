import { ClusterOutlined, ReloadOutlined, WarningOutlined } from '@ant-design/icons';
import { Button, Skeleton, Tooltip } from 'antd';

import type { ClusterNode } from '../../api/cluster';
import { EmptyState } from '../../components/EmptyState';
import { Panel } from '../../components/Panel';
import { useNow } from '../../hooks/useNow';
import type { Polled } from '../../hooks/usePolled';
import { useFormat, useMessages } from '../../i18n';
import styles from './Nodes.module.css';

/** Every live node with what it holds. */
export function Nodes({ nodes }: { nodes: Polled<ClusterNode[]> }) {
  const { cluster, page } = useMessages();
  const stale = nodes.error !== null && nodes.data !== null;
  return (
    <Panel
      title={cluster.nodes}
      note={
        stale ? (
          <span className={styles['stale']}>
            <WarningOutlined aria-hidden /> {cluster.stale}
          </span>
        ) : nodes.data ? (
          cluster.nodesUp(nodes.data.length)
        ) : null
      }
      tools={
        <Tooltip title={page.refresh}>
          <Button type="text" aria-label={page.refresh} icon={<ReloadOutlined />} onClick={nodes.refresh} />
        </Tooltip>
      }
    >
      <Content nodes={nodes} />
    </Panel>
  );
}

function Content({ nodes: { data, error, refresh } }: { nodes: Polled<ClusterNode[]> }) {
  const { cluster, page } = useMessages();
  if (data === null && error !== null) {
    const retry = <Button onClick={refresh}>{page.retry}</Button>;
    return <EmptyState icon={<WarningOutlined />} title={cluster.unavailable} action={retry} />;
  }
  if (data === null) {
    return (
      <div className={styles['loading']}>
        <Skeleton active title={false} paragraph={{ rows: 3 }} />
      </div>
    );
  }
  return data.length > 0 ? <Table nodes={data} /> : <EmptyState icon={<ClusterOutlined />} title={cluster.noNodes} />;
}

function Table({ nodes }: { nodes: readonly ClusterNode[] }) {
  const { cluster } = useMessages();
  const now = useNow(1000);
  const total = nodes.reduce((sum, node) => sum + connectionsOf(node), 0);
  return (
    <div className={styles['scroll']} role="group" aria-label={cluster.nodes} tabIndex={0}>
      <table className={styles['table']}>
        <thead>
          <tr>
            <th scope="col">{cluster.node}</th>
            <th scope="col">{cluster.state}</th>
            <th scope="col" className={styles['number']}>
              {cluster.userConnections}
            </th>
            <th scope="col" className={styles['number']}>
              {cluster.adminConnections}
            </th>
            <th scope="col">{cluster.share}</th>
            <th scope="col" className={styles['number']}>
              {cluster.uptime}
            </th>
            <th scope="col" className={styles['number']}>
              {cluster.version}
            </th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <Row key={node.node_id} node={node} total={total} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ node, total, now }: { node: ClusterNode; total: number; now: number }) {
  const { cluster } = useMessages();
  const format = useFormat();
  const share = total > 0 ? (connectionsOf(node) / total) * 100 : 0;
  const state = node.state === 'up' || node.state === 'draining' ? cluster.states[node.state] : node.state;
  return (
    <tr>
      <th scope="row" title={node.node_id}>
        {node.name}
      </th>
      <td>
        <span className={styles['state']} data-state={node.state}>
          {state}
        </span>
      </td>
      <td className={styles['number']}>{format.number(node.user_connections)}</td>
      <td className={styles['number']}>{format.number(node.admin_connections)}</td>
      <td>
        <span className={styles['share']}>
          <span className={styles['bar']} aria-hidden>
            <span className={styles['fill']} style={{ transform: `scaleX(${share / 100})` }} />
          </span>
          <span className={styles['percent']}>{format.percent(Math.round(share))}</span>
        </span>
      </td>
      <td className={styles['number']}>
        <Uptime since={Date.parse(node.started_at)} now={now} />
      </td>
      <td className={styles['number']}>{node.version}</td>
    </tr>
  );
}

function Uptime({ since, now }: { since: number; now: number }) {
  const { time } = useMessages();
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  const [days, hours, minutes] = [seconds / 86_400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
  return time.duration(days ?? 0, hours ?? 0, minutes ?? 0, seconds % 60);
}

function connectionsOf(node: ClusterNode): number {
  return node.user_connections + node.admin_connections;
}
