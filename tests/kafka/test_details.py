"""What is remembered of the brokers: for how long, of which partitions, and what nobody told is absent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.snapshot import Details, TopicPartition, Unknown
from kafka_consumer_scaler.kafka import details
from kafka_consumer_scaler.kafka.brokers import Told
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.details import (
    FORGOTTEN_SECONDS,
    THREAD,
    DetailsCache,
    Question,
    Remembered,
    record_bytes,
    records_of,
)
from kafka_consumer_scaler.kafka.sample import GroupQuery
from tests.waiting import PATIENCE_SECONDS, eventually

P0, P1, Q0 = TopicPartition("orders", 0), TopicPartition("orders", 1), TopicPartition("mails", 0)
STABLE, LOOSE = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED
SILENT = Unknown("the leader did not answer in time")
QUERY = GroupQuery("orders", topics=("orders",))
ENDS = {(STABLE, P0): 100, (STABLE, P1): 50}
STARTS = {P0: 0, P1: 0}


class Brokers:
    """Answers when it is told to, and counts how often it was asked."""

    def __init__(self, told: Told) -> None:
        self.told, self.may_answer = told, threading.Event()
        self.asked: list[tuple[set[TopicPartition], bool]] = []
        self.cleanup_of: list[set[str]] = []

    def __call__(self, connection: Connection, partitions: Collection[TopicPartition], *, retention: bool,
                 cleanup_of: Collection[str]) -> Told:
        self.asked.append((set(partitions), retention))
        self.cleanup_of.append(set(cleanup_of))
        assert self.may_answer.wait(PATIENCE_SECONDS)
        return self.told


def cache(brokers: Callable[..., Told]) -> DetailsCache:
    return DetailsCache(Connection("nobody:9092"), 60, brokers)


def measured(cached: DetailsCache, ends: Any = ENDS) -> Details:
    """What one poll tells."""
    cached.measure(cached.unmeasured(ends), STARTS)
    return cached.of(QUERY, [P0, P1])


def test_an_answer_is_due_again_when_its_time_is_over() -> None:
    answers: Remembered[str, int] = Remembered(60)
    assert answers.due(["a"], now=0) == ["a"]
    answers.keep({"a": 1}, at=0)
    assert list(answers.due(["a"], now=59.9)) == []
    assert answers.due(["a"], now=60) == ["a"]
    assert answers.told(["a", "b"]) == {"a": 1}


def test_when_one_is_due_all_are_asked_so_that_they_stay_together() -> None:
    answers: Remembered[str, int] = Remembered(60)
    answers.keep({"a": 1}, at=0)
    assert answers.due(["a", "new"], now=30) == ["a", "new"]
    answers.keep({"a": 1, "new": 1}, at=30)
    assert list(answers.due(["a", "new"], now=60)) == []


def test_that_nothing_was_told_is_remembered_too() -> None:
    answers: Remembered[str, int] = Remembered(60)
    answers.keep({"a": 1}, at=0)
    answers.keep({"a": None}, at=60)
    assert list(answers.due(["a"], now=100)) == []
    assert answers.told(["a"]) == {}


def test_what_nobody_asks_about_any_more_is_forgotten() -> None:
    answers: Remembered[str, int] = Remembered(60)
    answers.keep({"gone": 1}, at=0)
    answers.keep({"here": 2}, at=FORGOTTEN_SECONDS)
    assert answers.told(["gone", "here"]) == {"here": 2}


def test_high_watermarks_are_asked_only_for_readers_of_committed_records() -> None:
    assert cache(Brokers(Told())).watermarks_due([(STABLE, P0), (LOOSE, Q0)]) == {(LOOSE, P0)}


@pytest.mark.parametrize(
    ("high", "stable", "told"),
    [(9, 9, {}), (8, 9, {}), (10, 9, {P0: 10}), (SILENT, 9, {}), (10, SILENT, {})],
)
def test_only_a_high_watermark_above_the_end_is_kept(high: Any, stable: Any, told: dict[TopicPartition, int]) -> None:
    cached = cache(Brokers(Told()))
    cached.keep_watermarks({(LOOSE, P0)}, {(LOOSE, P0): high, (STABLE, P0): stable})
    assert cached.of(QUERY, [P0, P1]).high_watermarks == told
    assert cached.watermarks_due([(STABLE, P0)]) == set()


def test_the_mean_is_over_the_partitions_of_which_both_bytes_and_records_are_known() -> None:
    assert record_bytes({P0: 1000, P1: 5000}, {P0: 10, Q0: 10}) == {"orders": 100}
    assert record_bytes({P0: 1000, P1: 5000}, {P0: 10, P1: 10}) == {"orders": 300}
    assert record_bytes({P0: 0}, {P0: 10}) == {}


def test_partitions_without_records_or_without_a_known_start_count_for_nothing() -> None:
    assert records_of({P0: 9, P1: 9, Q0: 9}, {P0: 4, P1: 9, Q0: SILENT}) == {P0: 5}


def test_the_brokers_are_asked_once_and_their_answer_is_told_by_a_later_poll() -> None:
    brokers = Brokers(Told({P0: 30_000, P1: 15_000}, offsets_retention_seconds=3600.0))
    cached = cache(brokers)
    assert [measured(cached) for _ in range(3)] == [Details()] * 3
    brokers.may_answer.set()
    eventually(lambda: measured(cached) == Details({"orders": 300.0}, {}, 3600.0))
    assert brokers.asked == [({P0, P1}, True)]


def test_bytes_are_divided_by_the_records_of_the_moment_in_which_the_brokers_told_them(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is put at 100 s, and offsets are read again at 105 s."""
    monkeypatch.setattr(details, "time", SimpleNamespace(monotonic=iter([100.0, 105.0, 105.0, 105.0]).__next__))
    question = Question({P0: 3_000, P1: 100}, {P0: 2_000, P1: 100}, {"orders"}, (), retention=False)
    assert question.records_at(101.0, {P0: 7_000, P1: 100}) == pytest.approx({P0: 2_800, P1: 100})
    assert question.records_at(99.0, {P0: 7_000}) == {P0: 2_000, P1: 100}
    assert question.records_at(165.0, {P0: 7_000}) == {P0: 6_000, P1: 100}


