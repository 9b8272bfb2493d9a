"""Settings of a router."""

from __future__ import annotations

import socket
from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared.settings import CommonSettings

API_KEY_MIN_LENGTH = 16


class RouterSettings(CommonSettings):
    router_host: str = Field("0.0.0.0", description="Address the router listens on.")  # noqa: S104
    router_name: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9._-]{1,63}$",
        description="This router's name, for example the pod's. Default: the host name.",
    )
    router_port: int = Field(8001, ge=0, le=65535, description="Port the router listens on.")
    router_api_keys: SecretStr = Field(
        SecretStr(""), description="Service keys with all scopes, comma-separated, at least 16 characters each."
    )
    queue_enabled: bool = Field(
        True, description="Take messages from the queue in Redis (docs/queue.md) and publish them."
    )
    queue_max_length: int = Field(
        100_000,
        ge=1,
        le=100_000_000,
        description="Messages that may wait in the queue; beyond, the oldest are given up, counted and logged.",
    )

    @property
    def api_keys(self) -> list[str]:
        return [key.strip() for key in self.router_api_keys.get_secret_value().split(",") if key.strip()]

    @model_validator(mode="after")
    def _someone_may_call(self) -> Self:
        if any(key[0] in "[\"'" for key in self.api_keys):  # nobody would know the key that this makes
            raise ValueError("ROUTER_API_KEYS are separated by commas, without brackets or quotes")
        if any(len(key) < API_KEY_MIN_LENGTH for key in self.api_keys):
            raise ValueError(f"ROUTER_API_KEYS has a key shorter than {API_KEY_MIN_LENGTH} characters")
        if not all(key.isascii() and key.isprintable() for key in self.api_keys):
            raise ValueError(
                "ROUTER_API_KEYS has a key with other characters than printable ASCII: no header bears them"
            )
        if not self.api_keys and not self.has_jwt:
            raise ValueError(
                "ROUTER_API_KEYS, or one of JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL, must be set: nobody could call"
            )
        return self
