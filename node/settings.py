"""Settings of a node."""

from __future__ import annotations

import resource
import socket
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.http_address import HttpAddress
from shared.settings import CommonSettings, Origins

_DAY = 86_400  # s; TCP_USER_TIMEOUT takes 24 of them at most
_FILES_KEPT_BACK = 512  # open files for everything that is not a client


def _connections_that_fit() -> int:
    """Return how many clients the process's limit of open files leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 100_000 if soft == resource.RLIM_INFINITY else max(soft - _FILES_KEPT_BACK, 64)


class NodeSettings(CommonSettings):
    node_host: str = Field("0.0.0.0", description="Address the node listens on.")  # noqa: S104
    node_port: int = Field(8000, ge=0, le=65535, description="Port for browsers: WebSocket and HTTP.")
    node_management_port: int | None = Field(
        None, ge=0, le=65535, description="If set, health and metrics are served here as well."
    )
    node_name: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9._-]{1,63}$",
        description="This node's name, for example the pod's. Default: the host name.",
    )
    node_reuse_port: bool = Field(False, description="Share the port with other nodes on this host (SO_REUSEPORT).")
    node_max_connections: int = Field(
        default_factory=_connections_that_fit,
        ge=1,
        description="Clients this node holds at most; more are told 1013. Default: what open files allow.",
    )
    router_url: HttpAddress | None = Field(None, description="Where `/api/v1/admin/system-messages` is forwarded to.")
    admin_page_dir: Path | None = Field(
        None, description="Where the built admin page lies. Default: `admin-frontend/dist` beside `node`, once built."
    )
    backend_cors_origins: Origins = Field(
        default_factory=list,
        description="Origins that browsers may come from, comma-separated or JSON; `*` allows all.",
    )

    heartbeat_timeout: float = Field(
        75, gt=0, le=_DAY, description="Seconds without a frame after which a client is a zombie."
    )
    heartbeat_interval: float = Field(
        30, gt=0, description="Seconds between heartbeats, as clients are told; shorter than the timeout."
    )
    max_connections_per_user: int = Field(
        20, ge=1, description="Connections of one user, over all nodes; of an admin as an admin, on each node."
    )
    commands_per_second: int = Field(
        20, ge=1, description="Commands of one user per second; of its polls, and of its calls of the inbox, as many."
    )
    frame_max_bytes: int = Field(4096, ge=128, description="Largest frame a client may send.")
    slow_client_timeout: float = Field(
        30, gt=0, le=_DAY, description="Seconds for which a client may read nothing before it is cut off."
    )
    connection_max_age: float | None = Field(
        None,
        gt=0,
        description="Seconds after which a client is asked to reconnect (1012), give or take a tenth, so that new "
        "nodes fill up. Default: never.",
    )
    drain_seconds: float = Field(20, ge=0, le=3600, description="Seconds over which clients are sent away at SIGTERM.")

    user_check_url: HttpAddress | None = Field(
        None, description="`GET <url>/<user_id>`: 200 exists, 404 unknown, 403 blocked."
    )
    user_check_ttl: float = Field(
        60,
        ge=0,
        description="Seconds for which an answer of the user check holds; then it still lets in at once, while it is "
        "asked anew. With 0, everybody waits for a new one.",
    )
    user_check_strangers: Literal["refuse", "accept"] = Field(
        "refuse", description="What happens to users never seen before while the user check is down."
    )

    @model_validator(mode="after")
    def _tokens_can_be_judged(self) -> Self:
        if not self.has_jwt:
            raise ValueError("JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL must be set: no token could be judged")
        return self

    @model_validator(mode="after")
    def _management_has_a_port_of_its_own(self) -> Self:
        if self.node_port != 0 and self.node_port == self.node_management_port:
            raise ValueError(f"NODE_MANAGEMENT_PORT and NODE_PORT are both {self.node_port}: choose another for one")
        return self

    @model_validator(mode="after")
    def _heartbeats_keep_a_client_alive(self) -> Self:
        # Otherwise every client that follows the first frame is closed with 4408, reconnects, and is closed again.
        if self.heartbeat_interval >= self.heartbeat_timeout:
            raise ValueError(
                f"HEARTBEAT_INTERVAL ({self.heartbeat_interval:g} s) must be shorter than "
                f"HEARTBEAT_TIMEOUT ({self.heartbeat_timeout:g} s)"
            )
        return self
