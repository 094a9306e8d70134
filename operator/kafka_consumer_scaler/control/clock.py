"""The operator's clock."""

from __future__ import annotations

import time


class SteadyClock:
    """Seconds since the epoch as read once at the start, carried on by the monotonic clock.

    A step of the machine's clock moves nothing: no window is cut short and no cooldown is skipped.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """The time."""
        return self._offset + time.monotonic()
