import type { Messages } from './zh-CN';

const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

export const en: Messages = {
  locale: 'en',
  name: 'English',

  page: {
    title: 'Realtime console',
    skip: 'Skip to main content',
    language: 'Language',
    theme: 'Appearance',
    themes: { system: 'System', light: 'Light', dark: 'Dark' },
    account: 'Account',
    signedInAs: (name) => `Signed in as ${name}`,
    tokenExpires: (when) => `Token expires ${when}`,
    tokenExpired: 'Token has expired',
    changeToken: 'Change token',
    signOut: 'Sign out',
    compose: 'Send message',
    composeNeedsScope: 'The token lacks the publish scope, so it cannot send',
    refresh: 'Refresh',
    retry: 'Retry',
    close: 'Close',
    showMore: (count) => `Show ${count.toLocaleString('en')} more`,
  },

  connection: {
    label: 'Connection',
    idle: 'Not connected',
    connecting: 'Connecting',
    open: 'Live',
    waiting: (seconds) => `Reconnecting in ${seconds} s`,
    waitingShort: 'Reconnecting',
    paused: 'No network',
    offline: 'Offline',
    stopped: 'Stopped',
    retryNow: 'Reconnect now',
    attempt: (number) => `Attempt ${number}`,
    announce: {
      open: 'Live connection restored',
      waiting: 'Live connection lost, reconnecting',
      paused: 'The network is gone; reconnecting as soon as it is back',
      offline: 'Reconnecting failed several times and has stopped',
      stopped: 'The server ended the connection',
    },
    explain: {
      waiting:
        'The live connection was lost. Transcodes are polled every 5 s; missed notifications follow on reconnect.',
      paused: 'This browser has no network. It reconnects by itself, and missed notifications follow.',
      offline:
        'Several attempts to reconnect failed. Transcodes are still polled every 5 s; check the server, then reconnect.',
      stopped: 'The server ended the connection, and it is not tried again.',
      unauthenticated:
        'The token is invalid or has expired, or an administrator ended the connection. Change the token to go on.',
      forbidden: 'This account is not an administrator, or it is blocked.',
    },
    lastClose: (code, reason) => (reason ? `Close code ${code}: ${reason}` : `Close code ${code}`),
    lost: 'Some notifications are older than what the server keeps; the list may be incomplete',
  },

  notifications: {
    title: 'Notifications',
    bell: (unread) => (unread > 0 ? `Notifications, ${unread} unread` : 'Notifications, none unread'),
    unread: (count) => `${count.toLocaleString('en')} unread`,
    markAllRead: 'Mark all as read',
    remove: 'Delete',
    mute: 'Mute pop-ups',
    unmute: 'Unmute pop-ups',
    muted: 'Pop-ups are muted; notifications are still recorded here',
    mutedShort: 'Muted',
    all: 'All',
    onlyUnread: 'Unread',
    onlyRead: 'Read',
    readState: 'Filter by read state',
    kind: 'Type',
    kinds: {
      all: 'All types',
      transcode_complete: 'Completed',
      transcode_failed: 'Failed',
      system_message: 'System',
      other: 'Other',
    },
    search: 'Search notifications',
    viewAll: 'View all notifications',
    empty: 'No notifications yet',
    emptyHint: 'Finished and failed transcodes and system messages appear here. This browser keeps the recent ones.',
    emptyHintServer: 'Finished and failed transcodes and system messages appear here, the same on all your devices.',
    emptyUnread: 'All caught up',
    emptyUnreadHint: 'New notifications appear here.',
    emptyFilter: 'Nothing matches',
    emptyFilterHint: 'Try another word or filter.',
    emptyFilterHintLoaded: 'Only what is loaded was searched; there are older ones.',
    loading: 'Loading notifications',
    loadFailed: 'Notifications cannot be loaded just now',
    showOlder: 'Load older notifications',
    changeFailed: {
      read: 'Could not be marked as read, and is shown as before',
      remove: 'Could not be deleted, and is shown as before',
    },
    thisBrowser: 'Kept in this browser only',
    clearFilters: 'Clear filters',
    unreadMark: 'Unread',
    arrived: (count, text) =>
      count === 1 ? `New notification: ${text}` : `${count} new notifications, the latest: ${text}`,
    levels: { info: 'Info', success: 'Success', warning: 'Warning', error: 'Error' },
  },

  toast: {
    region: 'Pop-ups',
    complete: (count) => `${plural(count, 'transcode')} completed`,
    failed: (count) => `${plural(count, 'transcode')} failed`,
    system: (count) => plural(count, 'system message'),
    other: (count) => plural(count, 'notification'),
    more: (count) => `and ${count.toLocaleString('en')} more`,
    mute: 'Mute pop-ups',
  },

  message: {
    video: (id) => `Video ${id}`,
    complete: 'Transcode completed',
    failed: 'Transcode failed',
    system: 'System message',
    unknownError: 'No reason was given',
  },

  transcodes: {
    title: 'Transcodes',
    active: 'Active',
    finished: 'Recently finished',
    filter: 'Filter by state',
    filters: { all: 'All', active: 'Active', complete: 'Completed', failed: 'Failed' },
    search: 'Search video id or title',
    empty: 'No active transcodes',
    emptyHint: 'As soon as a transcoder starts working, its progress appears here, live.',
    emptyFilter: 'No transcode matches',
    loading: 'Loading transcodes',
    live: 'Live',
    polling: (seconds) => `Polling every ${seconds} s`,
    rate: (perSecond) => `${perSecond.toLocaleString('en')} updates/s`,
    progressOf: (video) => `Transcode progress of ${video}`,
    complete: 'Completed',
    failed: 'Failed',
    stale: (when) => `No news since ${when}`,
    unknown: 'No transcode of this video is known',
    pollFailed: 'Transcodes could not be loaded',
  },

  cluster: {
    title: 'Cluster',
    nodes: 'Nodes',
    users: 'Users online',
    userConnections: 'User connections',
    adminConnections: 'Admin connections',
    connections: 'All connections',
    node: 'Node',
    state: 'State',
    states: { up: 'Up', draining: 'Draining' },
    uptime: 'Uptime',
    version: 'Version',
    share: 'Share',
    unavailable: 'The cluster’s state could not be loaded',
    stale: 'May be out of date',
    noNodes: 'No nodes',
    trend: (minutes) => `Last ${plural(minutes, 'minute')}`,
    nodesUp: (count) => plural(count, 'node'),
  },

  composer: {
    title: 'Send a system message',
    intro: 'It shows at once on the pages of its audience; whoever is away gets it on return.',
    target: 'Audience',
    targets: { admin: 'All admins', all: 'Everybody', users: 'Specific users' },
    targetHints: {
      admin: (count) => (count === null ? 'Every admin page' : `${plural(count, 'admin connection')} now`),
      all: (count) => (count === null ? 'Every connected page' : `${plural(count, 'connection')} now`),
      users: 'Type a user id and press Enter; up to 1,000',
    },
    users: 'User ids',
    usersPlaceholder: 'For example 7',
    level: 'Level',
    message: 'Message',
    messagePlaceholder: 'For example: maintenance begins in 10 minutes',
    preview: 'Preview',
    previewEmpty: 'The message appears here',
    size: (bytes, limit) => `${bytes} of ${limit}`,
    send: 'Send',
    sendToAll: 'Send to everybody',
    sendAgain: 'Try again',
    another: 'Send another',
    sent: 'Message sent',
    sentOnline: (nodes) => `Handed to ${plural(nodes, 'node')}; its audience is online.`,
    sentOffline: 'Nobody of its audience is online; whoever returns within 15 minutes gets it.',
    messageId: 'Message id',
    traceId: 'Trace id',
    errors: {
      needMessage: 'Write a message',
      needUsers: 'Enter at least one user id',
      badUser: (user) => `“${user}” is not a user id`,
      tooLarge: 'The message is too long',
      invalid: 'The server does not accept this message',
      unauthenticated: 'The token is invalid or has expired. Change the token.',
      forbidden: 'The token lacks the publish scope. Sign in with a token made with --scope publish.',
      conflict: 'This operation was already sent with other content. Send it once more.',
      unavailable: 'The service is unavailable; the message may not be out yet. Trying again does not double it.',
      unavailableFor: (seconds) =>
        `The service is unavailable. Try again in ${seconds} s; trying again does not double the message.`,
      unreachable: 'The server cannot be reached. Trying again does not double the message.',
      unexpected: (status) => `The server gave an unexpected answer (HTTP ${status}).`,
    },
  },

  signIn: {
    title: 'Sign in to the realtime console',
    intro: 'Paste an administrator’s token (JWT). It stays in this browser.',
    token: 'Administrator’s token',
    placeholder: 'eyJhbGciOi…',
    submit: 'Sign in',
    where: 'Where do I get a token?',
    whereLocal: 'While a local cluster runs, in a terminal:',
    whereProduction:
      'In production, from the service that issues tokens: is_admin must be true, and to send system messages the scope must contain publish.',
    copy: 'Copy command',
    copied: 'Copied',
    errors: {
      empty: 'Paste a token',
      malformed: 'This is not a JWT: three parts separated by dots are expected',
      expired: 'The token has expired; get a new one',
      notAdmin: 'This is not an administrator’s token (is_admin is not true)',
    },
  },

  newToken: {
    title: 'Change token',
    titleNeeded: 'A new token is needed',
    intro:
      'Paste another administrator’s token. With one of the same account, the page and its connection simply go on.',
    introNeeded:
      'The server no longer accepts the present token: it has expired, or an administrator ended the connection. With a new one the page goes on from here, and what was missed is caught up.',
    submit: 'Use this token',
    refused: 'The server does not accept this token',
    expiresIn: (left) => `The token expires in ${left}. Replace it now, and the connection goes on without a break.`,
  },

  time: {
    justNow: 'just now',
    duration: (days, hours, minutes, seconds) =>
      days > 0
        ? `${days} d ${hours} h`
        : hours > 0
          ? `${hours} h ${minutes} min`
          : minutes > 0
            ? `${minutes} min ${seconds} s`
            : `${seconds} s`,
  },
};
