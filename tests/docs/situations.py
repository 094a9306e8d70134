"""Situations and histories by hand, for the worked numbers of docs/how-it-decides.md."""

from __future__ import annotations

from collections.abc import Callable

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.capacity import Capacity, Rates
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory, Peak
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition

NOW = 1e6
COOPERATIVE = "cooperative-sticky"


def partitions(count: int) -> tuple[TopicPartition, ...]:
    return tuple(TopicPartition("orders", number) for number in range(count))


def group(replicas: int, all_of_them: tuple[TopicPartition, ...]) -> Group:
    """A stable group, one member a replica, the partitions dealt in turn."""
    members = (Member(f"m{n}", frozenset(all_of_them[n::replicas])) for n in range(replicas))
    return Group("Stable", COOPERATIVE, tuple(members))


def situation(replicas: int, lags: list[float], age: float, arrival: float, capacity: Capacity, *,
              peak: float = 0.0, peace_seconds: float = 1e6) -> Situation:
    """Even arrivals, caught up, nothing scaled for long; the highest arrival of late is `peak`, or `arrival`."""
    all_of_them = partitions(len(lags))
    lag = dict(zip(all_of_them, lags, strict=True))
    return Situation(
        now=NOW, replicas=Replicas(replicas, replicas), group=group(replicas, all_of_them),
        lag={tp: round(records) for tp, records in lag.items()}, waiting=lag, stuck=frozenset(), hot=frozenset(),
        age=age, ages={tp: age if records else 0.0 for tp, records in lag.items()},
        shares=dict.fromkeys(all_of_them, 1 / len(lags)), commit_interval=5.0,
        shares_newest=dict.fromkeys(all_of_them, 1 / len(lags)),
        rates=Rates(Arrival(arrival, arrival), arrival, capacity),
        assignor=COOPERATIVE, spread=Spread((len(lags),)), backlog=Backlog.CAUGHT_UP,
        memory=Memory(peaks=(Peak(NOW - 100, max(peak, arrival)),)), quiet_seconds=0.0, unbroken_seconds=1e6,
        peace_seconds=peace_seconds, awaits_first_commit=False,
    )


def watched(seconds: int, every: int, readings: Callable[[int], dict[TopicPartition, Reading]], *, members: int = 1,
            start: float = 0.0) -> History:
    """A history of so many seconds, one look `every` so many; `readings` is asked with the seconds since the start."""
    found = History()
    for at in range(0, seconds + 1, every):
        seen = readings(at)
        found = found.append(Snapshot(start + at, dict(seen), group(members, tuple(seen))))
    return found
