"""How long Redis took to answer, by command; scripts by their names."""

from __future__ import annotations

from typing import Final

from shared.metrics import COMMAND, Buckets

Name = bytes | str | int | float  # a command's first word, or a script's SHA-1
LOST: Final = "connection_lost"

# Errors with a label value of their own; all others share one, since their number is not bounded.
_KNOWN_ERRORS: Final = frozenset({"NOSCRIPT", "OOM", "READONLY", "MISCONF", "LOADING", "BUSY", "NOPERM", "WRONGTYPE"})


class CommandTimes:
    """Seconds from the moment a command was given to its answer, over all of a process's connections.

    A command that waits for the batch before it waits here too: this is what a caller waits for.

    Args:
        scripts: names by SHA-1.
    """

    def __init__(self, scripts: dict[bytes, str]) -> None:
        self._scripts = scripts
        self._answered: dict[Name, Buckets] = {}
        # By OpenTelemetry's names: db.operation.name, db.stored_procedure.name, error.type.
        self.series: dict[tuple[str, str, str], Buckets] = {}

    def answered(self, name: Name, seconds: float) -> None:
        """Count a command that was answered without an error."""
        buckets = self._answered.get(name)
        if buckets is None:
            buckets = self._answered[name] = self._series(name, "")
        buckets.add(seconds)

    def failed(self, name: Name, seconds: float, error: str) -> None:
        """Count a command that was refused, with Redis's words, or never answered (``LOST``)."""
        word = error.partition(" ")[0]
        self._series(name, word if word == LOST or word in _KNOWN_ERRORS else "ERR").add(seconds)

    def _series(self, name: Name, error: str) -> Buckets:
        script = self._scripts.get(name) if isinstance(name, bytes) else None
        operation = "EVALSHA" if script is not None else _text(name)
        return self.series.setdefault((operation, script or "", error), Buckets(COMMAND))


def _text(name: Name) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def name_of(args: tuple[Name, ...]) -> Name:
    """Return what a command is counted under: its first word, of a script call the script's SHA-1."""
    return args[1] if args[0] == b"EVALSHA" else args[0]
