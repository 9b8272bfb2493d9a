"""Servers for Redis behind TLS: what they are set to, and what leads the services to them.

They are redis-server whatever TEST_REDIS says: the embedded Valkey is built without TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.certificates import Authority, Pair
from tests.support.ports import LOOPBACK, free_port
from tests.support.shards import Shard


def options(authority: Authority, own: Pair, port: int) -> dict[str, str]:
    """Return what has a server speak TLS on a port, and ask for a certificate there."""
    return {
        "tls-port": str(port),
        "tls-cert-file": str(own.cert),
        "tls-key-file": str(own.key),
        "tls-ca-cert-file": str(authority.file),
        "tls-auth-clients": "yes",
    }


def settings(authority: Authority, own: Pair) -> dict[str, str]:
    """Return what has services trust an authority and show a certificate."""
    return {
        "REDIS_CA_FILE": str(authority.file),
        "REDIS_CERT_FILE": str(own.cert),
        "REDIS_KEY_FILE": str(own.key),
    }


class GuardedShard(Shard):
    """A server of a cluster whose servers speak TLS to each other too; the tests have a port without it.

    Args:
        host: where the services find it.
        more: settings of its own, beside or instead of ours.
    """

    def __init__(
        self, directory: Path, authority: Authority, own: Pair, *, host: str = LOOPBACK, more: Mapping[str, str]
    ) -> None:
        self._host, self.tls_port = host, free_port()
        among = {"tls-cluster": "yes", "tls-replication": "yes"}
        guarded = {**options(authority, own, self.tls_port), **among, **more}
        super().__init__(directory, flavour="redis-server", options=guarded)

    @property
    def address(self) -> str:
        return f"{self._host}:{self.tls_port}"