def test_a_topic_that_is_recreated_meanwhile_counts_as_it_was_when_the_brokers_were_asked() -> None:
    question = Question({P0: 3_000}, {P0: 2_000}, {"orders"}, (), retention=False)
    assert question.records_at(time.monotonic(), {P0: 5}) == {P0: 2_000}


def test_records_that_arrive_while_the_brokers_are_asked_do_not_make_a_record_larger() -> None:
    def slow(*question: Any, **how: Any) -> Told:
        return Told({P0: 1_000_000, P1: 500_000}, time.monotonic() + 60)

    cached = cache(slow)
    measured(cached)
    eventually(lambda: not threads())
    later = {(STABLE, P0): 1_000, (STABLE, P1): 500}
    assert measured(cached, later).record_bytes == {"orders": 1_000.0}


def test_brokers_that_told_nothing_are_not_asked_again_at_the_next_poll() -> None:
    brokers = Brokers(Told())
    brokers.may_answer.set()
    cached = cache(brokers)
    measured(cached)
    eventually(lambda: cached.unmeasured(ENDS) == {} and not threads())
    assert [measured(cached) for _ in range(3)] == [Details()] * 3
    assert len(brokers.asked) == 1


def test_a_topic_that_is_new_is_measured_along_with_the_others() -> None:
    brokers = Brokers(Told({P0: 100, P1: 50, Q0: 9}))
    brokers.may_answer.set()
    cached = cache(brokers)
    eventually(lambda: measured(cached).record_bytes == {"orders": 1.0})
    assert cached.unmeasured({**ENDS, (STABLE, Q0): 3}) == {P0: 100, P1: 50, Q0: 3}


def test_compaction_is_asked_of_each_topic_once_an_hour_along_with_the_sizes() -> None:
    brokers = Brokers(Told({P0: 100, P1: 50}, compacted={"orders": True}))
    brokers.may_answer.set()
    cached = cache(brokers)
    eventually(lambda: measured(cached).compacted == {"orders"})
    assert cached.of(GroupQuery("mails", topics=("mails",)), [Q0]).compacted == frozenset()
    measured(cached, {**ENDS, (STABLE, Q0): 3})
    eventually(lambda: len(brokers.cleanup_of) == 2)
    assert brokers.cleanup_of == [{"orders"}, {"orders", "mails"}]


def test_a_fault_while_asking_is_an_answer_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda fault: None)

    def faulty(*question: Any, **how: Any) -> Told:
        raise RuntimeError("boom")

    cached = cache(faulty)
    measured(cached)
    eventually(lambda: not threads())
    assert cached.unmeasured(ENDS) == {}
    assert measured(cached) == Details()


def test_a_thread_that_cannot_start_fails_no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    cached = cache(Brokers(Told({P0: 100})))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert [measured(cached) for _ in range(2)] == [Details()] * 2


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_of_what_is_unknown_there_are_no_details() -> None:
    assert cache(Brokers(Told())).of(QUERY, SILENT) == Details()
