"""Waiting for a state. The bound only ends a test that fails: no claim about speed rests on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SECONDS = 60.0


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return once it holds. Raises AssertionError after `seconds`."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, f"not within {seconds:g} s"
        time.sleep(0.01)


async def until(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """As `eventually`, for a loop that goes on meanwhile, by the loop's own time."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + seconds
    while not holds():
        assert loop.time() < limit, f"not within {seconds:g} s"
        await asyncio.sleep(0.005)
