"""Counts of the archiver and the inbox's sweeper."""

from __future__ import annotations

from dataclasses import dataclass, field


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
        lags: by tag, for how many seconds the oldest event of the last batch has waited; of tags that have any, and
            that this router archives.
        refused: whether the database did not take events when it was last asked.
    """

    archived: int = 0
    repeated: int = 0
    set_aside: int = 0
    given_up: int = 0
    removed: int = 0
    failures: int = 0
    lags: dict[str, float] = field(default_factory=dict)
    refused: bool = False

    @property
    def lag(self) -> float:
        return max(self.lags.values(), default=0.0)

    @property
    def away(self) -> bool:
        """Whether the database does not accept the events that wait for it."""
        return self.refused and bool(self.lags)

    def nothing_waits(self, tag: str) -> None:
        """Note that nothing of a tag waits for this router: there is nothing, or another router archives it."""
        self.lags.pop(tag, None)
