"""The state of the backlog, case by case, and what is stuck."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.diagnosis import Backlog, backlog, stuck_partitions, uncommitted_seconds
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import Rates, lags
from kafka_consumer_scaler.core.snapshot import Group, Unknown
from tests.core.making import P1, history, seen

POLICY = Policy(max_replicas=10, lag_seconds=60, polling_interval_seconds=5)
WHY = Unknown("not measured")


@pytest.mark.parametrize(("age", "arrival", "drain", "state"), [
    (WHY, 10.0, 10.0, Backlog.UNKNOWN),
    (0.0, 10.0, 10.0, Backlog.CAUGHT_UP),
    (18.0, 10.0, 5.0, Backlog.CAUGHT_UP),
    (18.1, 10.0, 20.0, Backlog.DRAINING),
    (90.0, 10.0, 10.0, Backlog.BEHIND),
    (90.0, 10.0, WHY, Backlog.BEHIND),
    (90.0, WHY, 10.0, Backlog.BEHIND),
    (90.0, 0.0, 0.0, Backlog.STALLED),
])
def test_the_backlog_is_as_tabulated(
    age: float | Unknown, arrival: float | Unknown, drain: float | Unknown, state: Backlog
) -> None:
    assert backlog(History(drain_since=5.0), POLICY, age, Rates(arrival, drain, WHY)) is state


def test_a_rewind_shows_until_a_rebalance_or_the_backlog_is_gone() -> None:
    rewound = History(rewound_at=10.0, drain_since=10.0)
    assert backlog(rewound, POLICY, 500.0, Rates(1.0, WHY, WHY)) is Backlog.REWOUND
    assert backlog(rewound, POLICY, 1.0, Rates(1.0, WHY, WHY)) is Backlog.CAUGHT_UP


def moving(seconds: int, group: Group | None = None) -> History:
    """Partition 0 commits every 5 s, partition 1 has lag and has not moved since the start."""
    snapshots = [seen(at, (at * 10 + 100, at * 10), (500, 100)) for at in range(0, seconds + 1, 5)]
    if group is not None:
        snapshots[-1] = seen(seconds, (seconds * 10 + 100, seconds * 10), (500, 100), group=group)
    return history(*snapshots)


def stuck(found: History) -> frozenset[object]:
    lag = lags(found, POLICY)
    assert not isinstance(lag, Unknown)
    return frozenset(stuck_partitions(found, POLICY, lag))


def test_a_partition_is_stuck_after_three_commit_intervals_and_no_sooner_than_a_minute() -> None:
    assert stuck(moving(55)) == frozenset()
    assert stuck(moving(60)) == {P1}


def test_a_partition_without_a_live_member_is_not_stuck() -> None:
    assert stuck(moving(120, group=Group("Empty"))) == frozenset()


def test_without_any_commit_seen_patience_is_the_max_poll_interval() -> None:
    frozen = history(*(seen(at, (500, 100), (500, 100)) for at in range(0, 300, 15)))
    assert stuck(frozen) == frozenset()
    assert stuck(frozen.append(seen(300, (500, 100), (500, 100)))) != frozenset()


def test_members_without_any_commit_are_timed() -> None:
    silent = history(*(seen(at, (at, None), (at, None)) for at in range(0, 65, 5)))
    assert uncommitted_seconds(silent) == 60
    assert uncommitted_seconds(silent.append(seen(65, (65, 1), (65, None)))) is None
