"""Waiting for a state that must come: the bound ends a test that fails, and says nothing of speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

PATIENCE_SECONDS: Final = 180.0
"""How long a test waits for a state that must come. It costs nothing when the state comes, and a machine with much else
to do, or one that stands still for a while, keeps it. A law about time has a bound of its own."""
PATIENCE: Final = f"--timeout={PATIENCE_SECONDS:.0f}s"
"""The same for kubectl and helm."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.01, 0.3
"""Between two questions: half as long again each time, since some start a program."""


def eventually(done: Callable[[], Any], within_seconds: float = PATIENCE_SECONDS, what: str = "") -> Any:
    """The first true answer; an AssertionError with the last one when the time is over."""
    deadline, pause = time.monotonic() + within_seconds, SHORTEST_SECONDS
    while not (answer := done()):
        assert time.monotonic() < deadline, f"not within {within_seconds:.0f} s: {what or done}, last: {answer!r}"
        time.sleep(pause)
        pause = min(LONGEST_SECONDS, 1.5 * pause)
    return answer


async def until(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """As `eventually`, for a loop that goes on meanwhile, by the loop's own time."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + seconds
    while not holds():
        assert loop.time() < limit, f"not within {seconds:g} s"
        await asyncio.sleep(0.005)
