"""Single resources asked of the API server by who does not watch them, so few that no caller can make it a burden."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka_consumer_scaler.control.ports import BodySource, Clock
from kafka_consumer_scaler.core.snapshot import Unknown

KEPT_SECONDS = 5.0
"""How long an answer serves all who ask for the resource; that there is none is an answer too."""
AT_ONCE = 4
"""The election asks by the same ten connections."""
A_SECOND = 20
TOO_MANY = Unknown("too many resources are asked for at once")

Body = Mapping[str, Any] | Unknown | None


@dataclass(frozen=True, slots=True)
class _Kept:
    asked_at: float
    answer: asyncio.Task[Body]

    def serves(self, now: float) -> bool:
        """Whether nobody need ask again: it is fresh, or still under way."""
        return not self.answer.done() or now - self.asked_at < KEPT_SECONDS


@dataclass(slots=True, eq=False)
class LookUps:
    """Questions to `source`, each answer shared by all who ask within `KEPT_SECONDS`.

    At most `AT_ONCE` are under way and `A_SECOND` begin in a second, whatever names are asked for. So no more than
    100 answers, and those under way, are ever kept.
    """

    source: BodySource
    clock: Clock
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)
    _begun: deque[float] = field(default_factory=lambda: deque(maxlen=A_SECOND))

    async def body(self, namespace: str, name: str) -> Body:
        """The resource, None when there is none, Unknown when that cannot be learned now. Never raises."""
        now = self.clock.now()
        self._kept = {key: kept for key, kept in self._kept.items() if kept.serves(now)}
        if (namespace, name) not in self._kept:
            if self._is_busy(now):
                return TOO_MANY
            self._begun.append(now)
            question = asyncio.create_task(self.source.body(namespace, name))
            self._kept[namespace, name] = _Kept(now, question)
        return await asyncio.shield(self._kept[namespace, name].answer)

    def _is_busy(self, now: float) -> bool:
        under_way = sum(not kept.answer.done() for kept in self._kept.values())
        in_a_second = len(self._begun) == A_SECOND and now - self._begun[0] < 1
        return under_way >= AT_ONCE or in_a_second
