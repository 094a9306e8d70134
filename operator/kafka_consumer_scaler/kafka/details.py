"""What need not be asked at every poll: remembered here, with its age, and never waited for.

Open transactions show in two end offsets of a partition: the high watermark, up to which records are replicated, and
the last stable offset, at which a reader of committed records stops. Both are asked in one go, the high watermark
first, so that records which arrive in between do not look like a transaction: what is stable later is no less than what
was written before, unless a transaction is open. Worked: high watermark 90, ten records arrive, last stable offset 100:
nothing is told. With a transaction open since offset 70: 90 and 70, and 90 is told. Brokers do not promise the order,
and any transaction is open for a moment. So a high watermark means something only as "above the end", at several looks.

The bytes of a record are those in the logs over the offsets from their starts to their ends. That is a mean over all
that is kept, compressed as it is stored. Offsets without a record (those that compaction removed, and the ends of
transactions) make it smaller; records below a log start whose segment is still there make it larger. Offsets are read
first, at one poll and the next, and bytes in between, so offsets of that moment are interpolated: 2,000 and 6,000 five
seconds apart, bytes one second after the first: 2,800.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Generic, TypeVar

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.snapshot import Details, TopicPartition, Unknown
from kafka_consumer_scaler.kafka.admin import Place
from kafka_consumer_scaler.kafka.brokers import Told, ask
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.readings import Ends, Starts
from kafka_consumer_scaler.kafka.sample import GroupQuery

K = TypeVar("K")
V = TypeVar("V")

RECORD_BYTES_EVERY_SECONDS = 300.0
RETENTION_EVERY_SECONDS = 3600.0
CLEANUP_EVERY_SECONDS = 3600.0
THREAD = "broker-details"
FORGOTTEN_SECONDS = 2 * 3600.0
"""Twice the longest polling interval: what nobody has asked about for so long is no group's any more."""


