"""What a Lease says, and what asking for it may answer with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

RELEASED_SECONDS = 1
"""The duration that a holder leaves behind when it lets go: a Lease that was merely emptied is not released."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The words of a Lease.

    Args:
        holder: the identity of who leads; empty for nobody.
        seconds: so long others wait after they last saw it change.
        acquired, renewed: stamps of the holder's wall clock, for people; only ever compared for equality.
        transitions: how many times it was acquired.
    """

    holder: str
    seconds: int
    acquired: str
    renewed: str
    transitions: int

    @property
    def is_released(self) -> bool:
        """Whether its last holder let go, with all writing done."""
        return not self.holder and self.seconds == RELEASED_SECONDS

    def is_same_term(self, other: Claim) -> bool:
        """Whether both were written by one holder in one term: all but the renewals are equal."""
        mine, theirs = (self.holder, self.acquired, self.transitions), (other.holder, other.acquired, other.transitions)
        return mine == theirs


@dataclass(frozen=True, slots=True)
class Found:
    """A Lease as the API server has it; `version` changes with every write, also when it is deleted and made anew."""

    claim: Claim
    version: str


class Missing(Enum):
    """Answers without a Lease: there is none, or it is not the one that was to be changed (or made) any more."""

    ABSENT = auto()
    CONFLICT = auto()
