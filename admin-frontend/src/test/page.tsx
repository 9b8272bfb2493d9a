import './media';

import { render, type RenderResult } from '@testing-library/react';
import { ConfigProvider } from 'antd';
import { type ReactNode, StrictMode } from 'react';
import { WebSocket } from 'ws';

import { WebSocketProvider, type WebSocketProviderProps } from '../contexts/WebSocketContext';
import { LocaleProvider } from '../i18n';
import { FakeEnvironment } from './FakeEnvironment';
import { jwt } from './jwt';
import type { StandInCluster } from './StandInCluster';

export interface Page extends RenderResult {
  environment: FakeEnvironment;
}

/** Open a page on a cluster, as an app would in development: within StrictMode, in English. */
export function openPage(
  cluster: StandInCluster,
  content: ReactNode,
  options: Partial<WebSocketProviderProps> = {},
): Page {
  const environment = new FakeEnvironment();
  const page = render(
    <StrictMode>
      {/* jsdom ends no animation. */}
      <ConfigProvider theme={{ token: { motion: false } }}>
        <LocaleProvider locale="en">
          <WebSocketProvider
            isAdmin
            url={cluster.url}
            getToken={jwt}
            environment={environment}
            cursorStorage={null}
            WebSocket={WebSocket as unknown as typeof globalThis.WebSocket}
            {...options}
          >
            {content}
          </WebSocketProvider>
        </LocaleProvider>
      </ConfigProvider>
    </StrictMode>,
  );
  return { ...page, environment };
}

let events = 0;

export const complete = (videoId: number, more: object = {}): object => ({
  type: 'transcode_complete',
  video_id: videoId,
  title: `Video number ${videoId}`,
  format_type: 'av1',
  file_size: 1_024_000_000,
  timestamp: '2026-01-01T10:00:00Z',
  id: `admin.1-${++events}`,
  ...more,
});

export const failed = (videoId: number, error: string): object => ({
  type: 'transcode_failed',
  video_id: videoId,
  title: `Video number ${videoId}`,
  error,
  timestamp: '2026-01-01T10:00:00Z',
  id: `admin.1-${++events}`,
});

export const progress = (videoId: number, percent: number, more: object = {}): object => ({
  type: 'transcode_progress',
  video_id: videoId,
  status: 'processing',
  progress: percent,
  message: `at ${percent}`,
  timestamp: '2026-01-01T09:00:00Z',
  ...more,
});

export const system = (message: string, level = 'info'): object => ({
  type: 'system_message',
  message,
  level,
  timestamp: '2026-01-01T10:00:00Z',
  id: `admin.1-${++events}`,
});
