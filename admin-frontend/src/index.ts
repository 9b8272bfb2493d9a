/** What other apps take from here: the hook, the context and the components, with their types. */
export { ConnectionStatus } from './components/ConnectionStatus';
export { default as NotificationBadge, type NotificationBadgeProps } from './components/NotificationBadge';
export { TranscodeStatus, type TranscodeStatusProps } from './components/TranscodeStatus';
export {
  useWebSocketContext,
  type WebSocketContextValue,
  WebSocketProvider,
  type WebSocketProviderProps,
} from './contexts/WebSocketContext';
export { type Connection, useConnection } from './hooks/useConnection';
export { type NotificationListView, useNotificationList } from './hooks/useNotificationList';
export {
  type NotificationActions,
  type Notifications,
  useNotificationActions,
  useNotifications,
} from './hooks/useNotifications';
export { type Transcodes, useTranscode, useTranscodes } from './hooks/useTranscodes';
export { useWebSocket, type UseWebSocketOptions, type UseWebSocketResult } from './hooks/useWebSocket';
export { type Locale, LocaleProvider } from './i18n';
export * from './realtime';
