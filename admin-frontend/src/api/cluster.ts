import type { Address, ConnectionStats } from '../realtime';
import { call } from './http';

export interface ClusterNode {
  node_id: string;
  name: string;
  state: string;
  version: string;
  started_at: string;
  users: number;
  user_connections: number;
  admin_connections: number;
}

export async function fetchCounts(address: Address, signal: AbortSignal): Promise<ConnectionStats> {
  return (await call(address.http('ws/stats'), { signal })) as ConnectionStats;
}

export async function fetchNodes(address: Address, token: string | null, signal: AbortSignal): Promise<ClusterNode[]> {
  return ((await call(address.http('admin/nodes'), { token, signal })) as { nodes: ClusterNode[] }).nodes;
}
