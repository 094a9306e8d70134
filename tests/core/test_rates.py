"""Lag, age, arrival, drain, and what was probably processed since the last commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.commits import NO_MOVES, commit_interval_seconds, likely_commit_interval
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import Arrival, arrival, arrival_shares, drain, lags
from kafka_consumer_scaler.core.snapshot import Group, Reading, Sample, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.core.waiting import age_seconds, ages, oldest, unprocessed
from tests.core.making import P0, P1, STABLE, history, orders, seen, steady

POLICY = Policy(max_replicas=10)
EVERY_5_S = Policy(max_replicas=10, polling_interval_seconds=5)


def test_lag_is_never_negative_even_when_the_commit_is_ahead() -> None:
    assert lags(history(seen(0, (100, 120), (100, 60))), POLICY) == {P0: 0, P1: 40}


def test_lag_of_a_partial_sample_is_unknown() -> None:
    found = lags(history(seen(0, (100, 60), None)), POLICY)
    assert isinstance(found, Unknown)
    assert "1 of 2 partitions unknown, first orders/1: the leader did not answer" in found.why


def test_lag_of_an_uncommitted_partition_is_unknown_when_offset_reset_is_none() -> None:
    policy = Policy(max_replicas=10, offset_reset=OffsetReset.NONE)
    assert isinstance(lags(history(seen(0, (100, None))), policy), Unknown)


def test_lag_counts_from_the_log_start_where_retention_passed_the_commit() -> None:
    assert lags(history(seen(0, (100, 10), start=60)), POLICY) == {P0: 40}


def test_age_is_interpolated_in_the_history_of_end_offsets() -> None:
    found = history(seen(0, (100, 100)), seen(10, (200, 100)), seen(20, (300, 150)))
    assert age_seconds(found, POLICY) == pytest.approx(15.0), "record 150 came at t = 5"


def test_age_is_interpolated_at_any_date() -> None:
    found = history(seen(70_000, (100, 100)), seen(70_010, (200, 100)), seen(70_020, (300, 150)))
    assert age_seconds(found, POLICY) == pytest.approx(15.0)


def test_age_of_the_very_first_record_of_an_interval_is_that_of_its_start() -> None:
    found = history(seen(0, (100, 100)), seen(10, (200, 100)), seen(20, (300, 200)))
    assert age_seconds(found, POLICY) == 10.0


def test_age_beyond_the_history_is_lag_over_arrival_and_no_less_than_the_history() -> None:
    found = history(seen(0, (1000, 0)), seen(10, (1100, 0)))
    assert age_seconds(found, POLICY) == pytest.approx(110.0)
    assert age_seconds(history(seen(0, (10, 5)), seen(30, (10, 5))), POLICY) == 30.0


def test_age_without_lag_is_zero_and_with_one_sample_unknown() -> None:
    assert age_seconds(history(seen(0, (10, 10))), POLICY) == 0.0
    assert age_seconds(history(seen(0, (10, 5))), POLICY) == Unknown("only one sample")


def test_age_is_that_of_the_two_looks_between_which_the_record_came() -> None:
    found = history(seen(0, (100, 100)), seen(10, (200, 100)), seen(20, (1000, 150)))
    assert age_seconds(found, POLICY) == pytest.approx(15.0), "record 150 came at t = 5, at whatever rate since"
    slow = history(seen(0, (100, 100)), seen(10, (101, 100)), seen(20, (102, 101)))
    assert age_seconds(slow, POLICY) == 10.0, "one record from look to look is growth too"


def test_age_of_a_new_partition_is_known_from_its_second_sample_on() -> None:
    grown = history(seen(0, (10, 10)), seen(5, (10, 10)), seen(10, (10, 10), (40, 0)))
    assert isinstance(ages(grown, {P0: 0, P1: 40})[P1], Unknown)
    assert ages(grown.append(seen(20, (10, 10), (80, 0))), {P0: 0, P1: 80})[P1] == 20.0


def test_the_oldest_of_all_is_unknown_when_one_is() -> None:
    why = Unknown("only one sample")
    assert oldest({P0: 3.0, P1: 7.0}) == 7.0
    assert oldest({P0: 3.0, P1: why}) is why
    assert oldest({}) == 0.0


def test_arrival_and_drain_add_up_over_partitions() -> None:
    found = steady(range(0, 70, 5), arrival=50, drain=40)
    assert arrival(found) == Arrival(100.0, 100.0, lasting=100.0)
    assert drain(found, POLICY, 5.0) == pytest.approx(80)


def test_arrival_is_that_of_the_last_minute_and_that_of_the_last_poll_or_ten_seconds() -> None:
    """100 records/s until t = 60, then 10."""
    def found(polls: int, last: int) -> Arrival | Unknown:
        return arrival(history(*(seen(at, (min(at, 60) * 100 + max(0, at - 60) * 10, 0))
                                 for at in range(0, last + 1, polls))))

    assert found(polls=5, last=65) == Arrival(5550 / 60, 55.0, lasting=5050 / 55), "from 5 s on, and from 55 s on"
    assert found(polls=10, last=70) == Arrival(5100 / 60, 10.0, lasting=4100 / 50)
    assert found(polls=15, last=75) == Arrival(4650 / 60, 10.0, lasting=3150 / 45)


def test_a_batch_is_no_arrival_that_lasts() -> None:
    found = arrival(history(*(seen(at, (200_000 if at >= 30 else 0, 0)) for at in range(0, 75, 15))))
    assert isinstance(found, Arrival)
    assert (found.average, found.lasting) == (200_000 / 60, 0.0)


def test_over_an_hour_one_record_a_minute_is_a_steady_arrival() -> None:
    found = arrival(history(*(seen(at, (at // 60, 0)) for at in range(0, 915, 15))), seconds=900)
    assert isinstance(found, Arrival)
    assert (found.average, found.lasting) == (1 / 60, 14 / 855)


def test_arrival_is_unknown_with_one_sample() -> None:
    assert isinstance(arrival(history(seen(0, (10, 0)))), Unknown)
    assert arrival(history(seen(0, (10, 0)), seen(5, (20, 0)))) == Arrival(2.0, 2.0)


def test_what_a_new_partition_held_when_it_was_first_seen_did_not_arrive_now() -> None:
    found = history(seen(0, (100, 0)), seen(10, (200, 0), (5000, 0)))
    assert arrival(found) == Arrival(10.0, 10.0)


def test_the_rate_ahead_is_the_larger_of_window_and_last_interval_plus_the_trend() -> None:
    assert Arrival(100.0, 130.0, 0.5).ahead(40.0) == 150.0
    assert Arrival(130.0, 100.0, 0.5).ahead(40.0) == 150.0
    assert Arrival(130.0, 100.0).ahead(40.0) == 130.0


def at_rates(*rates: float, step: float = 15.0) -> History:
    """One partition that gets these rates, each for one step."""
    ends = [0.0]
    for rate in rates:
        ends.append(ends[-1] + rate * step)
    return history(*(seen(index * step, (round(end), 0)) for index, end in enumerate(ends)))


@pytest.mark.parametrize(("rates", "rise"), [
    ((100, 115, 130, 145), 1.0),
    ((100, 100, 300, 300), 0.0),
    ((100, 115, 130, 140), 10 / 15),
    ((100, 130, 120, 150), 0.0),
    ((145, 130, 115, 100), 0.0),
    ((7, 100, 115, 130, 145), 1.0),
    ((100, 100, 115, 130, 145), 1.0),
    ((115, 130, 145), 0.0),
])
def test_the_rise_is_the_least_of_the_last_three(rates: tuple[float, ...], rise: float) -> None:
    found = arrival(at_rates(*rates))
    assert isinstance(found, Arrival)
    assert found.rise == pytest.approx(rise)


def test_rises_are_taken_over_15_s_or_a_poll_whichever_is_longer() -> None:
    for step in (5.0, 30.0):
        each = [rate for rate in (100, 115, 130, 145) for _ in range(max(1, round(15 / step)))]
        found = arrival(at_rates(*each, step=step))
        assert isinstance(found, Arrival)
        assert found.rise == pytest.approx(15 / max(15.0, step))


def shares_of(*counts: int) -> list[float]:
    found = arrival_shares(history(seen(0, *[(0, 0)] * len(counts)), seen(60, *((count, 0) for count in counts))))
    return [found[tp] for tp in orders(len(counts))]


def test_shares_that_differ_by_chance_are_even() -> None:
    assert shares_of(100, 130, 100, 70) == [0.25] * 4, "mean 100, three deviations are 30"
    assert shares_of(100, 132, 100, 68) == [100 / 400, 132 / 400, 100 / 400, 68 / 400]


def test_a_single_record_says_nothing_of_shares() -> None:
    assert shares_of(1, *[0] * 11) == [1 / 12] * 12


def test_shares_of_many_records_that_differ_by_a_quarter_are_even() -> None:
    assert shares_of(10_000, 12_500, 10_000, 7_500) == [0.25] * 4
    assert shares_of(10_000, 12_501, 10_000, 7_499)[1] == 12_501 / 40_000


def arriving(*looks: tuple[int, ...], step: float = 5.0) -> History:
    """What each partition gets from one look to the next."""
    ends = [tuple(map(sum, zip(*looks[:count], strict=True))) for count in range(1, len(looks) + 1)]
    first = seen(0, *[(0, 0)] * len(looks[0]))
    return history(first, *(seen(step * count, *((end, 0) for end in each)) for count, each in enumerate(ends, 1)))


def test_shares_that_differ_by_batches_are_even() -> None:
    """Four of seven batches of 1,000 went to the first, in looks of which each saw one or none of a partition's."""
    found = arriving((1000, 0), (0, 1000), (1000, 0), (0, 1000), (1000, 0), (0, 1000), (1000, 0))
    assert arrival_shares(found) == {P0: 0.5, P1: 0.5}
    assert arrival_shares(found, 10.0) == {P0: 0.5, P1: 0.5}


