"""What a decision costs, counted in operations: calls, and comparisons and look-ups of partitions. Never in time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition

SMALL, LARGE = 500, 5_000
MEMBERS = 50
POLL = 15
POLLS = 16
Offsets = Callable[[int, int], Reading]


class Counted(TopicPartition):
    """A partition whose look-ups and comparisons are calls, so that they are counted."""

    __slots__ = ()

    def __hash__(self) -> int:
        return tuple.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, other)


def caught_up(number: int, at: int) -> Reading:
    return Reading(1000 + 2 * at, 1000 + 2 * max(0, at - (at + number) % 5))


def falling_behind(number: int, at: int) -> Reading:
    return Reading(1000 + 3 * at, 1000 + 2 * max(0, at - (at + number) % 5))


def uneven(number: int, at: int) -> Reading:
    return Reading(1000 + (9 if number % 10 == 0 else 3) * at, 1000 + 2 * at)


def standing_still(number: int, at: int) -> Reading:
    return Reading(1000 + 3 * at, 900)


def committed_once(number: int, at: int) -> Reading:
    return Reading(1000 + 3 * at, 1000 if at < POLL * (POLLS - 1) else 1000 + 3 * at)


def at_rest(number: int, at: int) -> Reading:
    return Reading(1003, 1000)


def losing_records(number: int, at: int) -> Reading:
    return Reading(1000 + 3 * at, 1000 + 2 * at, 2 * at + number % 13)


def operations(offsets: Offsets, partitions: int, polls: int = POLLS, assignor: str = "cooperative-sticky") -> int:
    """Calls during the decision that follows so many polls."""
    topics = ("refunds", "orders", "orders")
    names: list[TopicPartition] = [Counted(topics[number % 3], number) for number in range(partitions)]
    members = tuple(Member(f"m{number}", frozenset(names[number::MEMBERS])) for number in range(MEMBERS))
    policy = Policy(max_replicas=2 * MEMBERS, polling_interval_seconds=POLL)
    history = History()
    for at in range(0, POLL * polls, POLL):
        readings = {tp: offsets(number, at) for number, tp in enumerate(names)}
        history = history.append(Snapshot(1000.0 + at, readings, Group("Stable", assignor, members)))
    return counted(lambda: decide(policy, history, Replicas(MEMBERS, MEMBERS), Memory(), 1000.0 + at))


def counted(work: Callable[[], object]) -> int:
    """Calls of Python and of C that the work makes."""
    calls = 0

    def on(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(on)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


OPERATIONS = [
    (caught_up, 135), (falling_behind, 210), (uneven, 320), (standing_still, 95), (committed_once, 140),
    (at_rest, 85), (losing_records, 280),
]
"""For each partition at most; a quarter more than was counted."""


@pytest.mark.parametrize(("offsets", "at_most"), OPERATIONS)
def test_a_decision_takes_so_many_operations_for_each_partition_and_no_more_with_ten_times_the_partitions(
    offsets: Offsets, at_most: int
) -> None:
    small, large = (operations(offsets, partitions) / partitions for partitions in (SMALL, LARGE))
    assert large <= 1.1 * small
    assert small <= at_most


@pytest.mark.parametrize("offsets", [offsets for offsets, _ in OPERATIONS])
def test_four_times_the_samples_take_less_than_twice_the_operations(offsets: Offsets) -> None:
    assert operations(offsets, SMALL, 4 * POLLS) < 2 * operations(offsets, SMALL, POLLS)


def test_a_group_whose_topics_are_divided_apart_takes_no_more_with_ten_times_the_partitions() -> None:
    small, large = (operations(falling_behind, partitions, assignor="range") / partitions
                    for partitions in (SMALL, LARGE))
    assert large <= 1.1 * small


def test_look_ups_and_comparisons_of_partitions_are_counted() -> None:
    names = [Counted("orders", number) for number in range(4)]
    assert counted(lambda: Counted("orders", 3) in names) >= 4
    assert counted(lambda: dict.fromkeys(names)) >= 4
