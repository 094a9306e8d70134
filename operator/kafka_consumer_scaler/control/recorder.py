"""The last looks at each resource, kept for whoever wants to replay them. Off unless the operator is told a number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from kafka_consumer_scaler.api.snapshots import Look, look_to_json


class Recorder:
    """The newest `most` looks at each resource, by uid; 0 keeps none.

    Looks are values that are shared with the history and never copied; lines are only made when they are asked for.
    """

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._looks: dict[str, deque[Look]] = {}

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._most > 0

    def record(self, uid: str, look: Look) -> None:
        """Keep the look. A second look at the same snapshot takes the place of the first."""
        if not self.is_on:
            return
        ring = self._looks.setdefault(uid, deque(maxlen=self._most))
        if ring and ring[-1].snapshot is look.snapshot:
            ring.pop()
        ring.append(look)

    def forget(self, uid: str) -> None:
        """The resource is gone, or watches another group from now on."""
        self._looks.pop(uid, None)

    def looks(self, uid: str) -> tuple[Look, ...]:
        """The looks kept, oldest first."""
        return tuple(self._looks.get(uid, ()))

    def lines(self, uid: str) -> Iterator[str]:
        """The looks kept up to now as JSON lines, oldest first; the first one carries the memory."""
        for number, look in enumerate(self.looks(uid)):
            yield look_to_json(look, with_memory=number == 0) + "\n"
