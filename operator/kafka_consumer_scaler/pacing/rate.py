"""What is followed, and where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be sent; infinity where there is no limit. Raises ValueError for a negative one, or NaN.

    Args:
        records: records/s.
        bytes: bytes/s, of records as the broker stores them: compressed, with their share of the batch's header.
    """

    records: float = math.inf
    bytes: float = math.inf

    def __post_init__(self) -> None:
        if not (self.records >= 0 and self.bytes >= 0):
            raise ValueError(f"a limit must be 0 or more, not {self.records} and {self.bytes}")

    def of(self, share: float) -> Limit:
        """A share of it."""
        return Limit(self.records * share, self.bytes * share)


UNLIMITED = Limit()


class Origin(StrEnum):
    """Where a rate comes from."""

    PUBLISHED = "published"
    """The endpoint told it, and it is valid still."""
    LAST_KNOWN = "last known"
    """The endpoint told it; it is valid no more, and no newer one could be had."""
    CONFIGURED = "configured"
    """Nothing is known, or not any more: the limit that the program was given for this."""
    UNLIMITED = "unlimited"
    """The same, and the program was given none."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a producer is to follow now.

    `reason` is the operator's own phrase, or why nothing is known. `is_lower_bound`: the group can do at least this,
    and nothing has shown its limit yet. `is_throttling`: brokers hold producers to a quota too.
    """

    limit: Limit
    origin: Origin
    reason: str
    is_lower_bound: bool = False
    is_throttling: bool = False
