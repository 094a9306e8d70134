"""Consumer groups as they run in production, simulated to the end: each is scaled as its user expects."""

from __future__ import annotations

import functools

import pytest

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.simulation.wild.cases import CASES, case
from kafka_consumer_scaler.simulation.wild.play import Played, play


@functools.cache
def played(name: str) -> Played:
    return play(case(name))


def last(run: Played) -> int:
    return int(run.replicas[-1])


def vetoed(run: Played, since: float, reason: str) -> float:
    """Longest continuous time from `since` on in which decisions had this reason, in seconds."""
    longest, began = 0.0, None
    for at, verdict in run.verdicts:
        if at < since or str(verdict.decision.reason) != reason:
            began = None
            continue
        began = at if began is None else began
        longest = max(longest, at - began)
    return longest


def left_topic(run: Played) -> None:
    assert int(run.replicas.max()) == 2
    assert run.seconds_over == 0
    assert len(run.ours) <= 3, "one replica is tried, and again an hour later"
    assert "UnreadPartitions" in run.findings()


def group_shared_other_topic(run: Played) -> None:
    assert 6 <= last(run) <= 9
    assert run.seconds_over <= 60
    assert len(run.ours) <= 5
    assert "AtPartitionLimit" not in run.findings()


def assigned_by_hand(run: Played) -> None:
    assert 5 <= last(run) <= 8
    assert run.seconds_over <= 300
    assert "NoMembers" not in run.findings()


def commits_by_hand_with_topics(run: Played) -> None:
    assert last(run) <= 2
    assert run.seconds_over <= 300
    assert len(run.ours) <= 8
    assert "NoMembers" not in run.findings()


def ten_minute_jobs(run: Played) -> None:
    assert 6 <= last(run) <= 12
    assert run.seconds_over <= 600
    assert len(run.ours) <= 8
    assert not run.findings() & {"StuckPartition", "HotPartition", "SlowConsumers"}


def rare_commits(run: Played) -> None:
    assert set(run.replicas.tolist()) == {3}
    assert any("cannot be seen" in verdict.message for _, verdict in run.verdicts)
    assert not run.findings() & {"StuckPartition", "AtPartitionLimit"}


def twelve_minute_starts(run: Played) -> None:
    assert run.seconds_over <= 1500
    assert not [each for each in run.ours if each.after < each.before and 600 <= each.at <= 6000]
    assert "ReplicasNotJoining" not in run.findings(since=3600)


def rebalance_of_minutes(run: Played) -> None:
    assert len(run.ours) <= 3
    assert run.seconds_over <= 900
    assert not run.findings() & {"RebalanceStorm", "StuckPartition"}


def poison_and_scale_down(run: Played) -> None:
    assert int(run.replicas[4800]) <= 2
    assert len(run.ours) <= 8
    assert "StuckPartition" in run.findings()
    assert "StuckPartition" not in run.findings(since=7800)


def one_batch_from_zero(run: Played) -> None:
    assert run.seconds_over <= 15
    assert last(run) == 0
    assert run.replicas.sum() <= 5000


def commit_beyond_end(run: Played) -> None:
    assert run.ours == ()
    assert "CommitBeyondEnd" in run.findings()
    assert isinstance(run.verdicts[-1][1].measurements.lag_records, Unknown)


def old_loss_at_rest(run: Played) -> None:
    assert "RecordsLost" not in run.findings(since=1200)
    assert run.seconds_over == 0


def replicas_reset_by_gitops(run: Played) -> None:
    assert "ReplicasChangedByOthers" in run.findings()
    assert "RebalanceStorm" not in run.findings()
    assert run.seconds_over <= 300


def threads_not_told(run: Played) -> None:
    assert 2 <= last(run) <= 3
    assert len(run.ours) <= 4
    assert run.seconds_over <= 120
    assert not run.findings() & {"RebalanceStorm", "AtPartitionLimit"}


def outside_members_leave(run: Played) -> None:
    assert last(run) == 12
    assert run.seconds_over <= 300


def unread_by_pattern(run: Played) -> None:
    assert int(run.replicas.max()) == 2
    assert run.seconds_over == 0
    assert len(run.ours) <= 3, "one replica is tried, and again an hour later"
    assert "UnreadPartitions" in run.findings()


def delayed_retry_topic(run: Played) -> None:
    assert run.seconds_over <= 60
    assert last(run) <= 9
    assert len(run.ours) <= 4
    capacity = run.verdicts[-1][1].measurements.capacity_per_consumer
    assert not isinstance(capacity, Unknown)
    assert capacity >= 60
    assert "StuckPartition" not in run.findings()


def trailing_markers_to_zero(run: Played) -> None:
    assert last(run) == 0
    assert "StuckPartition" not in run.findings()


def canary_for_hours(run: Played) -> None:
    assert last(run) <= 4
    assert run.seconds_over <= 60
    assert vetoed(run, 3600, "RollingOut") <= 1800


def reconciling_for_long(run: Played) -> None:
    assert int(run.replicas[3000]) <= 4
    assert "RebalanceStorm" not in run.findings()
    assert run.seconds_over <= 60


def streams_assignor(run: Played) -> None:
    assert last(run) == 24
    assert run.seconds_over <= 120


EXPECTED = {
    "left-topic": left_topic,
    "group-shared-other-topic": group_shared_other_topic,
    "assigned-by-hand": assigned_by_hand,
    "commits-by-hand-with-topics": commits_by_hand_with_topics,
    "ten-minute-jobs": ten_minute_jobs,
    "rare-commits": rare_commits,
    "twelve-minute-starts": twelve_minute_starts,
    "rebalance-of-minutes": rebalance_of_minutes,
    "poison-and-scale-down": poison_and_scale_down,
    "one-batch-from-zero": one_batch_from_zero,
    "commit-beyond-end": commit_beyond_end,
    "old-loss-at-rest": old_loss_at_rest,
    "replicas-reset-by-gitops": replicas_reset_by_gitops,
    "threads-not-told": threads_not_told,
    "outside-members-leave": outside_members_leave,
    "unread-by-pattern": unread_by_pattern,
    "delayed-retry-topic": delayed_retry_topic,
    "trailing-markers-to-zero": trailing_markers_to_zero,
    "canary-for-hours": canary_for_hours,
    "reconciling-for-long": reconciling_for_long,
    "streams-assignor": streams_assignor,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_reported_case_is_scaled_as_its_user_expects(name: str) -> None:
    EXPECTED[name](played(name))


def test_every_case_has_an_expectation() -> None:
    assert EXPECTED.keys() == CASES.keys()
