"""Histories by hand: one topic, offsets in a row."""

from __future__ import annotations

from collections.abc import Sequence

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.snapshot import (
    Group,
    Member,
    Reading,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)

P0 = TopicPartition("orders", 0)
P1 = TopicPartition("orders", 1)
STABLE = Group("Stable", "range", (Member("m0", frozenset({P0})), Member("m1", frozenset({P1}))))


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


def steady(seconds: Sequence[float], arrival: float, drain: float, lag: int = 0) -> History:
    """Two even partitions with rates in records/s for each of them."""
    return history(*(
        seen(at, *[(int(10_000 + lag + arrival * at), int(10_000 + drain * at))] * 2) for at in seconds
    ))
