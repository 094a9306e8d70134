"""An event loop whose time jumps to the next timer once nothing else is left to do.

A test of hours takes no time, and a machine that stands still changes nothing. Only for what asks nobody outside of the
loop: no threads, no processes, no network.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Skipping(selectors.SelectSelector):
    """Waits for nothing, and adds up what it did not wait."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        found = super().select(0 if timeout else timeout)
        if timeout and timeout > 0 and not found:
            self.skipped += timeout
        return found


class VirtualTime(asyncio.SelectorEventLoop):
    """The loop. Its time begins at 0."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped


class LoopClock:
    """A clock by the running loop's time."""

    def now(self) -> float:
        return 1_700_000_000.0 + asyncio.get_running_loop().time()
