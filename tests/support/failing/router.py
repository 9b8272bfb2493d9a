"""A router that fails where it publishes, payload and secrets in hand: ``python -m tests.support.failing.router``."""

from __future__ import annotations

import os
import sys
from typing import Any

from pydantic import TypeAdapter


async def publish(self: object, orders: list[Any]) -> None:
    try:
        TypeAdapter(dict[str, int]).validate_json(orders[0].message.payload + b"}")
    except ValueError as exc:
        raise RuntimeError(f"with {os.environ['ROUTER_API_KEYS']} and {os.environ['JWT_SECRET']}") from exc


if __name__ == "__main__":
    from router.__main__ import main
    from router.publisher import Publisher

    Publisher.publish = publish  # type: ignore[method-assign, assignment]
    sys.exit(main())
