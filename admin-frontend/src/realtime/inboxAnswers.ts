// Written by docs/generate.py from node/inbox_bodies.py (make docs). Do not edit.

import type { FieldShape } from './messages';

export interface InboxNotification {
  id: string;
  audience: 'user' | 'admin' | 'all';
  type: string;
  read: boolean;
  created_at: string;
  expires_at: string | null;
  content: Readonly<Record<string, unknown>>;
}

export interface InboxNotificationPage {
  notifications: readonly InboxNotification[];
  next_cursor: string | null;
}

export interface InboxUnreadCount {
  unread: number;
  as_of: string;
  revision: number;
  by_audience: Readonly<Record<string, number>>;
}

export interface InboxMarkResult {
  unread: number;
  as_of: string;
  revision: number;
  by_audience: Readonly<Record<string, number>>;
  read: readonly string[];
  unknown: readonly string[];
}

export interface InboxAnswers {
  InboxNotification: InboxNotification;
  InboxNotificationPage: InboxNotificationPage;
  InboxUnreadCount: InboxUnreadCount;
  InboxMarkResult: InboxMarkResult;
}

export const INBOX_SHAPES: Readonly<Record<keyof InboxAnswers, Readonly<Record<string, FieldShape>>>> = {
  InboxNotification: {
    id: { kinds: ['string'] },
    audience: { kinds: ['string'], oneOf: ['user', 'admin', 'all'] },
    type: { kinds: ['string'] },
    read: { kinds: ['boolean'] },
    created_at: { kinds: ['string'] },
    expires_at: { kinds: ['string', 'null'] },
    content: { kinds: ['object'] },
  },
  InboxNotificationPage: {
    notifications: {
      kinds: ['array'],
      each: {
        kinds: ['object'],
        fields: {
          id: { kinds: ['string'] },
          audience: { kinds: ['string'], oneOf: ['user', 'admin', 'all'] },
          type: { kinds: ['string'] },
          read: { kinds: ['boolean'] },
          created_at: { kinds: ['string'] },
          expires_at: { kinds: ['string', 'null'] },
          content: { kinds: ['object'] },
        },
      },
    },
    next_cursor: { kinds: ['string', 'null'] },
  },
  InboxUnreadCount: {
    unread: { kinds: ['integer'], min: 0 },
    as_of: { kinds: ['string'] },
    revision: { kinds: ['integer'] },
    by_audience: { kinds: ['object'], each: { kinds: ['integer'] } },
  },
  InboxMarkResult: {
    unread: { kinds: ['integer'], min: 0 },
    as_of: { kinds: ['string'] },
    revision: { kinds: ['integer'] },
    by_audience: { kinds: ['object'], each: { kinds: ['integer'] } },
    read: { kinds: ['array'], each: { kinds: ['string'] } },
    unknown: { kinds: ['array'], each: { kinds: ['string'] } },
  },
};
