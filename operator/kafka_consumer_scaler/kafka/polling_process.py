"""The operator's side of the polling process: starts it, asks it, and replaces it when it dies, hangs or leaks.

The Kafka client is C code with known crashes and hangs (librdkafka #5040: OffsetFetch while a coordinator moves). In a
process of its own such a crash costs one sample of each group, and the operator, which holds while it does not know,
lives on. A leak costs nothing: the next child is there before the last one has answered what it was asked.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas
from kafka_consumer_scaler.kafka.protocol import (
    changes_as_json,
    entities_as_json,
    found_from_json,
    query_as_json,
    quotas_from_json,
    samples_from_json,
)
from kafka_consumer_scaler.kafka.recycling import Growth, Recycling, resident_bytes
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from kafka_consumer_scaler.kafka.supervised_child import NO_ANSWER, Child

T = TypeVar("T")

log = logging.getLogger("kafka_consumer_scaler.kafka")

COMMAND = (sys.executable, "-P", "-X", "faulthandler", "-m", "kafka_consumer_scaler.kafka.polling_child")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
NOT_STARTED = "the polling process can't be started: %s"


class PollingProcess:
    """Polls all clusters in one supervised child process.

    `restarts` counts children that followed one which died or was killed, `recycles` those that followed a leaking one.

    Args:
        command: the child's command line.
        hang_seconds: an answer this much later than its deadline will not come; the child is killed.
        recycling: when a child that has grown is replaced.
    """

    def __init__(
        self, command: Sequence[str] = COMMAND, hang_seconds: float = 10.0, recycling: Recycling | None = None
    ) -> None:
        self._command, self._hang_seconds, self._law = command, hang_seconds, recycling or Recycling()
        self._child: Child | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._retiring: dict[Child, asyncio.Task[None]] = {}
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._rested = time.monotonic()
        self.restarts = self.recycles = 0

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the child and its supervision. Raises OSError when the command can't be run."""
        self._child = await Child.started(self._command)
        self._supervisor = asyncio.create_task(self._supervise(self._child), name="polling-process-supervisor")

    async def stop(self) -> None:
        """End the child, in order or, after 5 seconds, by force. Polls under way are answered Unknown."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        for task in self._retiring.values():
            task.cancel()
        children = [*self._retiring, *([self._child] if self._child else [])]
        self._child = None
        await asyncio.gather(*(child.end() for child in children))

    async def poll(
        self, connection: Connection, queries: Sequence[GroupQuery], deadline_seconds: float
    ) -> list[GroupSample]:
        """A sample for each query, in the same order; POLLING_PROCESS_DIED for all when the child dies or hangs."""
        asked = [query_as_json(query) for query in queries]
        answer = await self._ask(connection, {"queries": asked}, deadline_seconds,
                                 lambda said: samples_from_json(said, len(queries)))
        return [GroupSample.unknown(answer) for _ in queries] if isinstance(answer, Unknown) else answer

    async def quotas(
        self, connection: Connection, entities: Sequence[Entity], deadline_seconds: float
    ) -> Quotas | Unknown:
        """What the cluster holds the entities to; Unknown also where we may not change it."""
        asked = {"quotas": {"ask": entities_as_json(entities)}}
        return await self._ask(connection, asked, deadline_seconds, lambda said: quotas_from_json(said, entities))

    async def change_quotas(
        self, connection: Connection, changes: Sequence[Change], deadline_seconds: float
    ) -> dict[Entity, Before]:
        """What each entity was held to before; the change was carried out if that was expected."""
        entities = [one.entity for one in changes]
        asked = {"quotas": {"change": changes_as_json(changes)}}
        answer = await self._ask(connection, asked, deadline_seconds, lambda said: found_from_json(said, entities))
        return dict.fromkeys(entities, answer) if isinstance(answer, Unknown) else answer

    async def _ask(
        self, connection: Connection, asked: Mapping[str, Any], deadline_seconds: float, read: Callable[[Any], T]
    ) -> T | Unknown:
        """The child's answer as `read` reads it; POLLING_PROCESS_DIED when the child dies or hangs."""
        if self._child is None:
            return _unknown("the polling process died and is being started again")
        child, patience_seconds = self._child, deadline_seconds + self._hang_seconds
        question = {"connection": connection.as_json(), "deadline": deadline_seconds, **asked}
        try:
            said = await child.ask(question, patience_seconds)
        except TimeoutError:
            log.warning("the polling process did not answer within %.0f s: killing it", patience_seconds)
            child.kill()
            return _unknown("the polling process hung and was killed")
        if said is None:
            return _unknown("the polling process died during the poll")
        return _understood(child, said, read)

    def forget(self, connection: Connection) -> None:
        """No resource uses this cluster any more: let its client go."""
        if self._child:
            self._child.send({"connection": connection.as_json()})

    async def _supervise(self, child: Child) -> None:
        growth = self._newborn()
        while True:
            if await child.ends_within(self._law.look_seconds):
                child = await self._restarted(child)
                growth = self._newborn()
            else:
                growth = growth.with_look(resident_bytes(child.pid), time.monotonic(), self._law)
                if growth.is_leak(time.monotonic(), self._law):
                    child, growth = await self._recycled(child, growth)
            self._child = child

    def _newborn(self) -> Growth:
        return Growth(time.monotonic(), self._rested)

    async def _recycled(self, child: Child, growth: Growth) -> tuple[Child, Growth]:
        """Another child, which is asked from now on; this one answers what it was asked, and ends."""
        self._rested = time.monotonic() + self._law.rest_seconds
        try:
            successor = await Child.started(self._command)
        except OSError as problem:
            log.error(NOT_STARTED, problem)
            return child, replace(growth, rested=self._rested)
        self.recycles += 1
        log.warning("the polling process has grown %s: another one takes its place", growth)
        self._retiring[child] = asyncio.create_task(child.retire(), name="polling-process-retiring")
        self._retiring[child].add_done_callback(lambda _: self._retiring.pop(child, None))
        return successor, self._newborn()

    async def _restarted(self, dead: Child) -> Child:
        """A new child, after a pause that doubles until a child has answered a poll."""
        self._child = None
        log.warning("the polling process ended with status %s", dead.status)
        if dead.has_answered:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            self.restarts += 1
            try:
                return await Child.started(self._command)
            except OSError as problem:
                log.error(NOT_STARTED, problem)


def _understood(child: Child, said: Any, read: Callable[[Any], T]) -> T | Unknown:
    """What was said; a child that sends what is no answer is not trusted with another question."""
    try:
        return read(said)
    except ValueError as problem:
        log.warning(NO_ANSWER, problem)
        child.kill()
        return _unknown("the polling process sent what is no answer")


def _unknown(why: str) -> Unknown:
    return Unknown(why, Reason.POLLING_PROCESS_DIED)
