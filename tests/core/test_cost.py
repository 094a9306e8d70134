"""What a decision costs, in operations: time is not asserted on a shared machine, function calls are counted."""

from __future__ import annotations

import sys
from functools import cache
from types import FrameType

import pytest

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition

MEMBERS = 100


def polled(partitions: int, arrival: int, polls: int, seconds: int = 600) -> History:
    """100 members that process 2 records/s of each partition, with `arrival` records/s."""
    tps = [TopicPartition("orders", number) for number in range(partitions)]
    members = (Member(f"m{each:03}", frozenset(tps[each::MEMBERS])) for each in range(MEMBERS))
    group = Group("Stable", "cooperative-sticky", tuple(members))
    found = History()
    for at in range(0, seconds + 1, polls):
        found = found.append(Snapshot(at, {
            tp: Reading(10_000 + arrival * at + place % 7, 10_000 + 2 * max(0, at - (at + place) % 5))
            for place, tp in enumerate(tps)}, group))
    return found


@cache
def calls(partitions: int, arrival: int, polls: int = 15) -> int:
    """Functions called by one decision, C functions included."""
    history = polled(partitions, arrival, polls)
    counted = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    policy, at = Policy(max_replicas=2 * MEMBERS, polling_interval_seconds=polls), history.samples[-1].at
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        decide(policy, history, Replicas(MEMBERS, MEMBERS), Memory(), at)
    finally:
        sys.setprofile(before)
    return counted


CALM, BEHIND = 2, 3


@pytest.mark.parametrize(("arrival", "each"), [(CALM, 250), (BEHIND, 700)])
def test_a_decision_takes_a_bounded_number_of_calls_for_each_partition(arrival: int, each: int) -> None:
    """Also where the replicas have to be chosen among a hundred numbers."""
    assert calls(2000, arrival) <= each * 2000


@pytest.mark.parametrize("arrival", [CALM, BEHIND])
def test_four_times_the_partitions_are_at_most_four_times_the_calls(arrival: int) -> None:
    assert calls(2000, arrival) <= 4 * calls(500, arrival)


@pytest.mark.parametrize("arrival", [CALM, BEHIND])
def test_three_times_the_polls_are_hardly_more_calls(arrival: int) -> None:
    """Polls every 5 s keep 70 samples of ten minutes where those of every 15 s keep 41."""
    assert calls(1000, arrival, polls=5) <= 2 * calls(1000, arrival, polls=15)
