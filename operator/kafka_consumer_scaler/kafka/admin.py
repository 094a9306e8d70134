"""The questions we ask of a Kafka cluster; every key asked about is answered, with a value or with a KafkaError."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicCollection
from confluent_kafka import IsolationLevel as _IsolationLevel
from confluent_kafka import TopicPartition as _TopicPartition
from confluent_kafka.admin import OffsetSpec

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.kafka.client import Client
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.errors import is_from_another_broker, is_retriable, is_timeout

K = TypeVar("K")
Ask = Callable[[Collection[K], float], Mapping[K, "Future[Any]"]]
Place = tuple[IsolationLevel, TopicPartition]
"""A partition, and up to where it is read."""
GRACE_SECONDS = 1.0
"""The library keeps its own time limits; this much later we stop believing that it will."""

_ISOLATION = {  # in the order in which they are asked: `details.py` tells why
    IsolationLevel.READ_UNCOMMITTED: _IsolationLevel.READ_UNCOMMITTED,
    IsolationLevel.READ_COMMITTED: _IsolationLevel.READ_COMMITTED,
}
_SPEC = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest()}


class Admin:
    """One cluster. Times named `by` are of the monotonic clock; errors are answers, never raised."""

    def __init__(self, connection: Connection) -> None:
        self._entrance = Client(connection)
        self._is_spent = False

    @property
    def _client(self) -> Any:
        return self._entrance.library

    def enter(self, by: float) -> Unknown | None:
        """Be let in, before anything is asked; why not, if not.

        A spent client is replaced (both as of librdkafka 2.16):

        - One that has given up a request aborts the process when the silent broker is back, by an assertion in
          `rd_kafka_enq_once_del_source_return`.
        - One that was told that a broker does not coordinate a group asks this broker for ever: it remembers the
          coordinators of some ten groups, and asks anew when one is disconnected, but not after such an answer.
        """
        if self._is_spent:
            self._entrance.close()
            self._is_spent = False
        self._entrance.last_cause()
        return self._entrance.enter(by)

    def silence(self, error: KafkaError) -> Unknown:
        """Why no broker answers, as far as is known. After a refusal `enter` refuses too, for a while."""
        said = self._entrance.because(self._entrance.last_cause() or error)
        self._entrance.note(said)
        return said

    def _settle(
        self, ask: Ask[K], keys: Collection[K], by: float, read: Callable[[Any], Any] = lambda said: said
    ) -> dict[K, Any]:
        said = settle(ask, keys, by)
        answers = {key: one if isinstance(one, KafkaError) else read(one) for key, one in said.items()}
        self._is_spent = self._is_spent or any(map(_spends, answers.values()))
        return answers

    def committed(self, groups: Collection[str], by: float) -> dict[str, Any]:
        """All committed offsets of each group, as the library's partitions: one OffsetFetch each, all in flight."""
        return self._settle(self._ask_committed, groups, by)

    def _ask_committed(self, groups: Collection[str], seconds: float) -> dict[str, Future[Any]]:
        ask = self._client.list_consumer_group_offsets
        return {g: ask([ConsumerGroupTopicPartitions(g)], request_timeout=seconds)[g] for g in groups}

    def described(self, groups: Collection[str], by: float) -> dict[str, Any]:
        """The coordinators' descriptions of the groups: one request each, all in flight."""
        return self._settle(self._ask_described, groups, by)

    def _ask_described(self, groups: Collection[str], seconds: float) -> Mapping[str, Future[Any]]:
        answer: Mapping[str, Future[Any]] = self._client.describe_consumer_groups(list(groups), request_timeout=seconds)
        return answer

    def topics(self, names: Collection[str], by: float) -> dict[str, Any]:
        """A TopicDescription of each topic. Never creates a topic."""
        return self._settle(self._ask_topics, names, by)

    def _ask_topics(self, names: Collection[str], seconds: float) -> Mapping[str, Future[Any]]:
        topics = TopicCollection(list(names))
        answer: Mapping[str, Future[Any]] = self._client.describe_topics(topics, request_timeout=seconds)
        return answer

    def offsets(self, which: str, places: Collection[Place], by: float) -> dict[Place, Any]:
        """The offset, in records, of each place: `earliest` or `latest`.

        One ListOffsets for each leader and isolation level, all in flight together.
        """

        def ask(wanted: Collection[Place], seconds: float) -> Mapping[Place, Future[Any]]:
            futures: dict[Place, Future[Any]] = {}
            for level in _ISOLATION:
                if partitions := [tp for of, tp in wanted if of == level]:
                    futures |= {(level, tp): one for tp, one in self._ask_offsets(which, level, partitions, seconds)}
            return futures

        return self._settle(ask, places, by, read=lambda said: _offset(said.offset))

    def _ask_offsets(
        self, which: str, level: IsolationLevel, partitions: Collection[TopicPartition], seconds: float
    ) -> Iterator[tuple[TopicPartition, Future[Any]]]:
        theirs = {tp: _TopicPartition(tp.topic, tp.partition) for tp in partitions}
        request = dict.fromkeys(theirs.values(), _SPEC[which])
        said = self._client.list_offsets(request, isolation_level=_ISOLATION[level], request_timeout=seconds)
        return ((tp, said[key]) for tp, key in theirs.items())

    def topic_names(self, by: float) -> frozenset[str] | KafkaError:
        """The names of all topics that we may see. Kafka's own (`__consumer_offsets` and the like) are left out."""
        try:
            topics = self._client.list_topics(timeout=max(0.1, by - time.monotonic())).topics
        except KafkaException as problem:
            return _error(problem)
        return frozenset(name for name in topics if not name.startswith("__"))


def settle(ask: Ask[K], keys: Collection[K], by: float) -> dict[K, Any]:
    """Ask for every key, and again for those whose error is retriable, until all are settled or the time is up."""
    answers: dict[K, Any] = {}
    unsettled, pause = keys, 0.1
    while unsettled:
        left = max(0.1, by - time.monotonic())
        until = time.monotonic() + left + GRACE_SECONDS
        futures = _begin(ask, unsettled, left)
        answers |= {key: _outcome(futures[key], until) for key in unsettled}
        unsettled = [key for key in unsettled if _is_worth_retrying(answers[key])]
        if not unsettled or time.monotonic() + pause >= by:
            break
        time.sleep(pause)
        pause *= 2
    return answers


def _spends(answer: Any) -> bool:
    return is_timeout(answer) or is_from_another_broker(answer)


def _is_worth_retrying(answer: Any) -> bool:
    return isinstance(answer, KafkaError) and is_retriable(answer)


def _begin(ask: Ask[K], keys: Collection[K], seconds: float) -> Mapping[K, Future[Any]]:
    try:
        return ask(keys, seconds)
    except KafkaException as problem:
        refused: Future[Any] = Future()
        refused.set_exception(problem)
        return dict.fromkeys(keys, refused)


def _outcome(future: Future[Any], until: float) -> Any:
    # Not `result()`: an exception that is raised out of the future it is kept in makes a cycle by way of its traceback,
    # in which the client, and all its threads, would wait for the garbage collector.
    try:
        problem = future.exception(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:
        return KafkaError(KafkaError._TIMED_OUT)
    if problem is None:
        return future.result()
    if isinstance(problem, KafkaException):
        return _error(problem)
    raise problem


def _offset(offset: int) -> int | KafkaError:
    """The library gives a partition whose leader was silent the offset -1001, and no error."""
    return offset if offset >= 0 else KafkaError(KafkaError._TIMED_OUT)


def _error(problem: KafkaException) -> KafkaError:
    error: KafkaError = problem.args[0]
    return error
