import {
  useCallback,
  useEffect,
  useInsertionEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type RefObject,
} from 'react';
import {
  RealtimeClient,
  type Connected,
  type ConnectionSnapshot,
  type RealtimeError,
  type RealtimeOptions,
  type ServerMessage,
  type SystemMessage,
  type TranscodeComplete,
  type TranscodeFailed,
  type TranscodeProgress,
} from '../realtime';

/** Times in ms. An option that changes (token provider and callbacks apart) begins a new connection. */
export interface UseWebSocketOptions extends Omit<RealtimeOptions, 'isAdmin'> {
  /** Connect when the component is there. Default true. */
  autoConnect?: boolean;
  onMessage?: (message: ServerMessage) => void;
  onTranscodeProgress?: (message: TranscodeProgress) => void;
  onTranscodeComplete?: (message: TranscodeComplete) => void;
  onTranscodeFailed?: (message: TranscodeFailed) => void;
  onSystemMessage?: (message: SystemMessage) => void;
  onConnect?: (message: Connected) => void;
  onDisconnect?: (close: { code: number; reason: string; willReconnect: boolean }) => void;
  /** Something was missed for good: fetch state and inbox anew. */
  onLost?: () => void;
  onError?: (error: RealtimeError) => void;
}

export interface UseWebSocketResult {
  isConnected: boolean;
  /** The newest message. A callback sees every one; of this value, those between two renders are not seen. */
  lastMessage: ServerMessage | null;
  /** Send a command, or keep it until there is a connection; false if it was not taken. */
  sendMessage: (command: string) => boolean;
  connect: () => void;
  disconnect: () => void;
  /** Try at once, with all attempts left: for the "offline" state's button. */
  retry: () => void;
  status: ConnectionSnapshot;
  /** What is behind it, for whoever needs more. */
  client: RealtimeClient;
}

/** Keep a connection for as long as the component is there. One per app is enough: see `WebSocketProvider`. */
export function useWebSocket(isAdmin: boolean, options: UseWebSocketOptions = {}): UseWebSocketResult {
  const { autoConnect = true } = options;
  const client = useClient(isAdmin, options);
  const subscribe = useCallback((listener: () => void) => client.subscribe(listener), [client]);
  const status = useSyncExternalStore(subscribe, () => client.snapshot);
  const lastMessage = useListeners(client, options);

  useEffect(() => {
    if (autoConnect) client.connect();
    return () => client.disconnect();
  }, [client, autoConnect]);

  return useMemo(
    () => ({
      isConnected: status.state === 'open',
      lastMessage,
      sendMessage: (command: string) => client.send(command),
      connect: () => client.connect(),
      disconnect: () => client.disconnect(),
      retry: () => client.retry(),
      status,
      client,
    }),
    [client, status, lastMessage],
  );
}

/** Make a client; another one only when a setting changes. */
function useClient(isAdmin: boolean, options: UseWebSocketOptions): RealtimeClient {
  const latest = useLatest(options);
  const settings = settingsIn(options);
  const [made, setMade] = useState(() => ({ isAdmin, settings, client: makeClient(isAdmin, settings, latest) }));
  if (made.isAdmin === isAdmin && isSame(made.settings, settings)) return made.client;
  // Made while rendering, as React wants it for state that follows from props; until it connects it holds nothing.
  const client = makeClient(isAdmin, settings, latest);
  setMade({ isAdmin, settings, client });
  return client;
}

type Settings = Omit<RealtimeOptions, 'isAdmin' | 'getToken' | 'refreshAccessToken'> & {
  hasGetToken: boolean;
  hasRefresh: boolean;
};

const SETTINGS = [
  'url',
  'autoReconnect',
  'reconnectInterval',
  'maxReconnectDelay',
  'maxReconnectAttempts',
  'heartbeatInterval',
  'heartbeatTimeout',
  'connectTimeout',
  'sendQueueLimit',
  'acknowledge',
  'cursorStorage',
  'clock',
  'WebSocket',
  'environment',
  'random',
] as const satisfies (keyof RealtimeOptions)[];

function settingsIn(options: UseWebSocketOptions): Settings {
  const given = SETTINGS.filter((name) => options[name] !== undefined).map((name) => [name, options[name]] as const);
  return {
    ...Object.fromEntries(given),
    hasGetToken: options.getToken !== undefined,
    hasRefresh: options.refreshAccessToken !== undefined,
  };
}

function isSame(a: Settings, b: Settings): boolean {
  const names = [...SETTINGS, 'hasGetToken', 'hasRefresh'] as const;
  return names.every((name) => Object.is(a[name], b[name]));
}

function makeClient(isAdmin: boolean, settings: Settings, latest: Latest<UseWebSocketOptions>): RealtimeClient {
  const { hasGetToken, hasRefresh, ...rest } = settings;
  return new RealtimeClient({
    ...rest,
    isAdmin,
    // Looked up when they are called: an app that writes them inline makes new ones at every render.
    ...(hasGetToken && { getToken: () => latest.current.getToken?.() ?? null }),
    ...(hasRefresh && { refreshAccessToken: async () => (await latest.current.refreshAccessToken?.()) ?? null }),
  });
}

function useListeners(client: RealtimeClient, options: UseWebSocketOptions): ServerMessage | null {
  const [last, setLast] = useState<ServerMessage | null>(null);
  const latest = useLatest(options);
  useEffect(() => {
    const stops = [
      client.on('message', (message) => {
        setLast(message);
        latest.current.onMessage?.(message);
      }),
      client.on('transcodeProgress', (message) => latest.current.onTranscodeProgress?.(message)),
      client.on('transcodeComplete', (message) => latest.current.onTranscodeComplete?.(message)),
      client.on('transcodeFailed', (message) => latest.current.onTranscodeFailed?.(message)),
      client.on('systemMessage', (message) => latest.current.onSystemMessage?.(message)),
      client.on('connected', (message) => latest.current.onConnect?.(message)),
      client.on('disconnected', (close) => latest.current.onDisconnect?.(close)),
      client.on('lost', () => latest.current.onLost?.()),
      client.on('error', (error) => latest.current.onError?.(error)),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }, [client, latest]);
  return last;
}

type Latest<T> = Readonly<RefObject<T>>;

/** The value of the last render, for what is called between renders. */
function useLatest<T>(value: T): Latest<T> {
  const ref = useRef(value);
  useInsertionEffect(() => {
    ref.current = value;
  });
  return ref;
}
