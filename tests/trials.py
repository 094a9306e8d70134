"""Comparisons of times on a machine that may stand still: made again, since what is wrong is wrong each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")
TRIALS = 4


def in_one_of_several_trials(trial: Callable[[], Answer]) -> Answer:
    """The answer of the first trial that does not fail; the failure of the last one."""
    for _ in range(TRIALS - 1):
        try:
            return trial()
        except AssertionError:
            continue
    return trial()


async def awaited_in_one_of_several_trials(trial: Callable[[], Awaitable[Answer]]) -> Answer:
    """The same for a trial that is awaited."""
    for _ in range(TRIALS - 1):
        try:
            return await trial()
        except AssertionError:
            continue
    return await trial()
