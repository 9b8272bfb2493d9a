"""Clients of a cluster that poll."""

from __future__ import annotations

from typing import Any

from tests.support.cluster import Cluster
from tests.support.poller import Answer, Poller


def ids(answer: Answer) -> list[str]:
    return [event["id"] for event in answer["events"]]


def poller(cluster: Cluster, user: int, **more: Any) -> Poller:
    return Poller(cluster.node, cluster.tokens.user(user), **more)


def admin_poller(cluster: Cluster, **more: Any) -> Poller:
    return Poller(cluster.node, cluster.tokens.admin(), admin=True, **more)
