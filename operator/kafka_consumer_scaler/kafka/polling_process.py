"""The operator's side of the polling process: starts it, asks it, and starts it again when it dies or hangs.

The Kafka client is C code with known crashes and hangs (librdkafka #5040: OffsetFetch while a coordinator moves). In a
process of its own such a crash costs one sample of each group, and the operator, which holds while it does not know,
lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas
from kafka_consumer_scaler.kafka.protocol import (
    HEADER_BYTES,
    body_length,
    changes_as_json,
    entities_as_json,
    found_from_json,
    frame,
    query_as_json,
    quotas_from_json,
    samples_from_json,
)
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample

T = TypeVar("T")

log = logging.getLogger("kafka_consumer_scaler.kafka")

COMMAND = (sys.executable, "-P", "-X", "faulthandler", "-m", "kafka_consumer_scaler.kafka.polling_child")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
STOP_SECONDS = 5.0
LINES_PER_MINUTE = 60
NO_ANSWER = "the polling process sent what is no answer: %s"


class PollingProcess:
    """Polls all clusters in one supervised child process.

    Args:
        command: the child's command line.
        hang_seconds: an answer this much later than its deadline will not come; the child is killed.
    """

    def __init__(self, command: Sequence[str] = COMMAND, hang_seconds: float = 10.0) -> None:
        self._command, self._hang_seconds = command, hang_seconds
        self._process: Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._lines: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the child and its supervision. Raises OSError when the command can't be run."""
        self._process = await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(self._process), name="polling-process")

    async def stop(self) -> None:
        """End the child, in order or, after 5 seconds, by force. Polls under way are answered Unknown."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        process, self._process = self._process, None
        if process:
            await _end(process)
        self._answer_pending()

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
        if self._process is None:
            return _unknown("the polling process died and is being started again")
        request_id, process = next(self._ids), self._process
        patience_seconds = deadline_seconds + self._hang_seconds
        answer = self._pending[request_id] = asyncio.get_running_loop().create_future()
        message = {"id": request_id, "connection": connection.as_json(), "deadline": deadline_seconds, **asked}
        try:
            self._send(process, message)
            said = await asyncio.wait_for(answer, patience_seconds)
        except TimeoutError:
            log.warning("the polling process did not answer within %.0f s: killing it", patience_seconds)
            _kill(process)
            return _unknown("the polling process hung and was killed")
        finally:
            self._pending.pop(request_id, None)
        if said is None:
            return _unknown("the polling process died during the poll")
        return self._understood(process, said, read)

    def _understood(self, process: Process, said: Any, read: Callable[[Any], T]) -> T | Unknown:
        """What was said; a child that sends what is no answer is not trusted with another question."""
        try:
            return read(said)
        except ValueError as problem:
            log.warning(NO_ANSWER, problem)
            _kill(process)
            return _unknown("the polling process sent what is no answer")

    def forget(self, connection: Connection) -> None:
        """No resource uses this cluster any more: let its client go."""
        if self._process:
            self._send(self._process, {"connection": connection.as_json()})

    def _send(self, process: Process, message: Mapping[str, Any]) -> None:
        # A write to a dead child is dropped by asyncio; its supervisor answers for it. What waits in the buffer of a
        # hung child is bounded by the polls that it has not answered.
        if process.stdin:
            process.stdin.write(frame(message))

    async def _supervise(self, process: Process) -> None:
        while True:
            await self._serve(process)
            self._process = None
            self._answer_pending()
            log.warning("the polling process ended with status %s", process.returncode)
            self._process = process = await self._restarted()

    async def _serve(self, process: Process) -> None:
        """Hand out answers until the child is dead."""
        self._lines = asyncio.create_task(_log_lines(process.stderr))
        try:
            await self._receive(process.stdout)
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            log.warning(NO_ANSWER, problem)
        _kill(process)
        await process.wait()
        await self._lines

    async def _receive(self, stdout: asyncio.StreamReader | None) -> None:
        assert stdout  # noqa: S101  a pipe, by `_spawn`
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                answer = json.loads(await stdout.readexactly(body_length(await stdout.readexactly(HEADER_BYTES))))
                self._pause_seconds = FIRST_PAUSE_SECONDS
                waiting, said = self._pending.get(answer["id"]), answer["answer"]
                if not isinstance(said, list | dict):
                    raise ValueError("neither a list nor an object")
                if waiting and not waiting.done():
                    waiting.set_result(said)

    def _answer_pending(self) -> None:
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_result(None)

    async def _restarted(self) -> Process:
        """A new child, after a pause that doubles until a child has answered a poll."""
        while True:
            await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            self.restarts += 1
            try:
                return await self._spawn()
            except OSError as problem:
                log.error("the polling process can't be started: %s", problem)

    async def _spawn(self) -> Process:
        # A session of its own: a terminal's ^C is for the operator, which then stops the child in order.
        # Two malloc arenas: the client has several threads for each broker, and an arena for each is wasted memory.
        env = {"MALLOC_ARENA_MAX": "2", **os.environ}
        return await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, env=env
        )


def _unknown(why: str) -> Unknown:
    return Unknown(why, Reason.POLLING_PROCESS_DIED)


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _end(process: Process) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        _kill(process)
        await process.wait()


async def _log_lines(stderr: asyncio.StreamReader | None) -> None:
    """Pass on what the child says on stderr, at most so many lines a minute; the rest is counted."""
    assert stderr  # noqa: S101  a pipe, by `_spawn`
    minute, lines = 0.0, 0
    async for line in _lines_of(stderr):
        if time.monotonic() - minute >= 60:
            if lines > LINES_PER_MINUTE:
                log.warning("polling process: %d lines were left out", lines - LINES_PER_MINUTE)
            minute, lines = time.monotonic(), 0
        lines += 1
        if lines <= LINES_PER_MINUTE:
            log.warning("polling process: %s", line)


async def _lines_of(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the reader's buffer, which drops it
            continue
        if not line:
            return
        yield line.decode(errors="replace").rstrip()