def test_shares_that_are_the_same_at_each_look_are_no_batches() -> None:
    assert arrival_shares(arriving(*[(700, 300)] * 7))[P0] == pytest.approx(0.7)
    assert arrival_shares(arriving((7000, 3000), step=60))[P0] == pytest.approx(0.7), "one look tells no batches"


def test_a_partition_that_gets_most_of_the_batches_is_seen_among_many() -> None:
    """In a minute 48 batches of 1,000, half of them to the first of four partitions; of 24, half may be chance."""
    looks = [tuple(1000 * (number in {0, 1 + look % 3}) for number in range(4)) for look in range(24)]
    assert arrival_shares(arriving(*looks, step=2.5))[P0] == pytest.approx(0.5)
    assert arrival_shares(arriving(*looks[:12]))[P0] == 0.25


def test_the_spread_of_looks_is_taken_by_the_number_of_looks_and_of_partitions() -> None:
    """600, 400, 200 are expected at each of three looks, and the first two are 110 off twice: chi squared is 101.

    Over 2 * 2 degrees that is 25, and three deviations of a mean of 1,200 are 522, under the 600 of the first.
    """
    found = arrival_shares(arriving((710, 290, 200), (490, 510, 200), (600, 400, 200)))
    assert [found[tp] for tp in orders(3)] == [0.5, 1200 / 3600, 600 / 3600]


