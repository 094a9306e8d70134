"""Histories and situations by hand: one topic, offsets in a row."""

from __future__ import annotations

from collections.abc import Sequence

from kafka_consumer_scaler.core.assignment import Spread, deal, spread
from kafka_consumer_scaler.core.capacity import Capacity, Rates
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import (
    Group,
    Member,
    Reading,
    Replicas,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)

P0 = TopicPartition("orders", 0)
P1 = TopicPartition("orders", 1)
STABLE = Group("Stable", "range", (Member("m0", frozenset({P0})), Member("m1", frozenset({P1}))))


ALONE = Group("Stable", "range", (Member("m0", frozenset({P0, P1})),))


def committed(offset: int | None) -> int | Uncommitted:
    return Uncommitted() if offset is None else offset


def seen(
    at: float, *offsets: tuple[int, int | None] | None, start: int = 0, group: Group | Unknown = STABLE
) -> Snapshot:
    """(end, committed) of partition 0, 1, ...; None is a partition that could not be read."""
    readings: dict[TopicPartition, Reading | Unknown] = {}
    for number, pair in enumerate(offsets):
        unread = Unknown("the leader did not answer")
        reading = unread if pair is None else Reading(pair[0], committed(pair[1]), start)
        readings[TopicPartition("orders", number)] = reading
    return Snapshot(at, readings, group)


def history(*snapshots: Snapshot) -> History:
    found = History()
    for snapshot in snapshots:
        found = found.append(snapshot)
    return found


def steady(
    seconds: Sequence[float], arrival: float, drain: float, lag: int = 0, group: Group | Unknown = STABLE
) -> History:
    """Two even partitions with rates in records/s for each of them."""
    return history(*(
        seen(at, *[(int(10_000 + lag + arrival * at), int(10_000 + drain * at))] * 2, group=group) for at in seconds
    ))


NOW = 100_000.0


def orders(count: int) -> tuple[TopicPartition, ...]:
    return tuple(TopicPartition("orders", number) for number in range(count))


def members(count: int, partitions: int = 12, assignor: str = "cooperative-sticky") -> Group:
    """A stable group in which every partition has its consumer."""
    hands = (*deal(orders(partitions), assignor, max(1, count)), *[()] * count)[:count]
    return Group("Stable", assignor, tuple(Member(f"m{n}", frozenset(hand)) for n, hand in enumerate(hands)))


def known(arrival: float | Unknown, capacity: float | Unknown, drain: float | Unknown | None = None,
          learned: bool = True, newest: float = 0.0, rise: float = 0.0) -> Rates:
    """Rates in records/s; the drain is the arrival unless told."""
    return Rates(
        arrival if isinstance(arrival, Unknown) else Arrival(arrival, newest, rise),
        arrival if drain is None else drain,
        capacity if isinstance(capacity, Unknown) else Capacity(capacity, learned))


def even(replicas: int, arrival: float, age: float = 0.0, partitions: int = 12, capacity: float = 100.0) -> Situation:
    """A group at rest, an hour after its start: even partitions, `age` seconds of arrivals behind on each of them."""
    each = arrival / partitions
    names = orders(partitions)
    return Situation(
        now=NOW, replicas=Replicas(replicas, replicas), group=members(replicas, partitions),
        lag=dict.fromkeys(names, round(each * age)), waiting=dict.fromkeys(names, each * age), stuck=frozenset(),
        hot=frozenset(), age=age, ages=dict.fromkeys(names, age), shares=dict.fromkeys(names, 1 / partitions),
        shares_newest=dict.fromkeys(names, 1 / partitions), rates=known(arrival, capacity), commit_interval=5.0,
        assignor="cooperative-sticky",
        spread=spread(names, "cooperative-sticky", 1), backlog=Backlog.CAUGHT_UP, memory=Memory(),
        quiet_seconds=0.0, unbroken_seconds=3600.0, peace_seconds=0.0, awaits_first_commit=False,
        kept=frozenset(names))


def by_range(*topics: int, threads: int = 1, foreign: int = 0) -> Spread:
    """The spread of topics with so many partitions under the range assignor."""
    return Spread(topics, threads, foreign)
