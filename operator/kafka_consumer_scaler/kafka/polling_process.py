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
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.protocol import query_as_json, samples_from_json
from kafka_consumer_scaler.kafka.recycling import Growth, Recycling, resident_bytes
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from kafka_consumer_scaler.kafka.supervised_child import NO_ANSWER, Child

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
        if self._child is None:
            return _unknown(queries, "the polling process died and is being started again")
        child, patience_seconds = self._child, deadline_seconds + self._hang_seconds
        try:
            samples = await child.ask(_question(connection, queries, deadline_seconds), patience_seconds)
        except TimeoutError:
            log.warning("the polling process did not answer within %.0f s: killing it", patience_seconds)
            child.kill()
            return _unknown(queries, "the polling process hung and was killed")
        if samples is None:
            return _unknown(queries, "the polling process died during the poll")
        return _understood(child, samples, queries)

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


def _question(connection: Connection, queries: Sequence[GroupQuery], deadline_seconds: float) -> dict[str, Any]:
    asked = [query_as_json(query) for query in queries]
    return {"connection": connection.as_json(), "queries": asked, "deadline": deadline_seconds}


def _understood(child: Child, samples: list[Any], queries: Sequence[GroupQuery]) -> list[GroupSample]:
    """The samples; a child that sends what is no answer is not trusted with another question."""
    try:
        return samples_from_json(samples, len(queries))
    except ValueError as problem:
        log.warning(NO_ANSWER, problem)
        child.kill()
        return _unknown(queries, "the polling process sent what is no answer")


def _unknown(queries: Sequence[GroupQuery], why: str) -> list[GroupSample]:
    return [GroupSample.unknown(Unknown(why, Reason.POLLING_PROCESS_DIED)) for _ in queries]
