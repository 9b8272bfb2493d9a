"""A node that cannot judge a token, and says so with the token in hand: ``python -m tests.support.failing.node``."""

from __future__ import annotations

import sys


async def verify(self: object, token: str) -> None:
    try:
        raise KeyError(token)
    except KeyError as exc:
        raise RuntimeError(f"Authorization: Bearer {token} came to nothing, in ?token={token}&x=1") from exc


if __name__ == "__main__":
    from node.__main__ import main
    from shared.auth import TokenVerifier

    TokenVerifier.verify = verify  # type: ignore[method-assign, assignment]
    sys.exit(main())
