"""What both services share: everything but the I/O."""

from __future__ import annotations

import os
import ssl
from functools import cached_property
from typing import TypeVar

import httpx

from videosite_realtime._access import RouterAccess
from videosite_realtime._clock import RisingClock
from videosite_realtime._composer import Composer
from videosite_realtime._delivery import Delivery, deliver
from videosite_realtime._tracing import Call
from videosite_realtime.requests import Request
from videosite_realtime.retry import RetryPolicy

T = TypeVar("T")

# One for the process: two services that report on one video must not disagree about the order.
sent_at = RisingClock()
compose = Composer(sent_at)


class Core:
    """Begins the delivery of requests with an access that is looked up when it is first needed."""

    def __init__(self, router_url: str | None, api_key: str | None, retry: RetryPolicy) -> None:
        self._router_url, self._api_key, self._retry = router_url, api_key, retry

    @cached_property
    def _access(self) -> RouterAccess:
        return RouterAccess.find(self._router_url, self._api_key, os.environ)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # One for all clients: reading the certificates costs 40 ms, a client without that 0.7 ms. Over plain HTTP it is
        # not used, and this one, which knows no authority, would trust nobody.
        if self._access.url.startswith("http:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.create_ssl_context()

    def deliver(self, request: Request[T], call: Call) -> Delivery[T]:
        return deliver(request, self._access, self._retry, call)

    def new_async_client(self) -> httpx.AsyncClient:
        """Return a client for one connection."""
        return httpx.AsyncClient(verify=self._tls, limits=httpx.Limits(max_connections=1))

    def new_client(self) -> httpx.Client:
        return httpx.Client(verify=self._tls)
