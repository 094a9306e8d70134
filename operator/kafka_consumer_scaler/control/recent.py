"""Answers that are kept for a moment, so that many who ask for the same thing cost one question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class Recent(Generic[Key, Answer]):
    """Who asks while an answer is under way waits for it; who asks within `seconds` of it gets the same.

    Args:
        ask: the question itself; must not raise.
        now: seconds.
    """

    def __init__(
        self, ask: Callable[[Key], Coroutine[Any, Any, Answer]], seconds: float, now: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._now = now
        self._asked: dict[Key, asyncio.Task[Answer]] = {}
        self._asked_at: dict[Key, float] = {}

    async def get(self, key: Key) -> Answer:
        """The answer."""
        if key not in self._asked or self._is_old(key):
            self._forget_the_old()
            self._asked[key] = asyncio.create_task(self._ask(key))
            self._asked_at[key] = self._now()
        return await asyncio.shield(self._asked[key])

    def _is_old(self, key: Key) -> bool:
        return self._asked[key].done() and self._now() - self._asked_at[key] >= self._seconds

    def _forget_the_old(self) -> None:
        for key in [key for key in self._asked if self._is_old(key)]:
            del self._asked[key], self._asked_at[key]
