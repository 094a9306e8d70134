"""Topics whose records are held back on purpose, and those that only seem so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.held import held_topics, not_due
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Held
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Snapshot, TopicPartition
from tests.core.making import history

POLICY = Policy(max_replicas=12)
INTERVAL = 5.0
MAIN, RETRY = TopicPartition("orders", 0), TopicPartition("orders-retry", 0)
GROUP = Group("Stable", "range", (Member("m0", frozenset({MAIN, RETRY})),))
Course = Callable[[int], int]


def current(at: int) -> int:
    """All of 100 records/s."""
    return 100 * at


def late(seconds: int, rate: int = 10) -> Course:
    """Of `rate` records/s those that are older than so many seconds."""
    return lambda at: rate * max(0, at - seconds)


def polled(topics: Mapping[TopicPartition, tuple[Course, Course]], until: int, polls: int = 15) -> History:
    """Ends and commits of each partition, every 15 s."""
    return history(*(Snapshot(at, {tp: Reading(end(at), done(at)) for tp, (end, done) in topics.items()}, GROUP)
                     for at in range(0, until + 1, polls)))


def ten(at: int) -> int:
    return 10 * at


def retrying(until: int, done: Course, main: Course = current) -> History:
    return polled({MAIN: (current, main), RETRY: (ten, done)}, until)


def seconds(found: Iterable[Held]) -> dict[str, float]:
    return {each.topic: round(each.seconds) for each in found}


def test_a_topic_that_stood_while_another_moved_is_held_back_from_its_first_commit_on() -> None:
    before, after = retrying(600, late(600)), retrying(630, late(600))
    assert held_topics(before, POLICY, INTERVAL, ()) == ()
    assert seconds(held_topics(after, POLICY, INTERVAL, ())) == {"orders-retry": 600}


def test_a_topic_that_is_always_processed_at_the_same_age_is_held_back() -> None:
    """It was held back before it was watched: from t = 0 on its records were 300 s old."""
    def done(at: int) -> int:
        return 10 * at + 2000

    def end(at: int) -> int:
        return 10 * at + 5000

    found = polled({MAIN: (current, current), RETRY: (end, done)}, 900)
    assert seconds(held_topics(found, POLICY, INTERVAL, ())) == {"orders-retry": 300}


def test_a_backlog_that_grows_or_shrinks_is_not_held_back() -> None:
    for rate in (6, 8, 12, 15):
        def done(at: int, rate: int = rate) -> int:
            return min(10 * at, max(0, rate * (at - 300)))

        for until in range(600, 1500, 60):
            assert held_topics(retrying(until, done), POLICY, INTERVAL, ()) == () or rate == 12


def test_the_only_topic_is_held_back_where_its_consumers_can_do_much_more() -> None:
    """10 records/s by one consumer, always 300 s late."""
    one = polled({RETRY: (lambda at: 10 * at + 3000, ten)}, 1200)
    assert held_topics(one, POLICY, INTERVAL, ()) == ()
    assert held_topics(one, POLICY, INTERVAL, (), Capacity(19.0, learned=True)) == ()
    assert seconds(held_topics(one, POLICY, INTERVAL, (), Capacity(21.0, learned=True))) == {"orders-retry": 300}


def test_a_consumer_that_keeps_up_holds_nothing_back() -> None:
    assert held_topics(retrying(900, late(20)), POLICY, INTERVAL, ()) == ()


def test_an_outage_of_the_whole_group_holds_nothing_back() -> None:
    """All stood still for 300 s, and since then records are processed as fast as they arrive."""
    found = retrying(660, late(300), main=lambda at: 100 * max(0, at - 300))
    assert held_topics(found, POLICY, INTERVAL, ()) == ()


def test_a_topic_that_falls_behind_is_held_back_for_as_long_as_it_was_known_to_be() -> None:
    known = (Held("orders-retry", 300.0, 0.0),)
    assert seconds(held_topics(retrying(1500, late(700)), POLICY, INTERVAL, known)) == {"orders-retry": 300}


def test_a_record_that_is_processed_sooner_shows_that_none_is_held_back() -> None:
    known = (Held("orders-retry", 600.0, 900.0),)
    assert held_topics(retrying(900, late(300)), POLICY, INTERVAL, known) == ()


def test_what_was_not_shown_for_an_hour_or_twice_the_delay_is_forgotten() -> None:
    still = retrying(900, late(10_000))
    assert held_topics(still, POLICY, INTERVAL, (Held("orders-retry", 600.0, 900.0 - 3600),)) != ()
    assert held_topics(still, POLICY, INTERVAL, (Held("orders-retry", 600.0, 900.0 - 3601),)) == ()
    assert held_topics(still, POLICY, INTERVAL, (Held("orders-retry", 7200.0, 900.0 - 14_400),)) != ()


def test_only_records_older_than_the_delay_are_due() -> None:
    """Held back for 300 s, known to 100 s: of 6,000 records, 600 s of arrivals, 2,000 are older than 400 s."""
    found = retrying(900, late(600))
    held = (Held("orders-retry", 300.0, 900.0),)
    due = not_due(found, held, POLICY, INTERVAL, {MAIN: 50.0, RETRY: 6000.0})
    assert due[MAIN] == 50.0
    assert due[RETRY] == pytest.approx(2000, abs=150)
    assert not_due(found, (Held("orders-retry", 600.0, 900.0),), POLICY, INTERVAL, {RETRY: 6000.0}) == {RETRY: 0.0}