class Remembered(Generic[K, V]):
    """Answers by key, each good for so many seconds. None is an answer too: nothing was told."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._said: dict[K, tuple[float, V | None]] = {}

    def due(self, keys: Collection[K], now: float) -> Collection[K]:
        """All of them when one was not asked about, or too long ago: one request asks about many as about one."""
        return keys if any(self._is_due(key, now) for key in keys) else ()

    def _is_due(self, key: K, now: float) -> bool:
        return key not in self._said or now - self._said[key][0] >= self._seconds

    def keep(self, answers: Mapping[K, V | None], at: float) -> None:
        """The answers to what was asked at a time."""
        kept = {key: said for key, said in self._said.items() if at - said[0] < FORGOTTEN_SECONDS}
        self._said = kept | {key: (at, said) for key, said in answers.items()}

    def told(self, keys: Iterable[K]) -> dict[K, V]:
        """What was told, newest or not; a new answer takes the place of an old one."""
        found = ((key, self._said[key][1]) for key in keys if key in self._said)
        return {key: said for key, said in found if said is not None}


class DetailsCache:
    """The details of one cluster. For one thread; brokers are asked for sizes and settings in another.

    Args:
        watermark_seconds: how often high watermarks are asked.
        ask_brokers: `brokers.ask`.
    """

    def __init__(
        self, connection: Connection, watermark_seconds: float, ask_brokers: Callable[..., Told] = ask
    ) -> None:
        self._connection, self._ask_brokers = connection, ask_brokers
        self._watermarks: Remembered[TopicPartition, int] = Remembered(watermark_seconds)
        self._record_bytes: Remembered[str, float] = Remembered(RECORD_BYTES_EVERY_SECONDS)
        self._retention: Remembered[Connection, float] = Remembered(RETENTION_EVERY_SECONDS)
        self._compacted: Remembered[str, bool] = Remembered(CLEANUP_EVERY_SECONDS)
        self._question: Question | None = None

    def watermarks_due(self, places: Iterable[Place]) -> set[Place]:
        """The high watermarks to ask for, along with the last stable offsets of these places."""
        stable = [tp for level, tp in places if level is IsolationLevel.READ_COMMITTED]
        return {(IsolationLevel.READ_UNCOMMITTED, tp) for tp in self._watermarks.due(stable, time.monotonic())}

    def keep_watermarks(self, due: Collection[Place], ends: Ends) -> None:
        """Keep those of the high watermarks that are above the last stable offset."""
        if due:
            above = {tp: _above(ends[level, tp], ends[IsolationLevel.READ_COMMITTED, tp]) for level, tp in due}
            self._watermarks.keep(above, time.monotonic())

    def unmeasured(self, ends: Ends) -> dict[TopicPartition, int]:
        """The partitions, with their log ends, of topics whose records are to be measured now.

        Their log starts are needed for it. There are none while the brokers are being asked.
        """
        highest = _highest(ends)
        self._take_answer(highest)
        if self._question is not None:
            return {}
        due = set(self._record_bytes.due({tp.topic for _, tp in ends}, time.monotonic()))
        return {tp: end for tp, end in highest.items() if tp.topic in due}

    def measure(self, ends: Mapping[TopicPartition, int], starts: Starts) -> None:
        """Ask the brokers about these partitions, and for their settings when that is due; the answer comes later."""
        retention = bool(self._retention.due([self._connection], time.monotonic()))
        if self._question is None and (ends or retention):
            topics = {tp.topic for tp in ends}
            cleanup = self._compacted.due(topics, time.monotonic())
            self._question = Question(ends, records_of(ends, starts), topics, cleanup, retention)
            self._question.put(self._connection, self._ask_brokers)

    def _take_answer(self, ends: Mapping[TopicPartition, int]) -> None:
        question = self._question
        if question is None or not question.answer.done():
            return
        self._question, told = None, question.answer.result()
        sizes = record_bytes(told.log_bytes, question.records_at(told.log_bytes_at, ends))
        self._record_bytes.keep({topic: sizes.get(topic) for topic in question.topics}, question.at)
        self._compacted.keep({topic: told.compacted.get(topic) for topic in question.cleanup}, question.at)
        if question.retention:
            self._retention.keep({self._connection: told.offsets_retention_seconds}, question.at)

    def of(self, query: GroupQuery, partitions: Collection[TopicPartition] | Unknown) -> Details:
        """What is known of the partitions that a query names."""
        if isinstance(partitions, Unknown):
            return Details()
        stable = query.isolation_level is IsolationLevel.READ_COMMITTED
        return Details(
            record_bytes=self._record_bytes.told(sorted({tp.topic for tp in partitions})),
            high_watermarks=self._watermarks.told(partitions) if stable else {},
            offsets_retention_seconds=self._retention.told([self._connection]).get(self._connection),
            compacted=frozenset(topic for topic, is_so in self._compacted.told(
                sorted({tp.topic for tp in partitions})).items() if is_so),
        )


class Question:
    """What the brokers are being asked; `at` is of the monotonic clock."""

    def __init__(self, ends: Mapping[TopicPartition, int], records: Mapping[TopicPartition, int],
                 topics: Collection[str], cleanup: Collection[str], retention: bool) -> None:
        self.ends, self.records, self.topics, self.cleanup, self.retention = ends, records, topics, cleanup, retention
        self.at = time.monotonic()
        self.answer: Future[Told] = Future()

    def records_at(self, then: float, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, float]:
        """The offsets in use at a time between the question and now, when the log ends are these."""
        passed = time.monotonic() - self.at
        share = min(1.0, max(0.0, then - self.at) / passed) if passed > 0 else 0.0
        return {tp: number + share * max(0, ends.get(tp, 0) - self.ends[tp]) for tp, number in self.records.items()}

    def put(self, connection: Connection, ask_brokers: Callable[..., Told]) -> None:
        """Ask, in a thread of its own: a broker that is slow or silent must not hold up a poll."""
        asking = threading.Thread(target=self._run, args=(connection, ask_brokers), name=THREAD, daemon=True)
        try:
            asking.start()
        except RuntimeError:  # there are too many threads
            self.answer.set_result(Told())

    def _run(self, connection: Connection, ask_brokers: Callable[..., Told]) -> None:
        told = Told()
        try:
            told = ask_brokers(connection, self.records, retention=self.retention, cleanup_of=self.cleanup)
        finally:
            self.answer.set_result(told)


def records_of(ends: Mapping[TopicPartition, int], starts: Starts) -> dict[TopicPartition, int]:
    """The offsets in use by partition, of those that have any and whose log start is known."""
    known = {tp: start for tp, start in starts.items() if isinstance(start, int)}
    return {tp: end - known[tp] for tp, end in ends.items() if tp in known and end > known[tp]}


def record_bytes(log_bytes: Mapping[TopicPartition, int], records: Mapping[TopicPartition, float]) -> dict[str, float]:
    """The mean over a topic's partitions of which both are known; a topic that has none is absent."""
    sums: dict[str, tuple[int, float]] = {}
    for tp in records.keys() & log_bytes.keys():
        size, number = sums.get(tp.topic, (0, 0))
        sums[tp.topic] = size + log_bytes[tp], number + records[tp]
    return {topic: size / number for topic, (size, number) in sums.items() if size > 0}


def _highest(ends: Ends) -> dict[TopicPartition, int]:
    """The log end of each partition of which one is known, whichever records a group reads."""
    highest: dict[TopicPartition, int] = {}
    for (_, tp), end in ends.items():
        if isinstance(end, int):
            highest[tp] = max(end, highest.get(tp, 0))
    return highest


def _above(high: int | Unknown, stable: int | Unknown) -> int | None:
    return high if isinstance(high, int) and isinstance(stable, int) and high > stable else None
