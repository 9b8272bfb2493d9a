"""What can go wrong, under one root: ``str()`` is the one line that the terminal shows.

CliError
├── NotConfigured    an address or a secret is nowhere to be found
├── BadInput         what was typed cannot be used
├── Unreachable      nobody answers there
├── Refused          somebody answered: no
├── StoppedByNode    the node ended the live view for good
├── NoTraces         nobody here keeps traces
├── NotYet           what is asked for has not come, or will not
├── PortInUse        a port that `up` needs is taken
├── PartDied         a part of the local cluster ended by itself
└── PartNotReady     a part of the local cluster runs but does not become ready
"""

from __future__ import annotations

import os
import signal


class CliError(Exception):
    """Root of everything that ends a command with one line and exit status 1."""


class NotConfigured(CliError):
    """An address or a secret is nowhere to be found.

    Attributes:
        variable: the environment variable that would tell it.
        option: the option that would tell it.
    """

    def __init__(self, what: str, variable: str, option: str) -> None:
        self.what, self.variable, self.option = what, variable, option
        super().__init__(what, variable, option)

    def __str__(self) -> str:
        return f"no {self.what}: set {self.variable} or {self.option}, or start a cluster with `videosite-realtime up`"


class BadInput(CliError):
    """What was typed cannot be used; says which and why."""


class Unreachable(CliError):
    """Nobody answers there."""


class Refused(CliError):
    """Somebody answered: no."""


class StoppedByNode(CliError):
    """The node ended the live view for good; trying again unchanged would not help."""


class NoTraces(CliError):
    """Nobody here keeps traces."""


class NotYet(CliError):
    """What is asked for has not come, or will not."""


class PortInUse(CliError):
    def __init__(self, port: int, purpose: str, option: str, reason: str = "is in use") -> None:
        self.port, self.purpose, self.option, self.reason = port, purpose, option, reason
        super().__init__(port, purpose, option, reason)

    def __str__(self) -> str:
        return f"port {self.port} {self.reason}; it is wanted for {self.purpose}: choose another with {self.option}"


class PartDied(CliError):
    """A part of the local cluster ended by itself.

    Attributes:
        status: as ``Popen.returncode``; negative for the signal that ended it.
        last_words: the last line of its log.
    """

    def __init__(self, name: str, status: int, last_words: str) -> None:
        self.name, self.status, self.last_words = name, status, last_words
        super().__init__(name, status, last_words)

    def __str__(self) -> str:
        return f"{self.name} {_end(self.status)}; {_words(self.last_words)}"


class PartNotReady(CliError):
    """A part of the local cluster runs, but did not become ready in time."""

    def __init__(self, name: str, seconds: float, answer: str, last_words: str) -> None:
        self.name, self.seconds, self.answer, self.last_words = name, seconds, answer, last_words
        super().__init__(name, seconds, answer, last_words)

    def __str__(self) -> str:
        return f"{self.name} is not ready after {self.seconds:g} s: {self.answer}; {_words(self.last_words)}"


def reason(error: Exception) -> str:
    """Return why a connection did not come about, as the system words it: asyncio's own words repeat the address."""
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer in time"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else error.strerror or str(error)
    return str(error) or type(error).__name__


def _end(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _words(last: str) -> str:
    return f"its last log line: {last}" if last else "it logged nothing"
