"""Rates where commits are few, late, new or expired, and where partitions come later."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kafka_consumer_scaler.core.commits import (
    commit_interval_seconds,
    likely_commit_interval,
    measured_commit_interval,
)
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import arrival_shares, drain, lags, position, processed
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Uncommitted, Unknown
from kafka_consumer_scaler.core.waiting import age_seconds, ages, unprocessed
from tests.core.making import P0, P1, history, seen, steady

POLICY = Policy(max_replicas=10, polling_interval_seconds=5)
EARLIEST = Policy(max_replicas=10, polling_interval_seconds=5, offset_reset=OffsetReset.EARLIEST)
EXPIRED = history(seen(0, (100, 80)), seen(5, (100, None)))


def credit(found: History, interval: float, policy: Policy = POLICY) -> float:
    """Records of partition 0 that were probably processed since its last commit."""
    return 1_000_000 - unprocessed(found, policy, {P0: 1_000_000}, interval)[P0]


def test_the_lag_of_an_expired_commit_counts_from_where_it_was() -> None:
    assert lags(EXPIRED, POLICY) == {P0: 20}


def test_an_expired_commit_is_no_progress() -> None:
    first, last = EXPIRED.samples
    assert processed(EXPIRED, OffsetReset.LATEST, first, last, frozenset({P0})) == 0


def test_a_first_commit_is_progress_from_where_the_reset_begins() -> None:
    found = history(seen(0, (100, None)), seen(5, (100, 60)))
    first, last = found.samples
    assert processed(found, OffsetReset.EARLIEST, first, last, frozenset({P0})) == 60
    assert drain(history(seen(0, (900, None)), seen(60, (900, 600))), EARLIEST, 5.0) == 10.0


def test_what_retention_took_from_an_expired_commit_counts_as_passed() -> None:
    later = EXPIRED.append(seen(10, (100, None), start=90))
    assert processed(later, OffsetReset.LATEST, later.samples[1], later.samples[2], frozenset({P0})) == 10


def test_a_position_that_cannot_be_known_is_the_end() -> None:
    assert position(EXPIRED, P0, Reading(100, Uncommitted()), OffsetReset.NONE) == 100
    assert position(EXPIRED, P0, Reading(100, Uncommitted()), OffsetReset.LATEST) == 80


def test_the_age_of_an_unknown_lag_is_unknown() -> None:
    assert isinstance(age_seconds(history(seen(0, (100, 60), None)), POLICY), Unknown)


def test_a_single_record_has_an_age() -> None:
    found = history(seen(0, (10, 10)), seen(10, (11, 10)))
    assert ages(found, {P0: 1})[P0] == 10.0
    assert ages(found, {P0: 11})[P0] == 110.0, "one in 10 s"


def test_a_record_arrived_after_the_last_sample_without_it() -> None:
    found = history(seen(0, (100, 100)), seen(10, (200, 200)), seen(15, (200, 200)), seen(20, (300, 200)))
    assert age_seconds(found, POLICY) == 5.0


def test_the_first_commit_is_taken_to_hold_one_interval() -> None:
    """Uncommitted for 60 s, then 600: 10 a second, so 200 more within 20 s."""
    found = history(*(seen(at, (10 * at, 600 if at >= 60 else None)) for at in range(0, 85, 5)))
    assert credit(found, 60.0, EARLIEST) == pytest.approx(200.0)


def test_a_single_commit_in_the_second_sample_is_counted_from_the_first() -> None:
    found = history(seen(0, (500, 0)), seen(5, (500, 50)), seen(8, (500, 50)))
    assert credit(found, 5.0) == pytest.approx(30.0)


def test_the_rate_since_a_commit_is_that_of_the_commits_and_not_of_the_arrival() -> None:
    found = history(*(seen(at, (15 * at, at // 60 * 600)) for at in range(0, 285, 5)))
    assert credit(found, 60.0) == pytest.approx(400.0), "40 s at 10 a second"


def test_the_rate_since_a_commit_is_that_of_three_intervals() -> None:
    """20 a second up to 180 s, then 10."""
    done = [20 * 60 * n if n <= 3 else 3600 + 600 * (n - 3) for n in range(6)]
    found = history(*(seen(at, (90_000, done[at // 60])) for at in range(0, 345, 5)))
    assert credit(found, 60.0) == pytest.approx(400.0)


def test_a_second_after_a_commit_counts() -> None:
    found = history(*(seen(at, (90_000, at // 10 * 100)) for at in range(92)))
    assert credit(found, 10.0) == pytest.approx(10.0)


def test_a_commit_is_counted_on_up_to_two_intervals_after_the_last() -> None:
    found = history(*(seen(at, (90_000, min(at // 60, 3) * 600)) for at in range(0, 301, 5)))
    assert credit(found, 60.0) == pytest.approx(1200.0)
    assert credit(found.append(seen(301, (90_000, 1800))), 60.0) == 0.0


def rebalanced(*ends: int, at: float = 20.0) -> History:
    """A rebalance at once, then one sample every `at` seconds without a commit."""
    shaking = Group("PreparingRebalance", "range")
    first = seen(0, (ends[0], 100), group=shaking)
    return history(first, *(seen(at * n, (end, 100)) for n, end in enumerate(ends) if n))


def test_after_a_rebalance_as_much_as_arrived_was_processed() -> None:
    assert credit(rebalanced(500, 600, 1500, 1700), 60.0) == pytest.approx(1200.0)
    assert credit(rebalanced(500), 60.0) == 0.0, "at that very moment"


def test_of_a_partition_that_came_after_the_rebalance_nothing_is_assumed() -> None:
    found = rebalanced(500).append(seen(20, (500, 100), (900, 100)))
    assert unprocessed(found, POLICY, {P1: 800}, 60.0) == {P1: 800.0}


def test_one_record_waits_until_a_minute_has_shown_that_it_stays() -> None:
    found = history(seen(0, (10, 9)), seen(5, (10, 9)))
    assert unprocessed(found, POLICY, {P0: 1}, 5.0) == {P0: 1.0}


def test_of_many_partitions_those_that_commit_tell_the_interval() -> None:
    found = history(*(seen(at, *[(900, 0)] * 24, (10 * at, at // 60 * 600)) for at in range(0, 200, 5)))
    assert commit_interval_seconds(found) == 60.0


def test_a_partition_that_came_later_tells_its_interval() -> None:
    rows = [seen(at, (900, 0), *([(10 * at, at // 30 * 300)] if at else [])) for at in range(0, 100, 5)]
    assert commit_interval_seconds(history(*rows)) == 30.0


def test_a_first_commit_tells_the_interval_by_its_size() -> None:
    found = history(*(seen(at, (10 * at, 600 if at >= 60 else None)) for at in range(0, 75, 5)))
    assert likely_commit_interval(found, EARLIEST) == pytest.approx(60.0)


def test_a_single_commit_while_nothing_arrives_tells_no_interval() -> None:
    found = history(seen(0, (900, 0)), seen(5, (900, 0)), seen(10, (900, 600)))
    assert likely_commit_interval(found, POLICY) == 5.0


def test_a_partition_that_gets_nothing_has_no_share() -> None:
    found = history(seen(0, (0, 0), (0, 0)), seen(60, (1000, 0), (0, 0)))
    assert arrival_shares(found) == {P0: 1.0, P1: 0.0}


def test_a_partition_that_came_later_has_no_share_yet() -> None:
    found = history(seen(0, (0, 0)), seen(60, (1000, 0), (700, 0)))
    assert arrival_shares(found) == {P0: 1.0, P1: 0.0}


def test_without_partitions_there_are_no_shares() -> None:
    assert arrival_shares(History()) == {}


def test_the_drain_of_rare_commits_is_taken_over_three_of_them() -> None:
    """Every 50 s 500 records; 60 s may hold one commit or two."""
    for last in range(200, 300, 5):
        found = history(*(seen(at, (90_000, at // 50 * 500)) for at in range(0, last + 1, 5)))
        assert drain(found, POLICY, 50.0) == pytest.approx(10.0, rel=0.04)


def test_the_drain_does_not_need_a_commit_interval() -> None:
    why = Unknown("no move")
    assert drain(steady(range(0, 65, 5), arrival=50, drain=40), POLICY, why) == pytest.approx(80.0)
    assert drain(History(), POLICY, why) == Unknown("committed offsets moved undisturbed for 0 s of 60 s")


@pytest.mark.parametrize(("commits", "taken"), [(5, 5.0), (12, 5.0), (15, 5.0), (17, 17.0), (20, 20.0), (22, 22.0)])
def test_commits_that_not_every_look_sees_are_told_by_their_mean(commits: int, taken: float) -> None:
    """Looks 15 s apart; commits 20 s apart are seen after 15, 15 and 30 s, of which the median is 15."""
    found = history(*(seen(at, (20 * at, at // commits * commits * 20)) for at in range(0, 600, 15)))
    assert likely_commit_interval(found, Policy(max_replicas=10)) == pytest.approx(taken, rel=0.06)


def test_looks_that_are_kept_every_ten_seconds_alone_do_not_make_commits_rarer() -> None:
    """Looks and commits every 5 s; of those older than 90 s every other one is kept."""
    found = history(*(seen(at, (20 * at, 20 * at)) for at in range(0, 600, 5)))
    assert likely_commit_interval(found, POLICY) == 5.0


def moving(commits: Sequence[int], seconds: range, each: int) -> History:
    """A partition that changes hands every `each` seconds, committed at some times up to its end."""
    def committed_at(at: int) -> int:
        return 10 * max((commit for commit in commits if commit <= at), default=0)

    return history(*(seen(at, (10 * at, committed_at(at)), group=Group("Stable", "range", (
        Member(f"m{at // each}", frozenset({P0})),))) for at in seconds))


def test_commits_around_a_rebalance_are_no_commit_interval() -> None:
    """Commits are 300 s apart; at 195 s the old consumer commits and at 210 s the new one, and so on."""
    rebalanced = moving([195, 210, 395, 410, 595, 610], range(0, 700, 15), 200)
    assert isinstance(measured_commit_interval(rebalanced, POLICY), Unknown)


def test_commits_at_every_poll_are_a_commit_interval_in_spite_of_rebalances() -> None:
    assert measured_commit_interval(moving(range(0, 700, 15), range(0, 700, 15), 15), POLICY) == 5.0
