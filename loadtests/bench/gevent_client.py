"""One of the clients that `loadtests.bench.clients` compares, in a process of its own, as Locust's processes are.

Arguments: kind, port, connections, messages to each. Prints ``ready``, and then its figures as JSON.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import argparse
import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable

import gevent
import websocket
import wsproto
from wsproto.events import TextMessage

from loadtests.bench.figures import pss_kib
from loadtests.swarm.identities import Minting
from loadtests.swarm.socket_client import Socket

TOKEN = "a.token.of-no-meaning"


def websocket_client(port: int, received: list[int]) -> None:
    connection = websocket.create_connection(f"ws://127.0.0.1:{port}/", subprotocols=["bearer", TOKEN])
    while True:
        json.loads(connection.recv())
        received.append(1)


def ws_proto(port: int, received: list[int]) -> None:
    connection = socket.create_connection(("127.0.0.1", port))
    protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    connection.sendall(protocol.send(wsproto.events.Request(host="127.0.0.1", target="/", subprotocols=["bearer"])))
    while True:
        protocol.receive_data(connection.recv(65536))
        for event in protocol.events():
            if isinstance(event, TextMessage):
                json.loads(event.data)
                received.append(1)


def websockets(port: int, received: list[int]) -> None:
    connection = Socket.open(f"ws://127.0.0.1:{port}", token=TOKEN)
    while True:
        for text in connection.receive(600):
            json.loads(text)
            received.append(1)


def locust_user(port: int) -> tuple[Callable[[], None], Callable[[], int]]:
    """Return the load test's browser with Locust's own statistics behind its rows, and how many came."""
    from locust.env import Environment

    from loadtests.swarm.options import Options
    from loadtests.swarm.station import Station
    from loadtests.swarm.watcher import Watcher

    environment = Environment()
    environment.create_local_runner()
    station = Station(environment.events.request.fire)
    unused = dict.fromkeys(Options.__slots__)
    url, issuer = f"ws://127.0.0.1:{port}", Minting("a-secret-of-more-than-thirty-two-bytes")
    given = {"ws_urls": (url,), "issuer": issuer, "users": ("7",), "admins": (), "back_off": 1.0, "verify": True}
    station.play(Options(**{**unused, **given}))  # type: ignore[arg-type]

    def run() -> None:
        Watcher(station, "7", admin=False, dice=random.Random()).watch()

    def counted() -> int:
        entry = environment.stats.entries
        return sum(row.num_requests for (_, kind), row in entry.items() if kind in {"WS", "deliver"})

    return run, counted


def client(kind: str, port: int) -> tuple[Callable[[], None], Callable[[], int]]:
    """Return what a greenlet does, and how many messages have come to all of them."""
    kinds = {"websocket-client": websocket_client, "wsproto": ws_proto, "websockets": websockets}
    if kind not in kinds:
        return locust_user(port)
    received: list[int] = []
    return lambda: kinds[kind](port, received), lambda: len(received)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    for name in ("port", "connections", "rounds"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    run, count = client(options.kind, options.port)
    gevent.spawn(lambda: None).join()
    memory, cpu = pss_kib([os.getpid()]), time.process_time()
    greenlets = []
    for number in range(options.connections):
        greenlets.append(gevent.spawn(run))
        if number % 50 == 49:  # the listener's queue is finite
            _until(lambda number=number: count() >= number - 500)  # type: ignore[misc]
    _until(lambda: count() >= options.connections)
    connect = time.process_time() - cpu
    grown = pss_kib([os.getpid()]) - memory
    cpu = time.process_time()
    print("ready", flush=True)
    _until(lambda: count() >= options.connections * (options.rounds + 1))
    message = (time.process_time() - cpu) / (options.connections * options.rounds)
    figures = {"memory": grown, "connect": connect * 1e3}
    each = {name: value / options.connections for name, value in figures.items()}
    print(json.dumps({**each, "message": message * 1e6}), flush=True)
    sys.stdin.read()


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        gevent.sleep(0.02)


if __name__ == "__main__":
    main()
