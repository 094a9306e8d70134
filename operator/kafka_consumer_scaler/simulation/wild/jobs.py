"""Records that take a consumer seconds to minutes each: one at a time, committed when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kafka_consumer_scaler.simulation.wild.log import ROUNDING, Log


@dataclass(slots=True)
class Jobs:
    """What each partition's first record was worked on so far, in seconds.

    A consumer works on the oldest record of its partitions until it is done; a partition that changes hands has its
    record begun again.

    Args:
        seconds: how long a record takes.
    """

    seconds: float
    _worked: dict[int, float] = field(default_factory=dict)

    def work(self, log: Log, work: Sequence[Sequence[int]], factor: float) -> list[int]:
        """One second of work at `factor` of the speed, by each consumer; the partitions that moved on."""
        ready = np.floor(log.ready() - log.done + ROUNDING)
        moved: list[int] = []
        for partitions in work:
            left = factor
            while left > ROUNDING and (place := self._next(log, partitions, ready)) is not None:
                spent = min(left, self.seconds - self._worked.get(place, 0.0))
                left -= spent
                self._worked[place] = self._worked.get(place, 0.0) + spent
                if self._worked[place] >= self.seconds - ROUNDING:
                    del self._worked[place]
                    log.done[place] += 1.0
                    ready[place] -= 1.0
                    moved.append(place)
        return moved

    def drop(self, partitions: Iterable[int]) -> None:
        """The records that are worked on in these partitions have to be begun again."""
        for place in partitions:
            self._worked.pop(place, None)

    def _next(self, log: Log, partitions: Sequence[int], ready: np.ndarray) -> int | None:
        """The partition of the record that is begun, else of the oldest one."""
        begun = next((place for place in partitions if place in self._worked), None)
        if begun is not None:
            return begun
        waiting = [place for place in partitions if ready[place] >= 1]
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        return waiting[int(np.argmax(log.ages(np.array(waiting, dtype=np.intp))))]
