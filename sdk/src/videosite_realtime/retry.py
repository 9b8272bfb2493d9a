"""When to try again, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Jittered exponential back-off within a deadline. All in seconds.

    Attributes:
        deadline: from the first attempt to giving up; no attempt begins after it, none waits for an answer beyond it.
        attempt_timeout: how long one attempt waits for an answer.
        connect_timeout: how long one attempt waits for a connection; the last one may exceed the deadline by it.
        first_delay: the first wait is half of it to all of it, every further one twice as long.
        longest_delay: beyond which waits grow no further, unless the router's ``Retry-After`` asks for more.
    """

    deadline: float = 30.0
    attempt_timeout: float = 10.0
    connect_timeout: float = 3.0
    first_delay: float = 0.2
    longest_delay: float = 5.0

    def delay(self, failures: int, retry_after: float, jitter: float) -> float:
        """Return how long to wait after so many failures.

        Args:
            failures: at least 1.
            retry_after: what the router asked for; 0 if nothing. Never undercut, and exceeded a little, for others
                were told the same second.
            jitter: 0 to 1, at random.
        """
        backoff = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 30))
        return max(backoff * (1 + jitter) / 2, retry_after + jitter * self.first_delay if retry_after else 0)


DEFAULT_RETRY: Final = RetryPolicy()
