"""The polling process: reads requests on stdin, answers on stdout, and keeps one thread for each Kafka cluster.

A cluster whose quotas are asked about has a second thread for that, on which no poll waits.

It ends when its stdin ends, whatever its threads are doing, so it can't outlive the operator.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, BinaryIO, TypeVar

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Change, Entity
from kafka_consumer_scaler.kafka.lag_source import LagSource
from kafka_consumer_scaler.kafka.protocol import (
    HEADER_BYTES,
    body_length,
    changes_from_json,
    entities_from_json,
    found_as_json,
    frame,
    query_from_json,
    quotas_as_json,
    sample_as_json,
)
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample

T = TypeVar("T", bound=threading.Thread)


@dataclass(frozen=True, slots=True)
class Poll:
    """One request; `expires` is of the monotonic clock, so time spent waiting for the thread counts."""

    id: int
    queries: list[GroupQuery]
    expires: float


class Answers:
    """Where all threads write their frames, one at a time."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def send(self, request_id: int, samples: list[GroupSample]) -> None:
        """Write the answer to a poll."""
        self.send_json(request_id, [sample_as_json(sample) for sample in samples])

    def send_json(self, request_id: int, answer: Any) -> None:
        """Write one answer. Without an operator to read it there is nothing left to do, and the process ends."""
        message = frame({"id": request_id, "answer": answer})
        try:
            with self._lock:
                self._pipe.write(message)
                self._pipe.flush()
        except OSError:
            os._exit(0)


class ClusterThread(threading.Thread):
    """Polls one cluster, one request after the other, so that a slow cluster delays no other."""

    def __init__(self, connection: Connection, answers: Answers) -> None:
        super().__init__(daemon=True)
        self.requests: SimpleQueue[Poll | None] = SimpleQueue()
        self._connection, self._answers = connection, answers
        self._source: LagSource | None = None

    def run(self) -> None:
        while (poll := self.requests.get()) is not None:
            self._answers.send(poll.id, self._poll(poll))
        self._source = None  # the client ends here, with its own threads

    def _poll(self, poll: Poll) -> list[GroupSample]:
        left = poll.expires - time.monotonic()
        if left <= 0:
            return _unknown(poll, f"the poll before this one of {self._connection.bootstrap_servers} took all its time")
        try:
            self._source = self._source or LagSource(self._connection)
            return self._source.poll(poll.queries, left)
        except Exception as problem:  # one cluster's surprise must not silence the others
            said = self._connection.without_secrets(f"{type(problem).__name__}: {problem}")
            return _unknown(poll, f"polling failed: {said}")


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """A question about quotas, or changes of them; `expires` as a poll's."""

    id: int
    ask: Sequence[Entity]
    change: Sequence[Change]
    expires: float

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> QuotaRequest:
        """The request that the message is."""
        asked, changes = (message["quotas"].get(kind, ()) for kind in ("ask", "change"))
        expires = time.monotonic() + message["deadline"]
        return cls(message["id"], entities_from_json(asked), changes_from_json(changes), expires)

    def answered(self, connection: Connection) -> Any:
        """The answer, as JSON has it. kafka-python is loaded for the first one."""
        from kafka_consumer_scaler.kafka import quotas

        if self.change:
            return found_as_json(quotas.change(connection, self.change, self.expires))
        return quotas_as_json(quotas.describe(connection, self.ask, self.expires))


class QuotaThread(threading.Thread):
    """Asks one cluster about its quotas, and changes them, one request after the other."""

    def __init__(self, connection: Connection, answers: Answers) -> None:
        super().__init__(daemon=True)
        self.requests: SimpleQueue[QuotaRequest | None] = SimpleQueue()
        self._connection, self._answers = connection, answers

    def run(self) -> None:
        while (request := self.requests.get()) is not None:
            self._answers.send_json(request.id, request.answered(self._connection))


def _unknown(poll: Poll, why: str) -> list[GroupSample]:
    return [GroupSample.unknown(Unknown(why)) for _ in poll.queries]


def serve(requests: BinaryIO, answers: Answers) -> None:
    """Hand each request to its cluster's thread until the pipe ends."""
    pollers: dict[Connection, ClusterThread] = {}
    others: dict[Connection, QuotaThread] = {}
    for message in messages(requests):
        connection = Connection.from_json(message["connection"])
        if "queries" in message:
            _thread_of(connection, pollers, ClusterThread, answers).requests.put(_poll_of(message))
        elif "quotas" in message:
            _thread_of(connection, others, QuotaThread, answers).requests.put(QuotaRequest.of(message))
        else:
            for thread in (pollers.pop(connection, None), others.pop(connection, None)):
                if thread is not None:
                    thread.requests.put(None)


def messages(pipe: BinaryIO) -> Iterator[dict[str, Any]]:
    """The requests, until the pipe ends."""
    while len(header := pipe.read(HEADER_BYTES)) == HEADER_BYTES:
        body = pipe.read(length := body_length(header))
        if len(body) < length:  # the operator died while it wrote
            return
        yield json.loads(body)


def _thread_of(
    connection: Connection, threads: dict[Connection, T], kind: Callable[[Connection, Answers], T], answers: Answers
) -> T:
    if connection not in threads:
        threads[connection] = kind(connection, answers)
        threads[connection].start()
    return threads[connection]


def _poll_of(message: Mapping[str, Any]) -> Poll:
    queries = [query_from_json(values) for values in message["queries"]]
    return Poll(message["id"], queries, time.monotonic() + message["deadline"])


def main() -> None:
    """Serve until stdin ends. Signals to the whole process group are for the operator, who then closes our stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break a frame
    serve(sys.stdin.buffer, Answers(answers))
    os._exit(0)  # a thread that hangs in the library would keep us


if __name__ == "__main__":
    main()
