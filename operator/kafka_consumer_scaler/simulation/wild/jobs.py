"""Records that take seconds to minutes each: processed one at a time, committed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kafka_consumer_scaler.simulation.wild.log import ROUNDING, Log


@dataclass(slots=True)
class Jobs:
    """Progress on the current record of each partition, in seconds of work.

    A consumer processes the oldest record of its partitions to the end. If a partition moves to another consumer, its
    current record is restarted.

    Args:
        seconds: processing time of one record.
    """

    seconds: float
    _worked: dict[int, float] = field(default_factory=dict)

    def work(self, log: Log, work: Sequence[Sequence[int]], factor: float) -> list[int]:
        """Let each consumer work for one second at `factor` of its speed; return the partitions that advanced."""
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
        """Restart the current records of these partitions."""
        for place in partitions:
            self._worked.pop(place, None)

    def _next(self, log: Log, partitions: Sequence[int], ready: np.ndarray) -> int | None:
        """The partition whose record is in progress, otherwise the one with the oldest record."""
        begun = next((place for place in partitions if place in self._worked), None)
        if begun is not None:
            return begun
        waiting = [place for place in partitions if ready[place] >= 1]
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        return waiting[int(np.argmax(log.ages(np.array(waiting, dtype=np.intp))))]
