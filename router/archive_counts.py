"""What a router does for the inbox, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ArchiveCounts:
    """All zero where there is no inbox.

    Attributes:
        archived: events written.
        repeated: events that had been in the inbox before.
        set_aside: events that the database will not have, or that nobody can read.
        given_up: events that the bound of the archive cost.
        removed: notifications whose time was over, or that were old.
        failures: batches that the database did not take.
        lag: seconds from publish to commit, of the last batch's oldest event.
        away: whether the database is away.
    """

    archived: int = 0
    repeated: int = 0
    set_aside: int = 0
    given_up: int = 0
    removed: int = 0
    failures: int = 0
    lag: float = 0.0
    away: bool = False