def test_two_looks_of_two_partitions_tell_batches_and_looks_alike_tell_none() -> None:
    """1,000 and 0, 0 and 500: chi squared is 1,500, over one degree. 132 of 100 expected are over three deviations."""
    assert arrival_shares(arriving((1000, 0), (0, 500))) == {P0: 0.5, P1: 0.5}
    assert arrival_shares(arriving((50, 66, 50, 34), (50, 66, 50, 34)))[P1] == 132 / 400


def test_a_partition_that_was_added_tells_of_batches_too() -> None:
    found = history(seen(0, (0, 0), (0, 0)), seen(5, (700, 0), (300, 0)), seen(10, (1400, 0), (600, 0), (0, 0)),
                    seen(15, (2100, 0), (900, 0), (400, 0)))
    assert set(arrival_shares(found).values()) == {1 / 3}


def test_shares_without_arrival_are_even_and_those_of_nothing_are_none() -> None:
    assert shares_of(0, 0) == [0.5, 0.5]
    assert arrival_shares(History()) == {}


def test_shares_are_those_of_the_last_minute_or_of_as_long_as_is_asked() -> None:
    old = [seen(at, (at * 1000, 0), (0, 0)) for at in range(0, 31, 10)]
    new = [seen(at, (30_000 + at, 0), (at * 10, 0)) for at in range(40, 101, 10)]
    found = history(*old, *new)
    assert arrival_shares(found)[P1] == pytest.approx(600 / 660), "from 40 s to 100 s"
    assert arrival_shares(found, 70.0)[P1] == pytest.approx(1000 / 1100), "from 30 s to 100 s"


