"""The state of the backlog, case by case, and what is stuck."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.diagnosis import (
    Backlog,
    backlog,
    commits_beyond_end,
    hot_partitions,
    kept_partitions,
    lost_records,
    recreated_topics,
    retention_risk,
    stuck_partitions,
    uncommitted_seconds,
)
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import both_shares, lags
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Reading, Snapshot, TopicPartition, Unknown
from tests.core.making import P0, P1, history, known, orders, seen

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
    assert backlog(History(drain_since=5.0), POLICY, age, known(arrival, WHY, drain)) is state


def test_a_rewind_shows_until_a_rebalance_or_the_backlog_is_gone() -> None:
    rewound = History(rewound_at=10.0, drain_since=10.0)
    assert backlog(rewound, POLICY, 500.0, known(1.0, WHY, WHY)) is Backlog.REWOUND
    assert backlog(rewound, POLICY, 1.0, known(1.0, WHY, WHY)) is Backlog.CAUGHT_UP


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


def test_a_rebalance_after_a_rewind_ends_the_rewound_state() -> None:
    settled = History(rewound_at=10.0, drain_since=10.1)
    assert backlog(settled, POLICY, 500.0, known(1.0, WHY, WHY)) is Backlog.BEHIND


def test_a_minute_at_least_and_three_polls_pass_before_a_partition_is_stuck() -> None:
    slow_polls = Policy(max_replicas=10, polling_interval_seconds=30)
    found = history(*(seen(at, (at * 10 + 100, at * 10), (500, 100)) for at in range(0, 91, 30)))
    lag = {P0: 100, P1: 400}
    assert stuck_partitions(found, slow_polls, lag) == {P1}
    assert stuck_partitions(history(*(seen(at, (at * 10 + 100, at * 10), (500, 100)) for at in range(0, 61, 30))),
                            slow_polls, lag) == frozenset()


def test_three_commit_intervals_pass_before_a_partition_is_stuck() -> None:
    def minutely(seconds: int) -> History:
        return history(*(seen(at, (at * 10, at // 60 * 600), (500, 100)) for at in range(0, seconds + 1, 5)))

    assert stuck(minutely(175)) == frozenset()
    assert stuck(minutely(180)) == {P1}


def test_a_partition_is_stuck_from_when_it_had_lag() -> None:
    late = [seen(at, (at * 10, at * 10), (500 if at > 60 else 100, 100)) for at in range(0, 131, 5)]
    assert stuck(history(*late[:-2])) == frozenset(), "55 s"
    assert stuck(history(*late[:-1])) == {P1}, "60 s"


HUNDRED = known(500.0, 100.0)


def shares(share: float, late: float | None = None) -> History:
    """What arrived in 60 s, 1,200,000 records, and in the last 10 s of them, 200,000: partition 0 got so much of it."""
    late = share if late is None else late
    ends = dict.fromkeys(orders(12), ((1 - share) / 11, (1 - late) / 11)) | {P0: (share, late)}
    at_all = {tp: [0, round(1_200_000 * part - 200_000 * last), round(1_200_000 * part)]
              for tp, (part, last) in ends.items()}
    return history(*(Snapshot(at, {tp: Reading(column[row], 0) for tp, column in at_all.items()})
                     for row, at in enumerate((0, 50, 60))))


@pytest.mark.parametrize(("share", "is_hot"), [(0.3, True), (0.201, True), (0.2, False), (0.13, False)])
def test_a_hot_partition_gets_more_than_one_consumer_can_process(share: float, is_hot: bool) -> None:
    assert hot_partitions(both_shares(shares(share)), HUNDRED) == (frozenset({P0}) if is_hot else frozenset())


@pytest.mark.parametrize(("share", "is_hot"), [(0.125, False), (0.126, True)])
def test_a_hot_partition_also_gets_one_and_a_half_even_shares(share: float, is_hot: bool) -> None:
    found = hot_partitions(both_shares(shares(share)), known(50_000.0, 100.0))
    assert found == (frozenset({P0}) if is_hot else frozenset())


def test_a_partition_that_has_just_become_hot_is_told_at_once() -> None:
    """500 records/s on average and in the last 10 s, of which it got 0.3."""
    assert hot_partitions(both_shares(shares(0.1, late=0.3)), known(500.0, 100.0, newest=500.0)) == {P0}
    assert hot_partitions(both_shares(shares(0.1, late=0.3)), known(500.0, 100.0, newest=300.0)) == frozenset()
    assert hot_partitions(both_shares(shares(0.3, late=0.1)), known(500.0, 100.0, newest=500.0)) == {P0}


def divided(*counts: int) -> History:
    """So many records arrived on each partition within a minute."""
    ends = dict(zip(orders(len(counts)), counts, strict=True))
    return history(*(Snapshot(at, {tp: Reading(end if at else 0, 0) for tp, end in ends.items()}) for at in (0, 60)))


def test_exactly_what_one_consumer_can_process_is_not_hot() -> None:
    """Of 128 records/s it gets 3/4, and a consumer does 96."""
    assert hot_partitions(both_shares(divided(6000, 1000, 1000)), known(128.0, 96.0)) == frozenset()
    assert hot_partitions(both_shares(divided(6000, 1000, 1000)), known(128.0, 95.9)) == {P0}


def test_exactly_one_and_a_half_even_shares_are_not_hot() -> None:
    """Half of what three partitions get is 1.5 thirds."""
    assert hot_partitions(both_shares(divided(6000, 3000, 3000)), known(50_000.0, 100.0)) == frozenset()
    assert hot_partitions(both_shares(divided(6001, 3000, 3000)), known(50_000.0, 100.0)) == {P0}


def test_a_single_record_before_the_log_start_is_a_marker_and_two_are_lost() -> None:
    before = {P0: Reading(100, 40, 30), P1: Reading(100, 40, 30)}
    found = history(Snapshot(0, before), Snapshot(15, {P0: Reading(100, 40, 41), P1: Reading(100, 40, 42)}))
    assert lost_records(found) == {P1: 2}


def test_a_loss_from_before_the_first_sample_is_not_reported() -> None:
    gone = {P0: Reading(100, 40, 90)}
    assert lost_records(history(Snapshot(0, gone), Snapshot(15, gone))) == {}


@pytest.mark.parametrize(("ago", "lost"), [(285.0, {P0: 50}), (300.0, {P0: 50}), (315.0, {})])
def test_a_loss_is_over_five_minutes_after_the_log_start_moved(ago: float, lost: dict[TopicPartition, int]) -> None:
    gone = {P0: Reading(100, 40, 90)}
    later = [Snapshot(15 + after, gone) for after in range(0, int(ago), 15)]
    assert lost_records(history(Snapshot(0, {P0: Reading(100, 40, 30)}), *later)) == lost


def beyond(committed: int, high: int | None = None, seconds: int = 60) -> History:
    details = Details(high_watermarks={} if high is None else {P0: high})
    return history(*(replace(seen(at, (100, committed)), details=details) for at in range(0, seconds + 1, 15)))


def test_a_commit_beyond_an_end_that_was_read_later_is_named_after_a_minute() -> None:
    assert commits_beyond_end(beyond(900)) == {P0: (900, 100)}
    assert commits_beyond_end(beyond(900, seconds=45)) == {}
    assert commits_beyond_end(beyond(100)) == {}


def test_a_commit_up_to_the_high_watermark_is_possible() -> None:
    assert commits_beyond_end(beyond(120, high=120)) == {}
    assert commits_beyond_end(beyond(121, high=120)) == {P0: (121, 100)}


@pytest.mark.parametrize(("ago", "told"), [(0.0, {"orders"}), (600.0, {"orders"}), (600.1, set())])
def test_a_topic_that_was_recreated_is_told_for_ten_minutes(ago: float, told: set[str]) -> None:
    later = replace(history(seen(1000.0, (5, 5))), recreated=(1000.0 - ago, frozenset({"orders"})))
    assert recreated_topics(later) == told


def test_no_topic_was_recreated_in_a_history_that_saw_none_fall() -> None:
    assert recreated_topics(history(seen(0.0, (5, 5)))) == frozenset()
    assert recreated_topics(replace(history(seen(0.0, (5, 5))), recreated=None)) == frozenset()


def test_heat_is_not_told_from_a_capacity_that_was_not_learned() -> None:
    assert hot_partitions(both_shares(shares(0.3)), known(500.0, 100.0, learned=False)) == frozenset()
    assert hot_partitions(both_shares(shares(0.3)), known(500.0, WHY)) == frozenset()
    assert hot_partitions(both_shares(shares(0.3)), known(WHY, 100.0)) == frozenset()


def deleting(deleted: int, processed: int, margin: int, seconds: int = 120) -> tuple[object, float] | None:
    """After so long in which retention deleted and the group processed so many records/s, `margin` ahead of it."""
    rows = [(0, 100_000 - margin - deleted * seconds, 100_000 - processed * seconds),
            (seconds, 100_000 - margin, 100_000)]
    return retention_risk(
        history(*(Snapshot(at, {P0: Reading(900_000, done, log_start)}) for at, log_start, done in rows)), POLICY)


def test_a_rate_of_deletion_needs_two_minutes() -> None:
    assert deleting(150, 100, 30_000, seconds=119) is None
    assert deleting(150, 100, 30_000, seconds=120) is not None


def test_only_while_a_partition_lags_is_its_log_start_exact() -> None:
    rows = [(0, 0, 500), (60, 6000, 90_000), (120, 12_000, 90_000), (180, 18_000, 90_000)]
    ends = {0: 500}
    found = history(*(Snapshot(at, {P0: Reading(ends.get(at, 99_000), done, start)}) for at, start, done in rows))
    assert retention_risk(found, POLICY) == (P0, 720.0), "from 60 s on: 72,000 records at 100 a second"
    recovered = history(*(Snapshot(at, {P0: Reading(90_000 if at == 120 else 99_000, done, start)})
                          for at, start, done in rows))
    assert retention_risk(recovered, POLICY) is None, "at 120 s it had no lag"


def test_30000_records_ahead_of_150_deleted_and_100_processed_last_600_s() -> None:
    assert deleting(150, 100, 30_000) == (P0, 600.0)


@pytest.mark.parametrize(("margin", "at_risk"), [(45_000, True), (45_050, False)])
def test_a_risk_is_told_within_a_quarter_of_an_hour(margin: int, at_risk: bool) -> None:
    assert (deleting(150, 100, margin) is not None) is at_risk


def test_a_group_that_is_faster_than_retention_is_not_at_risk() -> None:
    assert deleting(100, 150, 30_000) is None
    assert deleting(100, 100, 30_000) is None
    assert deleting(0, 0, 30_000) is None
    assert deleting(100, 0, 30_000) == (P0, 300.0), "a group that stands still is"


def test_what_retention_has_passed_is_lost_now() -> None:
    assert deleting(100, 0, -500) == (P0, 0.0)
    assert deleting(0, 0, -500) is None, "long ago"


def test_without_lag_or_with_one_sample_there_is_no_risk() -> None:
    assert retention_risk(history(Snapshot(0.0, {P0: Reading(900, 100, 50)})), POLICY) is None
    done = [Snapshot(at, {P0: Reading(900, 900, 700 + at)}) for at in (0, 120)]
    assert retention_risk(history(*done), POLICY) is None


def test_the_partition_that_loses_first_is_told() -> None:
    first, last = (
        Snapshot(at, {P0: Reading(90_000, 50_000, at * 50), P1: Reading(90_000, 50_000, at * 300)}) for at in (0, 120))
    assert retention_risk(history(first, last), POLICY) == (P1, 14_000 / 300)


def test_a_partition_waits_for_its_turn_among_those_of_its_consumer() -> None:
    """A consumer that processed 13 records in 480 s: three turns of two partitions are 221 s, three commits 180 s."""
    alone = Group("Stable", "range", (Member("m0", frozenset({P0, P1})),))

    def in_turn(seconds: int, done: int) -> History:
        return history(*(seen(at, (500, 100 + at // 60), (500, 100 + min(done, at // 60)), group=alone)
                         for at in range(0, seconds + 1, 15)))

    assert stuck(in_turn(480, done=5)) == frozenset(), "it has not moved for 180 s"
    assert stuck(in_turn(600, done=5)) == {P1}


def test_a_topic_that_stands_as_a_whole_while_another_moves_is_kept_for_half_an_hour_before_it_is_reported() -> None:
    retry = TopicPartition("orders-retry", 0)
    alone = Group("Stable", "range", (Member("m0", frozenset({P0, retry})),))

    def standing(seconds: int) -> History:
        return history(*(Snapshot(at, {P0: Reading(10 * at, 10 * at), retry: Reading(500, 100)}, alone)
                         for at in range(0, seconds + 1, 15)))

    for seconds, kept in ((600, frozenset()), (1785, frozenset()), (1800, {retry})):
        found = standing(seconds)
        among = stuck_partitions(found, POLICY, {P0: 0, retry: 400})
        assert among == {retry}, "replicas cannot help it, whatever it is"
        assert kept_partitions(found, POLICY, among) == kept


def test_in_a_rebalance_in_which_others_work_on_a_partition_waits_for_half_an_hour() -> None:
    hands = (Member("m0", frozenset({P0})), Member("m1", frozenset({P1})))

    def reconciling(seconds: int, state: str) -> frozenset[object]:
        group = Group(state, "uniform", hands)
        return stuck(history(*(seen(at, (10 * at, 10 * at), (500, 100), group=group)
                               for at in range(0, seconds + 1, 15))))

    assert reconciling(300, "Stable") == {P1}
    assert reconciling(1200, "Reconciling") == frozenset()
    assert reconciling(2100, "Reconciling") == {P1}
