"""Records/s of one consumer: what busy consumers prove, what idle ones do not."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.capacity import Capacity, Stretch, busy_drain, capacity, measure, stretches
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.snapshot import Group, Member, Snapshot, Unknown
from tests.core.making import P0, P1, STABLE, history, seen, steady

POLICY = Policy(max_replicas=10)
ALONE = Group("Stable", "range", (Member("m0", frozenset({P0, P1})),))


def learned(found: History, before: Capacity | None = None, interval: float | Unknown = 5.0) -> Capacity | Unknown:
    return capacity(found, POLICY, interval, before)


def test_capacity_is_learned_when_every_consumer_was_busy() -> None:
    busy = steady(range(0, 70, 5), arrival=50, drain=40, lag=2000)
    assert learned(busy, Capacity(90.0, learned=True)) == Capacity(40.0, learned=True)


@pytest.mark.parametrize(("lag", "is_busy"), [(401, True), (400, False)])
def test_busy_is_behind_by_more_than_two_commit_intervals_of_drain(lag: int, is_busy: bool) -> None:
    found = steady(range(0, 65, 5), arrival=40, drain=40, lag=lag)
    assert {each.is_busy for each in stretches(found, POLICY, 5.0)} == {is_busy}


@pytest.mark.parametrize("poll", [15, 30, 60])
@pytest.mark.parametrize("since", [1, 14, 15])
def test_an_idle_group_that_commits_as_often_as_it_is_looked_at_teaches_no_capacity(poll: int, since: int) -> None:
    """25 records/s to each, committed up to a look ago whenever it is looked at: behind by 14 s of them, and idle."""
    idle = history(*(seen(at, *[(25 * at + 9000, 25 * (at - since * poll // 15) + 9000)] * 2)
                     for at in range(0, 10 * poll, poll)))
    policy = Policy(max_replicas=10, polling_interval_seconds=poll)
    assert not any(each.is_busy for each in stretches(idle, policy, 5.0))
    assert capacity(idle, policy, 5.0, Capacity(100.0, learned=True)) == Capacity(100.0, learned=True)


def test_a_look_that_was_missed_does_not_hide_a_busy_consumer() -> None:
    """15 s of drain are 600 records; the look of 30 s later saw 1,200, and 1,000 are waiting."""
    policy = Policy(max_replicas=10)
    for looks in ((0, 15, 30, 45, 60), (0, 15, 45, 60)):
        found = history(*(seen(at, *[(40 * at + 1000, 40 * at)] * 2) for at in looks))
        assert {each.is_busy for each in stretches(found, policy, 5.0)} == {True}


def test_a_window_is_60_s_and_less_is_not_yet_learned() -> None:
    assert learned(steady(range(0, 60, 5), arrival=40, drain=40, lag=2000)) == Capacity(40.0, learned=False, busy=True)
    assert learned(steady(range(0, 65, 5), arrival=40, drain=40, lag=2000)) == Capacity(40.0, learned=True)


def test_a_stretch_is_the_last_window() -> None:
    found = steady(range(0, 200, 5), arrival=40, drain=40, lag=2000)
    assert stretches(found, POLICY, 5.0) == (Stretch(2400, 60.0, True),) * 2


def test_an_idle_groups_low_rate_never_lowers_the_capacity() -> None:
    idle = steady(range(0, 70, 5), arrival=5, drain=5)
    assert learned(idle, Capacity(90.0, learned=True)) == Capacity(90.0, learned=True)


def test_a_beaten_lower_bound_is_raised_by_what_the_commits_prove() -> None:
    idle = steady(range(0, 70, 5), arrival=52, drain=52)
    assert learned(idle, Capacity(20.0, learned=False)) == Capacity(52 * 60 / 65, learned=False)
    assert learned(idle, Capacity(20.0, learned=True)) == Capacity(52 * 60 / 65, learned=True)
    assert learned(idle, Capacity(52 * 60 / 65, learned=False)) == Capacity(52 * 60 / 65, learned=False)
    assert learned(idle) == Capacity(52 * 60 / 65, learned=False)


def test_an_idle_group_teaches_nothing() -> None:
    found = learned(steady(range(0, 70, 5), arrival=0, drain=0))
    assert isinstance(found, Unknown)
    assert found.why == "nothing was processed by consumers that kept their partitions for long enough"


def test_without_a_commit_interval_what_was_known_stays() -> None:
    busy, why = steady(range(0, 70, 5), arrival=50, drain=40, lag=2000), Unknown("no move")
    assert learned(busy, interval=why) is why
    assert learned(busy, Capacity(7.0, learned=False), interval=why) == Capacity(7.0, learned=False)


def test_busy_for_three_commit_intervals_is_likely_and_not_yet_learned() -> None:
    def after(seconds: int) -> Capacity | Unknown:
        return learned(steady(range(0, seconds + 1, 5), arrival=40, drain=40, lag=2000))

    assert isinstance(after(10), Unknown), "too short for a lower bound, too"
    assert after(15) == Capacity(40.0, learned=False, busy=True)


def test_a_lower_bound_takes_three_commit_intervals() -> None:
    """Two looks a second apart would prove 2 records/s of 12 that arrive."""
    def after(seconds: int) -> Capacity | Unknown:
        return learned(steady(range(0, seconds + 1, 5), arrival=40, drain=40))

    assert isinstance(after(10), Unknown)
    assert after(15) == Capacity(40 * 15 / 20, learned=False)


def test_what_is_likely_replaces_a_lower_bound_and_not_what_was_learned() -> None:
    short = steady(range(0, 20, 5), arrival=40, drain=40, lag=2000)
    assert learned(short, Capacity(90.0, learned=False)) == Capacity(40.0, learned=False, busy=True)
    assert learned(short, Capacity(45.0, learned=True)) == Capacity(45.0, learned=True)


def slowed_to(rate: float, seconds: int, interval: float = 5.0) -> Capacity | Unknown:
    found = steady(range(0, seconds + 1, 5), arrival=100, drain=rate, lag=5000)
    return learned(found, Capacity(100.0, learned=True), interval)


def test_consumers_that_all_become_slower_are_relearned_after_four_commit_intervals() -> None:
    assert slowed_to(40, seconds=15) == Capacity(100.0, learned=True)
    assert slowed_to(40, seconds=20) == Capacity(40.0, learned=True)


@pytest.mark.parametrize(("rate", "found"), [(63, 63.0), (64, 100.0)])
def test_slower_is_when_even_the_most_they_may_have_done_is_under_085(rate: float, found: float) -> None:
    assert slowed_to(rate, seconds=20) == Capacity(found, learned=True), "63 * 20 / 15 = 84, 64 * 20 / 15 = 85.3"


def test_one_slow_member_of_two_is_not_all_of_them() -> None:
    snapshots = [seen(at, (90_000, 20 * at), (1000 + 100 * at, 1000 + 100 * at)) for at in range(0, 25, 5)]
    assert learned(history(*snapshots), Capacity(100.0, learned=True)) == Capacity(100.0, learned=True)


def test_a_short_stretch_with_the_same_consumers_proves_what_they_did_since() -> None:
    snapshots = [seen(at, *[(90_000, 100 * at)] * 2, group=ALONE if at < 40 else STABLE) for at in range(0, 65, 5)]
    found = history(*snapshots)
    assert stretches(found, POLICY, 5.0) == (Stretch(2000, 20.0, True),) * 2
    assert learned(found) == Capacity(100.0, learned=False, busy=True)


def test_a_rebalance_begins_a_new_stretch() -> None:
    shaking = Group("PreparingRebalance", "range", STABLE.members)
    snapshots = [seen(at, *[(90_000, 100 * at)] * 2, group=shaking if at == 40 else STABLE) for at in range(0, 65, 5)]
    assert [each.seconds for each in stretches(history(*snapshots), POLICY, 5.0)] == [15.0, 15.0]
    assert stretches(history(*snapshots[:9]), POLICY, 5.0) == ()


def test_a_member_that_is_listed_twice_counts_once() -> None:
    twice = Group("Stable", "range", (Member("m0", frozenset()), Member("m0", frozenset({P0, P1}))))
    found = history(*(seen(at, *[(2000 + 40 * at, 40 * at)] * 2, group=twice) for at in range(0, 65, 5)))
    assert stretches(found, POLICY, 5.0) == (Stretch(4800, 60.0, True),)


def test_an_unknown_group_has_no_stretches() -> None:
    lost = seen(65, (90_000, 6500), (90_000, 6500), group=Unknown("no coordinator"))
    assert stretches(steady(range(0, 65, 5), 50, 40).append(lost), POLICY, 5.0) == ()
    assert stretches(History(), POLICY, 5.0) == ()


def test_one_drained_partition_is_enough_to_learn_nothing() -> None:
    skewed = history(*(seen(at, (10_000 + 50 * at, 1000 + 40 * at), (20 * at, 20 * at)) for at in range(0, 70, 5)))
    found = stretches(skewed, POLICY, 5.0)
    assert [each.is_busy for each in found] == [True, False]
    assert learned(skewed) == Capacity(40.0, learned=True), "only the busy one counts"


def test_lag_of_a_partition_that_does_not_move_does_not_make_its_consumer_busy() -> None:
    half = history(*(seen(at, (90_000, 100), (20 * at, 20 * at), group=ALONE) for at in range(0, 70, 5)))
    assert [each.is_busy for each in stretches(half, POLICY, 5.0)] == [False]


def test_a_consumer_is_busy_from_when_it_fell_behind_on() -> None:
    def falling_behind(since: int) -> tuple[Stretch, ...]:
        ends = [40 * at + (5000 if at >= since else 0) for at in range(0, 65, 5)]
        return stretches(history(*(seen(index * 5.0, (end, 200 * index), group=Group(
            "Stable", "range", (Member("m0", frozenset({P0})),))) for index, end in enumerate(ends))), POLICY, 5.0)

    assert falling_behind(30) == (Stretch(1200, 30.0, True),)
    assert falling_behind(35) == (Stretch(2400, 60.0, False),), "busy for 25 s alone"


def test_all_rates_are_measured_at_once() -> None:
    rates = measure(steady(range(0, 70, 5), arrival=50, drain=40, lag=2000), POLICY, None, 5.0)
    assert (rates.drain, rates.capacity) == (80.0, Capacity(40.0, learned=True))
    assert rates.arrival == Arrival(100.0, 100.0, lasting=100.0)
    idle = measure(steady(range(0, 70, 5), arrival=5, drain=5), POLICY, Capacity(90.0, learned=True), 5.0)
    assert idle.capacity == Capacity(90.0, learned=True)


def test_the_busy_drain_is_known_when_all_owners_were_busy_for_so_long() -> None:
    minute = steady(range(0, 65, 5), arrival=50, drain=40, lag=2000)
    assert busy_drain(minute, POLICY, 60.0) == 80.0
    assert busy_drain(minute, POLICY, 60.1) is None
    assert busy_drain(steady(range(0, 65, 5), arrival=40, drain=40), POLICY, 15.0) is None
    assert busy_drain(steady(range(0, 65, 5), arrival=0, drain=0, lag=50), POLICY, 15.0) is None, "no commit was seen"
    assert busy_drain(History(), POLICY, 15.0) is None


def test_members_without_partitions_do_not_hide_the_busy_drain() -> None:
    spare = Group("Stable", "range", (*STABLE.members, Member("m2")))
    snapshots = [seen(at, *[(90_000, 40 * at)] * 2, group=spare) for at in range(0, 65, 5)]
    assert busy_drain(history(*snapshots), POLICY, 60.0) == 80.0
    newcomer = Group("Stable", "range", (Member("m0", frozenset({P0})), Member("m9", frozenset({P1}))))
    last = Snapshot(65.0, history(*snapshots).samples[-1].readings, newcomer)
    assert busy_drain(history(*snapshots, last), POLICY, 15.0) is None, "m9 was not watched"


@pytest.mark.parametrize(("times", "found"), [(3.0, 3.0), (3.1, 1.0)])
def test_who_commits_more_than_three_times_what_was_learned_has_skipped_records(times: float, found: float) -> None:
    """65 committed within 60 s, at a commit interval of 5 s, prove 60: what was learned is told in these."""
    fast = steady(range(0, 65, 5), arrival=65 * times, drain=65 * times)
    assert learned(fast, Capacity(60.0, learned=True)) == Capacity(60.0 * found, learned=True)
    assert learned(fast, Capacity(1.0, learned=False)) == Capacity(60.0 * times, learned=False)


ONE = Group("Stable", "range", (Member("m0", frozenset({P0})),))


def test_an_outage_right_after_a_consumer_fell_behind_is_no_capacity_of_zero() -> None:
    """Caught up for 25 s, then 5,000 records behind and nothing committed for 30 s."""
    rows = [(40 * at, 40 * at) if at < 30 else (40 * at + 5000, 1200) for at in range(0, 65, 5)]
    found = history(*(seen(5.0 * index, row, group=ONE) for index, row in enumerate(rows)))
    assert stretches(found, POLICY, 5.0) == (Stretch(1200, 60.0, False),)
    assert learned(found, Capacity(100.0, learned=True)) == Capacity(100.0, learned=True)


@pytest.mark.parametrize(("dead_since", "found"), [(30, 100.0), (35, 600 / 20), (40, 800 / 20)])
def test_who_died_and_is_still_a_member_has_not_become_slower(dead_since: int, found: float) -> None:
    """Behind all the time, 40 records/s until it died, and looked at after 40 s: a death shows after 10 s."""
    rows = [(100 * at + 5000, 40 * min(at, dead_since)) for at in range(20, 45, 5)]
    seen_of_it = history(*(seen(5.0 * index, row, group=ONE) for index, row in enumerate(rows)))
    assert learned(seen_of_it, Capacity(100.0, learned=True)) == Capacity(found, learned=True)


def test_a_record_a_minute_is_a_capacity() -> None:
    found = history(*(seen(at, (100, 1 if at == 60 else 0), group=ONE) for at in range(0, 65, 5)))
    assert learned(found) == Capacity(1 / 60, learned=True)


def test_with_rare_commits_a_window_is_three_of_them() -> None:
    found = steady(range(0, 300, 10), arrival=40, drain=40, lag=20_000)
    assert stretches(found, POLICY, 60.0) == (Stretch(7200, 180.0, True),) * 2


def test_two_looks_make_a_stretch() -> None:
    assert stretches(steady((0, 15), 40, 40, lag=2000), POLICY, 5.0) == (Stretch(600, 15.0, True),) * 2
    assert stretches(steady((0, 1), 40, 40, lag=2000), POLICY, 5.0) == (Stretch(40, 1.0, True),) * 2


def test_a_first_commit_counts_from_where_the_reset_begins() -> None:
    earliest = Policy(max_replicas=10, offset_reset=OffsetReset.EARLIEST)
    found = history(*(seen(at, (90_000, 40 * at or None), group=ONE) for at in range(0, 65, 5)))
    assert stretches(found, earliest, 5.0) == (Stretch(2400, 60.0, True),)
    idle = history(*(seen(at, (40 * at + 10, 40 * at or None), group=ONE) for at in range(0, 65, 5)))
    assert stretches(idle, earliest, 5.0) == (Stretch(2400, 60.0, False),)


@pytest.mark.parametrize(("every", "is_busy"), [(5, True), (30, True), (60, False)])
def test_a_backlog_makes_its_consumer_busy_while_it_moves(every: int, is_busy: bool) -> None:
    """A partition that is caught up beside one with a backlog of 90,000, which moves once in so many seconds."""
    found = history(*(seen(at, (90_000, 7 * (at // every)), (20 * at, 20 * at), group=ALONE)
                      for at in range(0, 65, 5)))
    assert [each.is_busy for each in stretches(found, POLICY, 5.0)] == [is_busy]


def test_the_busy_drain_is_that_of_the_members_of_now() -> None:
    lost = Unknown("no coordinator")
    found = history(*(seen(at, *[(90_000, 40 * at)] * 2, group=lost if at < 10 else STABLE) for at in range(0, 75, 5)))
    assert busy_drain(found, POLICY, 60.0) == 80.0


def test_a_window_is_no_longer_than_the_history_can_tell() -> None:
    found = steady(range(0, 600, 10), arrival=40, drain=40, lag=4_000)
    assert {each.seconds for each in stretches(found, POLICY, 200.0)} == {480.0}
