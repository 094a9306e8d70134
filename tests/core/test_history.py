"""What is kept, and where a story begins anew."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Group, Reading, Snapshot, Uncommitted, Unknown
from tests.core.making import P0, P1, history, seen


def test_an_hour_of_polls_every_second_stays_bounded_and_spans_ten_minutes() -> None:
    found = history(*(seen(float(at), (at, at)) for at in range(3600)))
    assert len(found.samples) <= 145
    assert found.samples[-1].at - found.samples[0].at >= 590


def test_what_is_as_it_was_is_kept_once() -> None:
    """As snapshots come out of another process: equal, and not the same objects."""
    first, second = deepcopy(seen(0, (7, 5), (9, 9))), deepcopy(seen(5, (8, 5), (9, 9), (1, 1)))
    older, newer = history(first, second).samples
    assert newer == second.complete(), "whatever it is kept in"
    assert [name is other for name, other in zip(older.readings, newer.readings, strict=False)] == [True, True]
    assert newer.readings[P0] is not older.readings[P0]
    assert newer.readings[P1] is older.readings[P1]
    assert newer.group is older.group
    assert newer.details is older.details
    moved = history(first, replace(second, group=Group("Empty"), details=Details(stretch=2))).samples[-1]
    assert (moved.group, moved.details) == (Group("Empty"), Details(stretch=2))


def test_rare_polls_keep_at_least_four_samples() -> None:
    found = history(*(seen(at * 3600.0, (at, at)) for at in range(9)))
    assert [sample.at for sample in found.samples] == [5 * 3600.0, 6 * 3600.0, 7 * 3600.0, 8 * 3600.0]


def test_a_snapshot_that_is_not_newer_is_left_out() -> None:
    found = history(seen(10, (5, 5)))
    assert found.append(seen(10, (9, 9))) is found


def test_a_partial_snapshot_counts_as_a_failure_and_is_remembered() -> None:
    found = history(seen(0, (1, 1), (1, 1)), seen(5, (2, 2), None))
    assert isinstance(found.latest, Unknown)
    assert (found.failures, found.failed_at) == (1, 5)
    back = found.append(seen(10, (3, 3), (3, 3)))
    assert (back.failures, back.failed_at) == (0, 5)


def test_two_failures_in_a_row_do_not_break_the_row_of_samples_and_three_do() -> None:
    found = history(seen(0, (1, 1)), seen(5, None), seen(10, None))
    assert found.append(seen(15, (2, 2))).unbroken_since == 0
    broken = found.append(seen(15, None))
    assert broken.unbroken_since is None
    assert broken.append(seen(20, (3, 3))).unbroken_since == 20


def test_a_fallen_end_offset_is_a_recreated_topic_and_starts_anew() -> None:
    found = history(seen(0, (100, 90)), seen(5, (110, 100)), seen(10, (3, 100)))
    assert [sample.at for sample in found.samples] == [10]


def test_a_topic_that_is_gone_for_a_look_before_it_is_made_again_starts_anew() -> None:
    gone = Snapshot(10, {P1: Reading(50, 50)})
    found = history(seen(0, (100, 90), (50, 50)), seen(5, (110, 100), (50, 50)), gone, seen(15, (3, 0), (50, 50)))
    assert [sample.at for sample in found.samples] == [15]
    assert [sample.at for sample in history(gone, seen(15, (3, 0), (50, 50))).samples] == [10, 15], "new is not fallen"


def test_a_fallen_commit_is_a_rewind_and_ends_what_is_known_of_drain() -> None:
    found = history(seen(0, (100, 50)), seen(5, (100, 60)), seen(10, (100, 20)))
    assert (found.rewound_at, found.drain_since) == (10, 10)


def test_a_rebalance_ends_what_is_known_of_drain() -> None:
    found = history(seen(0, (100, 50)), seen(5, (100, 60), group=Group("PreparingRebalance")), seen(10, (100, 60)))
    assert found.drain_since == 5


def test_quiet_lasts_while_no_offset_moves() -> None:
    found = history(seen(0, (9, 9)), seen(5, (9, 9)), seen(10, (9, 9)))
    assert found.quiet_since == 0
    assert found.append(seen(15, (10, 9))).quiet_since == 15


def test_an_expired_commit_counts_on_from_where_it_was() -> None:
    found = history(seen(0, (100, 80)), seen(5, (100, None)))
    assert found.position(P0, Reading(100, Uncommitted()), OffsetReset.LATEST) == 80


def test_positions_of_an_uncommitted_partition_follow_offset_reset() -> None:
    found = history(seen(0, (100, None), start=40), seen(5, (130, None), start=40))
    reading = Reading(130, Uncommitted(), 40)
    assert found.position(P0, reading, OffsetReset.EARLIEST) == 40
    assert found.position(P0, reading, OffsetReset.LATEST) == 100
    assert isinstance(found.position(P0, reading, OffsetReset.NONE), Unknown)


def test_a_commit_that_retention_has_passed_counts_from_the_log_start() -> None:
    assert History().position(P0, Reading(end=100, committed=10, start=60), OffsetReset.LATEST) == 60


def test_unreadable_brokers_are_a_failure_each_time() -> None:
    blind = [Snapshot(float(at), Unknown("no broker")) for at in range(3)]
    assert history(*blind).failures == 3


def test_a_bad_snapshot_is_the_latest_all_the_same() -> None:
    found = history(seen(0, (1, 1)), seen(10, None))
    assert found.latest_at == 10
    assert found.append(seen(7, (2, 2))) is found


def test_a_row_of_complete_samples_counts_from_its_first() -> None:
    assert history(seen(3, (1, 1)), seen(5, (2, 2)), seen(10, (3, 3))).unbroken_since == 3


def test_commits_that_move_on_or_begin_or_expire_are_no_rewind() -> None:
    found = history(seen(0, (100, None)), seen(5, (100, 60)), seen(10, (100, 80)), seen(15, (100, None)))
    assert (found.rewound_at, found.drain_since) == (None, 0)


def test_a_rewind_is_remembered() -> None:
    assert history(seen(0, (100, 50)), seen(5, (100, 20)), seen(10, (100, 30))).rewound_at == 5


def test_an_uncommitted_partition_of_which_nothing_was_seen_counts_from_its_end() -> None:
    assert History().position(P0, Reading(100, Uncommitted(), 40), OffsetReset.LATEST) == 100


def test_a_position_that_nobody_can_know_tells_why() -> None:
    assert History().position(P0, Reading(100, Uncommitted()), OffsetReset.NONE) == Unknown(
        "orders/0 has no committed offset and offsetReset is none", Reason.NO_COMMITTED_OFFSETS)


def test_a_partial_snapshot_tells_so() -> None:
    latest = history(seen(0, (1, 1), None)).latest
    assert isinstance(latest, Unknown)
    assert latest.reason is Reason.METRICS_PARTIAL


def test_a_look_without_a_single_partition_is_unknown() -> None:
    """No partition is not the same as no lag."""
    found = history(seen(0, (100, 90)), seen(5))
    assert found.latest == Unknown("no partitions were read")
    assert found.failures == 1


def kept(*snapshots: Snapshot) -> float:
    """Seconds that the history spans."""
    found = history(*snapshots)
    return found.samples[-1].at - found.samples[0].at


def test_a_group_that_commits_every_ten_minutes_is_kept_for_three_of_its_commits_or_more() -> None:
    rare = [seen(at, (10 * at, at // 600 * 6000)) for at in range(0, 7200, 15)]
    assert 1800 <= kept(*rare) <= 3000
    assert len(history(*rare).samples) < 150


def test_a_topic_that_stands_still_is_kept_for_four_hours_at_most() -> None:
    found = history(*(seen(at, (10 * at, 0)) for at in range(0, 30_000, 30)))
    assert 13_500 <= found.samples[-1].at - found.samples[0].at <= 14_400
    assert len(found.samples) < 150


def test_what_is_processed_at_the_age_of_ten_minutes_is_kept_for_forty() -> None:
    assert 2300 <= kept(*(seen(at, (10 * at, 10 * max(0, at - 600))) for at in range(0, 7200, 15))) <= 3100


def test_a_span_that_is_not_needed_any_more_shrinks_again() -> None:
    def committed(at: int) -> int:
        return 10 * at if at >= 3600 else 0

    assert kept(*(seen(at, (10 * at, committed(at))) for at in range(0, 3600, 15))) > 3500
    assert kept(*(seen(at, (10 * at, committed(at))) for at in range(0, 36_000, 15))) <= 600


def test_the_partitions_of_a_sample_are_in_order_however_they_were_read() -> None:
    """Whatever is made of them, also how they are dealt to consumers, is in the same order."""
    read = Snapshot(0, {P1: Reading(10, 0), P0: Reading(10, 0)})
    for found in (history(read), history(seen(-5, (9, 0), (9, 0)), read)):
        assert list(found.samples[-1].readings) == [P0, P1]
