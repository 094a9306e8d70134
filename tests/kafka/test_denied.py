"""When a group that we may not look at is asked about."""

from __future__ import annotations

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Unknown
from kafka_consumer_scaler.kafka.denied import Denied
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample

ORDERS, REFUNDS = GroupQuery("orders", ("orders",)), GroupQuery("refunds", ("refunds",))
REFUSED = GroupSample(Unknown("topic orders: Broker: Topic authorization failed", Reason.NOT_AUTHORIZED),
                      Group("Stable"))
READ = GroupSample({}, Group("Stable"))
SILENT = GroupSample.unknown(Unknown("silence", Reason.BROKERS_UNREACHABLE))


def asked_at(answer: GroupSample, seconds: int, interval: int = 5) -> list[int]:
    """When a group that always answers so is asked about."""
    denied, times = Denied(), []
    for now in range(0, seconds, interval):
        if not denied.answers([ORDERS], now):
            times.append(now)
            denied.note([(ORDERS, answer)], now)
    return times


def test_a_denied_group_is_asked_about_after_pauses_that_double_up_to_a_minute() -> None:
    assert asked_at(REFUSED, 200) == [0, 5, 15, 35, 75, 135, 195]


def test_a_group_of_a_longer_interval_waits_for_nothing() -> None:
    assert asked_at(REFUSED, 600, interval=60) == list(range(0, 600, 60))


def test_a_group_that_is_read_or_whose_brokers_are_silent_is_asked_about_every_time() -> None:
    assert asked_at(READ, 20) == asked_at(SILENT, 20) == [0, 5, 10, 15]


def test_between_the_questions_the_refusal_is_told_again_and_says_nothing_else() -> None:
    denied = Denied()
    denied.note([(ORDERS, REFUSED), (REFUNDS, READ)], now=0)
    assert isinstance(REFUSED.partitions, Unknown)
    assert denied.answers([ORDERS, REFUNDS], now=4.9) == {ORDERS: GroupSample.unknown(REFUSED.partitions)}
    assert denied.answers([ORDERS, REFUNDS], now=5) == {}


def test_a_group_that_was_read_since_begins_with_the_shortest_pause() -> None:
    denied = Denied()
    for now, answer in ((0, REFUSED), (5, REFUSED), (15, READ), (20, REFUSED)):
        denied.note([(ORDERS, answer)], now)
    assert denied.answers([ORDERS], now=24)
    assert not denied.answers([ORDERS], now=25)


def test_another_question_about_the_same_group_is_asked_at_once() -> None:
    denied = Denied()
    denied.note([(ORDERS, REFUSED)], now=0)
    assert denied.answers([GroupQuery("orders", ("orders", "returns"))], now=1) == {}


def test_questions_that_nobody_asks_any_more_are_forgotten() -> None:
    denied = Denied()
    denied.note([(ORDERS, REFUSED)], now=0)
    denied.note([(REFUNDS, REFUSED)], now=1000)
    assert list(denied._refusals) == [REFUNDS]
