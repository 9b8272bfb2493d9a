import type { Address } from './address';
import { Connection } from './connection';
import type { Settings } from './options';
import { StreamConnection } from './streamConnection';
import type { Transport, TransportEvents } from './transport';
import type { Way } from './ways';

/** Connect by a socket or by an event stream. @throws whatever `new WebSocket` throws. */
export function openTransport(
  way: Way,
  settings: Settings,
  address: Address,
  { since, token, on }: { since: string | null; token: string; on: TransportEvents },
): Transport {
  const { isAdmin, acknowledge } = settings;
  if (way === 'socket') {
    return new Connection({ ...settings, url: address.socket(isAdmin, since, acknowledge), token, on });
  }
  const url = address.events(isAdmin, since);
  return new StreamConnection({ ...settings, url, statsUrl: address.http('ws/stats'), token, on });
}
