"""One polling process, from its start to its end: what it is asked, what it answers, what it says on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from kafka_consumer_scaler.kafka.protocol import HEADER_BYTES, body_length, frame

log = logging.getLogger("kafka_consumer_scaler.kafka")

STOP_SECONDS = 5.0
LINES_PER_MINUTE = 60
NO_ANSWER = "the polling process sent what is no answer: %s"


class Child:
    """A child process that answers questions."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._served = asyncio.create_task(self._serve(), name="polling-process")
        self.has_answered = False

    @classmethod
    async def started(cls, command: Sequence[str]) -> Child:
        """Start one. Raises OSError when the command can't be run."""
        # A session of its own: a terminal's ^C is for the operator, which then stops the child in order.
        # Two malloc arenas: the client has several threads for each broker, and an arena for each is wasted memory.
        env = {"MALLOC_ARENA_MAX": "2", **os.environ}
        return cls(await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, env=env
        ))  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.returncode

    async def ask(self, question: Mapping[str, Any], patience_seconds: float) -> Any | None:
        """Its answer; None when it died. Raises TimeoutError when none came in time."""
        number = next(self._ids)
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        if self._served.done():
            answer.set_result(None)
        try:
            self.send({"id": number, **question})
            # Not wait_for: in Python 3.11 a cancellation at the moment of the answer is lost in it.
            async with asyncio.timeout(patience_seconds):
                return await answer
        finally:
            self._pending.pop(number, None)

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell it something."""
        # A write to a dead child is dropped by asyncio; its supervisor answers for it. What waits in the buffer of a
        # hung child is bounded by the polls that it has not answered.
        if self._process.stdin:
            self._process.stdin.write(frame(message))

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end, no longer than that; whether it came."""
        await asyncio.wait([self._served], timeout=seconds)
        return self._served.done()

    async def retire(self) -> None:
        """Let it answer what it was asked, then end it."""
        while self._pending:
            await asyncio.wait(list(self._pending.values()))
            await asyncio.sleep(0)  # whoever asked takes his answer away
        await self.end()

    async def end(self) -> None:
        """End it, in order or, after 5 seconds, by force. What it was asked is answered None."""
        if self._process.stdin:
            self._process.stdin.close()
        if not await self.ends_within(STOP_SECONDS):
            self.kill()
            await asyncio.wait([self._served])

    def kill(self) -> None:
        """End it by force."""
        # Not `Process.kill()`, which looks first whether it has ended, and so takes its status from who waits for it.
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _serve(self) -> None:
        """Hand out answers until it is dead."""
        lines = asyncio.create_task(_log_lines(self._process.stderr))
        try:
            await self._receive(self._process.stdout)
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            log.warning(NO_ANSWER, problem)
        self.kill()
        await self._process.wait()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_result(None)
        await lines

    async def _receive(self, stdout: asyncio.StreamReader | None) -> None:
        assert stdout  # noqa: S101  a pipe, by `started`
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                answer = json.loads(await stdout.readexactly(body_length(await stdout.readexactly(HEADER_BYTES))))
                self.has_answered = True
                waiting, said = self._pending.get(answer["id"]), answer["answer"]
                if not isinstance(said, list | dict):
                    raise ValueError("neither a list nor an object")
                if waiting and not waiting.done():
                    waiting.set_result(said)


async def _log_lines(stderr: asyncio.StreamReader | None) -> None:
    """Pass on what the child says on stderr, at most so many lines a minute; the rest is counted."""
    assert stderr  # noqa: S101  a pipe, by `started`
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
