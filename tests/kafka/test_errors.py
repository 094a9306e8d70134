"""What each of Kafka's errors is called, and which are asked again."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import admin
from kafka_consumer_scaler.kafka.admin import settle
from kafka_consumer_scaler.kafka.errors import is_retriable, reason_of, unknown_because, words_of

TABLE = [
    (KafkaError._TIMED_OUT, Reason.BROKERS_UNREACHABLE, False),
    (KafkaError._TRANSPORT, Reason.BROKERS_UNREACHABLE, True),
    (KafkaError._RESOLVE, Reason.BROKERS_UNREACHABLE, False),
    (KafkaError.LEADER_NOT_AVAILABLE, Reason.BROKERS_UNREACHABLE, True),
    (KafkaError.COORDINATOR_NOT_AVAILABLE, Reason.COORDINATOR_UNAVAILABLE, True),
    (KafkaError.NOT_COORDINATOR, Reason.COORDINATOR_UNAVAILABLE, True),
    (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, Reason.COORDINATOR_UNAVAILABLE, True),
    (KafkaError.GROUP_AUTHORIZATION_FAILED, Reason.NOT_AUTHORIZED, False),
    (KafkaError.TOPIC_AUTHORIZATION_FAILED, Reason.NOT_AUTHORIZED, False),
    (KafkaError.SASL_AUTHENTICATION_FAILED, Reason.AUTHENTICATION_FAILED, False),
    (KafkaError._AUTHENTICATION, Reason.AUTHENTICATION_FAILED, False),
    (KafkaError._SSL, Reason.TLS_FAILED, False),
    (KafkaError.UNKNOWN_TOPIC_OR_PART, Reason.TOPIC_NOT_FOUND, False),
    (KafkaError._UNKNOWN_PARTITION, Reason.TOPIC_NOT_FOUND, False),
    (KafkaError.NOT_LEADER_FOR_PARTITION, Reason.METRICS_UNAVAILABLE, True),
    (KafkaError.UNSTABLE_OFFSET_COMMIT, Reason.METRICS_UNAVAILABLE, True),
    (KafkaError.FENCED_LEADER_EPOCH, Reason.METRICS_UNAVAILABLE, False),
    (KafkaError.INVALID_REQUEST, Reason.METRICS_UNAVAILABLE, False),
]


@pytest.mark.parametrize(("code", "reason", "retriable"), TABLE)
def test_each_error_has_its_reason_and_is_retried_only_where_that_helps(
    code: int, reason: Reason, retriable: bool
) -> None:
    error = KafkaError(code)
    assert (reason_of(error), is_retriable(error)) == (reason, retriable)


def test_an_unknown_names_what_was_refused() -> None:
    unknown = unknown_because(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), "group orders")
    assert unknown == Unknown("group orders: Broker: Group authorization failed", Reason.NOT_AUTHORIZED)


@pytest.mark.parametrize(("said", "words"), [
    ("", "Broker: Not coordinator"),
    ("ConsumerGroupDescribe: ", "ConsumerGroupDescribe: Broker: Not coordinator"),
    ("ConsumerGroupDescribe: it is elsewhere", "ConsumerGroupDescribe: it is elsewhere"),
])
def test_an_error_without_words_has_those_of_its_code(said: str, words: str) -> None:
    error = KafkaError(KafkaError.NOT_COORDINATOR, said)
    assert unknown_because(error, "group orders") == Unknown(f"group orders: {words}", Reason.COORDINATOR_UNAVAILABLE)
    assert words_of(error) == words


class Answering:
    """A question whose answers for each key are prepared; the last one is given again and again."""

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self.answers, self.rounds = answers, list[list[str]]()

    def __call__(self, keys: Collection[str], seconds: float) -> dict[str, Future[Any]]:
        self.rounds.append(sorted(keys))
        return {key: self._future(self.answers[key]) for key in keys}

    def _future(self, answers: list[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, int):
            future.set_exception(KafkaException(KafkaError(answer)))
        else:
            future.set_result(answer)
        return future


class Sleeping:
    """A time that goes on by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_only_the_keys_with_a_retriable_error_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "time", Sleeping())
    ask = Answering(
        {
            "moved": [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, "offsets"],
            "fine": ["offsets"],
            "forbidden": [KafkaError.GROUP_AUTHORIZATION_FAILED],
        }
    )
    answers = settle(ask, ["moved", "fine", "forbidden"], by=5)
    assert ask.rounds == [["fine", "forbidden", "moved"], ["moved"], ["moved"]]
    assert (answers["moved"], answers["fine"]) == ("offsets", "offsets")
    assert answers["forbidden"].code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_retrying_ends_with_the_time_and_leaves_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ask, clock = Answering({"loading": [KafkaError.COORDINATOR_LOAD_IN_PROGRESS]}), Sleeping()
    monkeypatch.setattr(admin, "time", clock)
    answers = settle(ask, ["loading"], by=0.5)
    assert answers["loading"].code() == KafkaError.COORDINATOR_LOAD_IN_PROGRESS
    assert len(ask.rounds) == 3
    assert clock.now == pytest.approx(0.1 + 0.2)


def test_a_question_that_can_not_be_put_is_an_error_for_every_key() -> None:
    def ask(keys: Collection[str], seconds: float) -> Mapping[str, Future[Any]]:
        raise KafkaException(KafkaError(KafkaError._STATE))

    answers = settle(ask, ["a", "b"], time.monotonic() + 1)
    assert [answers[key].code() for key in ("a", "b")] == [KafkaError._STATE] * 2
