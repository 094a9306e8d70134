"""Which events are posted and which are counted, so that users read the newest numbers and nobody drowns.

The API server lets nothing of a posted event change but its series (a count and a time): the note is immutable. So,
for events alike (same resource, type, reason and workload), within a window of 6 minutes:

1. the same note again counts up: `x3 over 4m`;
2. another note, with other numbers, is a new event;
3. but after 5 different notes, the next ones count up on the newest: at most 5 events in 6 minutes, 50 an hour;
4. except changes of replicas: every one of those is posted, since each is a change that was made.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kafka_consumer_scaler.core.reasons import Reason

WINDOW_SECONDS = 360.0
"""client-go ends a series after the same 6 minutes."""
NOTES_MAX = 5
ALWAYS_POSTED = frozenset({Reason.SCALED_UP, Reason.SCALED_DOWN})


@dataclass(frozen=True, slots=True)
class Likeness:
    """What events have in common that may be counted together."""

    uid: str
    warning: bool
    reason: Reason
    related: str


@dataclass(slots=True)
class Posted:
    """An event that exists: its name, its note, how often it was observed, and when (seconds since the epoch)."""

    name: str
    note: str
    first_at: float
    last_at: float
    count: int = 1


@dataclass(slots=True)
class SeriesBook:
    """The events of the last 6 minutes, by likeness; those who fell silent longest ago come first."""

    _posted: dict[Likeness, deque[Posted]] = field(default_factory=dict)

    def to_count_on(self, likeness: Likeness, note: str, at: float) -> Posted | None:
        """The event on which an observation counts up, or None where it is to be posted."""
        alike = [posted for posted in self._posted.get(likeness, ()) if at - posted.last_at < WINDOW_SECONDS]
        for posted in alike:
            if posted.note == note:
                return posted
        if likeness.reason in ALWAYS_POSTED:
            return None
        recent = [posted for posted in alike if at - posted.first_at < WINDOW_SECONDS]
        return recent[-1] if len(recent) >= NOTES_MAX else None

    def posted(self, likeness: Likeness, posted: Posted) -> None:
        """A new event exists."""
        self._forget_before(posted.last_at - WINDOW_SECONDS)
        notes = self._posted.pop(likeness, deque(maxlen=NOTES_MAX))
        notes.append(posted)
        self._posted[likeness] = notes

    def counted(self, likeness: Likeness, posted: Posted, at: float) -> None:
        """An observation was counted on an event."""
        posted.count += 1
        posted.last_at = at
        self._posted[likeness] = self._posted.pop(likeness)

    def lost(self, likeness: Likeness, posted: Posted) -> None:
        """An event was found to exist no more."""
        notes = self._posted.get(likeness)
        if notes and posted in notes:
            notes.remove(posted)

    def __len__(self) -> int:
        return len(self._posted)

    def _forget_before(self, at: float) -> None:
        """The dict is ordered by last use, so this takes only what it forgets."""
        while self._posted:
            likeness, notes = next(iter(self._posted.items()))
            if any(posted.last_at >= at for posted in notes):
                return
            del self._posted[likeness]
