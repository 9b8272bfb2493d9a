"""Tells VideoSite's browsers what happens: the producers' client of VideoSite Realtime.

``notification_service`` and ``sync_notification_service`` are configured by ``ROUTER_URL`` and ``ROUTER_API_KEY``,
which are read at the first call. Importing this package opens nothing and reads no setting.
"""

from videosite_realtime.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidMessage,
    KeyReused,
    MessageTooLarge,
    NotificationError,
    PermissionDenied,
    Refused,
    Undelivered,
    UnexpectedAnswer,
)
from videosite_realtime.receipts import ConnectionCount, ItemResult, Receipt
from videosite_realtime.requests import Audience, Level, Publish, PublishBatch, UserId
from videosite_realtime.retry import RetryPolicy
from videosite_realtime.service import NotificationService
from videosite_realtime.sync_service import SyncNotificationService

notification_service = NotificationService()
sync_notification_service = SyncNotificationService()

__all__ = [
    "Audience",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionCount",
    "InvalidMessage",
    "ItemResult",
    "KeyReused",
    "Level",
    "MessageTooLarge",
    "NotificationError",
    "NotificationService",
    "PermissionDenied",
    "Publish",
    "PublishBatch",
    "Receipt",
    "Refused",
    "RetryPolicy",
    "SyncNotificationService",
    "Undelivered",
    "UnexpectedAnswer",
    "UserId",
    "notification_service",
    "sync_notification_service",
]