def test_drain_is_unknown_before_a_whole_window_was_undisturbed() -> None:
    found = drain(steady(range(0, 60, 5), arrival=50, drain=40), POLICY, 5.0)
    assert isinstance(found, Unknown)
    assert "55 s of 60 s" in found.why
    assert drain(steady(range(0, 65, 5), arrival=50, drain=40), POLICY, 5.0) == pytest.approx(80.0)


def test_drain_begins_anew_after_a_rewind() -> None:
    before = [seen(at, (9000, at * 10)) for at in range(0, 100, 5)]
    after = [seen(at, (9000, (at - 100) * 20)) for at in range(100, 165, 5)]
    assert isinstance(drain(history(*before, *after[:-1]), POLICY, 5.0), Unknown)
    assert drain(history(*before, *after), POLICY, 5.0) == pytest.approx(20.0)


def sawtooth(seconds: int) -> History:
    """10 records/s; committed every 60 s, polled every 5 s."""
    return history(*(seen(at, (at * 10, at // 60 * 600)) for at in range(0, seconds, 5)))


def test_a_commit_every_minute_polled_every_five_seconds_is_not_a_rate_of_zero() -> None:
    for seconds in range(240, 320, 5):
        found = drain(sawtooth(seconds), EVERY_5_S, 60.0)
        assert found == pytest.approx(10.0, rel=0.06), "three commit intervals hold three commits"


def test_the_commit_interval_is_what_the_polls_show() -> None:
    assert commit_interval_seconds(sawtooth(300)) == 60
    assert isinstance(commit_interval_seconds(history(seen(0, (9, 1)), seen(5, (9, 2)))), Unknown)
    assert isinstance(commit_interval_seconds(History()), Unknown)


def committing(every: int, polls: int, seconds: int = 300) -> History:
    return history(*(seen(at, (at * 10, at // every * every * 10)) for at in range(0, seconds, polls)))


@pytest.mark.parametrize(("every", "polls", "likely"), [
    (5, 5, 5.0), (60, 5, 60.0), (5, 15, 5.0), (1, 1, 1.0), (30, 15, 30.0), (15, 15, 5.0), (20, 10, 20.0),
])
def test_a_commit_at_every_poll_counts_as_kafkas_default_of_5_s(every: int, polls: int, likely: float) -> None:
    policy = Policy(max_replicas=10, polling_interval_seconds=polls)
    assert likely_commit_interval(committing(every, polls), policy) == likely


@pytest.mark.parametrize("looks", [(16.0, 16.5, 31.5, 46.5, 61.5), (0, 15, 30, 60, 75), (0, 5, 20, 35)])
def test_commits_are_counted_in_looks_which_need_not_be_even(looks: tuple[float, ...]) -> None:
    """The second comes soon after the first, and one that failed is missing: a commit is seen at each all the same."""
    found = history(*(seen(at, (int(at * 10), int(at // 5 * 50))) for at in looks))
    assert likely_commit_interval(found, POLICY) == 5.0


def test_one_move_is_enough_to_expect_kafkas_default() -> None:
    one = history(seen(0, (9, 1)), seen(5, (9, 2)))
    assert likely_commit_interval(one, EVERY_5_S) == 5.0
    assert isinstance(likely_commit_interval(history(seen(0, (9, 1)), seen(5, (9, 1))), EVERY_5_S), Unknown)
    assert isinstance(likely_commit_interval(history(seen(0, (9, 1))), EVERY_5_S), Unknown)


def waits(found: History, behind: int, interval: float | Unknown) -> float:
    return unprocessed(found, EVERY_5_S, {P0: behind}, interval)[P0]


def test_between_commits_the_position_goes_on_as_it_did() -> None:
    found = history(*(seen(at, (at * 10 + 30, at // 60 * 600)) for at in range(0, 285, 5)))
    assert waits(found, 430, 60.0) == pytest.approx(30.0), "committed 40 s ago at 10 records/s"


def test_a_commit_that_is_overdue_by_two_intervals_is_not_counted_on() -> None:
    late = [seen(at, (at * 10, min(at // 60, 3) * 600)) for at in range(0, 306, 5)]
    assert waits(history(*late[:-2]), 1150, 60.0) == pytest.approx(0.0), "115 s ago"
    assert waits(history(*late), 1250, 60.0) == 1250.0, "125 s ago"


def test_without_a_commit_interval_all_of_the_lag_waits() -> None:
    assert waits(sawtooth(300), 555, Unknown("no move")) == 555.0


def marked(seconds: int, behind: int = 1) -> History:
    """Idle for so long, with a lag that stays; a commit was seen before."""
    first = [seen(at, (at * 10, at * 10)) for at in (0, 5, 10)]
    return history(*first, *(seen(at, (100 + behind, 100)) for at in range(15, 16 + seconds, 5)))


def test_a_transactions_trailing_marker_is_no_lag_once_the_partition_is_at_rest() -> None:
    assert waits(marked(55), 1, 5.0) == 1.0
    assert waits(marked(60), 1, 5.0) == 0.0
    assert waits(marked(60, behind=10), 10, 5.0) == 0.0
    assert waits(marked(60, behind=11), 11, 5.0) == 11.0, "so many are more than markers"


def test_what_stands_still_for_less_than_three_commit_intervals_is_not_at_rest() -> None:
    """A job of five minutes goes on; its record is no marker."""
    assert waits(marked(85), 1, 30.0) == 1.0
    assert waits(marked(90), 1, 30.0) == 0.0


def test_while_no_commit_interval_is_known_a_partition_is_at_rest_after_the_objective() -> None:
    still = history(*(seen(at, (110, 100)) for at in range(0, 301, 5)))
    lag = {P0: 10}
    assert unprocessed(still, POLICY, lag, NO_MOVES) == {P0: 0.0}
    assert unprocessed(still, replace(POLICY, lag_seconds=3600), lag, NO_MOVES) == {P0: 10.0}


def test_a_partition_that_retention_emptied_has_no_lag_and_no_age() -> None:
    found = history(Snapshot(0, {P0: Reading(50, 10, 50)}, STABLE), Snapshot(5, {P0: Reading(50, 10, 50)}, STABLE))
    assert lags(found, POLICY) == {P0: 0}
    assert age_seconds(found, POLICY) == 0.0


def test_a_partition_seen_for_the_first_time_has_neither_drained_nor_arrived() -> None:
    first = Sample(0.0, {}, STABLE)
    grown = History(samples=(first, Sample(60.0, {TopicPartition("orders", 0): Reading(500, 100)}, STABLE)))
    assert drain(grown, POLICY, 5.0) == 0.0
    assert arrival(grown) == Arrival(0.0, 0.0)


def test_a_single_commit_among_several_polls_tells_the_interval_by_its_size() -> None:
    """10 records/s, nothing committed for 60 s, then 600 at once: commits come every 60 s."""
    found = history(*(seen(at, (10_000 + 10 * at, 10_000 + (600 if at >= 60 else 0))) for at in range(0, 75, 5)))
    assert likely_commit_interval(found, POLICY) == pytest.approx(60.0)


def test_the_first_two_samples_say_nothing_of_slow_commits() -> None:
    found = history(seen(0, (100, 0)), seen(15, (250, 100)))
    assert likely_commit_interval(found, POLICY) == 5.0
    assert isinstance(likely_commit_interval(history(seen(0, (100, 0)), seen(15, (250, 0))), POLICY), Unknown)


def test_after_a_rebalance_consumers_are_taken_to_keep_up_until_a_commit_is_due() -> None:
    """They commit when they give partitions up; 10 records/s, 100 s later 1,000 more, and nothing was due in 120 s."""
    shaking = Group("PreparingRebalance", "range")
    before = [seen(at, (10 * at, 10 * at), group=shaking if at == 60 else STABLE) for at in range(0, 65, 5)]
    after = [seen(at, (10 * at, 600)) for at in range(65, 200, 5)]
    assert waiting(history(*before, *after[:20]), 60.0) == pytest.approx(0.0)
    assert waiting(history(*before, *after), 60.0) == 1350.0, "overdue by two intervals, nothing is assumed"


def waiting(found: History, interval: float) -> float:
    lag = lags(found, POLICY)
    assert not isinstance(lag, Unknown)
    return unprocessed(found, POLICY, lag, interval)[P0]
