"""The simulated group against laws and cases counted by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from kafka_consumer_scaler.core.snapshot import Reading, TopicPartition, Unknown
from kafka_consumer_scaler.simulation.flow import fair_levels
from kafka_consumer_scaler.simulation.plant import Plant, PlantSpec
from tests.simulation.groups import FOUR, ONE, advance, arrived, committed, plant, readings, seen, seen_group

WILD = PlantSpec(
    partitions=10, weights=(1, 2, 3, 1, 1, 4, 1, 1, 1, 2), topics=3, capacity=60,
    capacity_changes=((100, 0.5), (300, 1)), drift_per_hour=-0.3, slow_members=1, downstream_limit=200,
    outages=((150, 30),), threads=2, pod_start_jitter=8,
    pod_failure_chance=0.3, crashes=((200, 1), (420, 2)), poll_gap_chance=0.1, poll_partial_chance=0.1,
    retention_seconds=90, initial_replicas=2, initial_lag=5000)
"""Everything that can go wrong at once."""
ASSIGNORS = ["range", "roundrobin", "sticky", "cooperative-sticky", "uniform"]


def scaled_about(group: Plant) -> None:
    """Ask for another number of replicas now and then."""
    advance(group, 50)
    for replicas in (5, 2, 3, 0, 4, 1, 6):
        group.scale(replicas)
        advance(group, 70)


@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_all_that_arrived_is_processed_waits_or_is_lost(assignor: str) -> None:
    arrival = [150 + 100 * np.sin(second / 40) for second in range(540)]
    group = plant(WILD, arrival, assignor=assignor)
    scaled_about(group)
    assert group.records_lost > 0
    assert group.records_reprocessed > 0
    left = group.records_processed + group.lag_records + group.records_lost
    assert left == pytest.approx(arrived(group, arrival), abs=1e-3)


@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_nobody_commits_beyond_the_end_or_sees_the_end_fall(assignor: str) -> None:
    group = plant(WILD, 200, assignor=assignor, poll_gap_chance=0, poll_partial_chance=0)
    ends = [0] * 10
    for second in range(400):
        group.step()
        if second % 60 == 30:
            group.scale(second // 60)
        now = readings(group)
        assert all(isinstance(reading.committed, int) and reading.committed <= reading.end for reading in now)
        assert all(reading.end >= end for reading, end in zip(now, ends, strict=True))
        ends = [reading.end for reading in now]


def test_a_backlog_ages_by_what_the_consumer_lacks() -> None:
    """200 records/s meet 100: after 60 s the group is at record 6,000, which came at 30 s."""
    group = advance(plant(ONE, 200), 60)
    assert [group.lag_records, group.lag_seconds] == pytest.approx([6000, 30])


def test_the_age_is_that_of_the_first_record_behind_a_break() -> None:
    """2,000 records come within 10 s and are processed within 20; at 15 s the group is at record 1,500, of 7.5 s.

    After the break 300 a second come: at 102 s the group is at the 200th of them, which came at 100 2/3 s.
    """
    group = plant(ONE, [200.0] * 10 + [0.0] * 90 + [300.0] * 10)
    advance(group, 15)
    assert [group.lag_records, group.lag_seconds] == pytest.approx([500, 15 - 7.5])
    advance(group, 85)
    assert (group.lag_records, group.lag_seconds) == (0, 0)
    advance(group, 2)
    assert [group.lag_records, group.lag_seconds] == pytest.approx([400, 2 - 2 / 3])


def test_rounding_is_no_lag_however_many_records_went_by() -> None:
    """A billion records on seven uneven partitions, then a break: an offset off by an ulp would age all through it."""
    arrival = [1.2e6] * 10 + [1e6] * 1000 + [0.0] * 500 + [1.2e6] * 10
    group = plant(PlantSpec(partitions=7, weights=(1, 2, 3, 5, 7, 11, 13), capacity=1.1e6), arrival)
    advance(group, 1010)
    assert max(advance(group, 1).lag_seconds for _ in range(500)) == 0
    assert 0 < max(advance(group, 1).lag_seconds for _ in range(10)) < 10


@pytest.mark.parametrize("level", [1 / 3, 100 / 7, 333.3, 12345.6789])
def test_the_first_records_after_a_break_are_young_on_every_partition(level: float) -> None:
    arrival = [level] * 101 + [0.0] * 99 + [level] * 9
    group = plant(PlantSpec(partitions=11, weights=tuple(range(1, 12)), capacity=1e9), arrival)
    advance(group, 150).scale(0)
    advance(group, 50)
    assert [advance(group, 1).lag_seconds for _ in range(9)] == pytest.approx(range(1, 10), abs=1e-3)


def test_the_age_of_the_group_is_that_of_its_worst_partition() -> None:
    """Of 200 records/s the first partition gets 150, its consumer processes 100, the other one keeps up."""
    group = plant(PlantSpec(partitions=2, weights=(3, 1), initial_replicas=2), 200)
    advance(group, 60)
    assert [group.lag_records, group.lag_seconds] == pytest.approx([3000, 20])


def test_age_and_lag_agree_with_a_plain_queue() -> None:
    """A dumb twin: one queue of seconds, the oldest served first."""
    dice = np.random.default_rng(5)
    arrival = dice.uniform(0, 220, 500).tolist()
    group, queue = plant(ONE, arrival), []
    for second, level in enumerate(arrival):
        queue.append([float(second), level])
        left = 100.0
        while queue and left >= queue[0][1]:
            left -= queue.pop(0)[1]
        if queue:
            served = left / arrival[int(queue[0][0])]
            queue[0] = [queue[0][0] + served, queue[0][1] - left]
        group.step()
        assert group.lag_records == pytest.approx(sum(records for _, records in queue), abs=1e-6)
        assert group.lag_seconds == pytest.approx(second + 1 - queue[0][0] if queue else 0, abs=1e-6)


def test_a_backlog_at_the_start_counts_as_arrived_then() -> None:
    group = advance(plant(ONE, 50, initial_lag=1000), 10)
    assert [group.lag_records, group.lag_seconds] == pytest.approx([500, 10])
    assert advance(group, 5).lag_seconds == pytest.approx(15 - (1500 - 1000) / 50)
    assert advance(group, 6).lag_seconds == 0


def test_commits_trail_what_is_processed_like_a_saw() -> None:
    group = advance(plant(ONE, 40, commit_seconds=5), 20)
    trail = []
    for _ in range(10):
        trail.append(readings(advance(group, 1))[0].end - committed(group))
    assert sorted(trail) == [0, 0, 40, 40, 80, 80, 120, 120, 160, 160]
    assert trail[:5] == trail[5:]
    assert group.lag_records == 0


def test_members_commit_each_on_a_beat_of_its_own() -> None:
    group = advance(plant(FOUR, 40, initial_replicas=4, commit_seconds=10), 20)
    assert len({reading.committed for reading in readings(group)}) > 1


def test_capacity_that_a_partition_does_not_use_goes_to_the_others() -> None:
    """One consumer, 100 records/s, partitions of 10, 30, 80 and 80: 10 + 30 + 30 + 30."""
    group = advance(plant(FOUR, 200, weights=(1, 3, 8, 8), commit_seconds=1), 1)
    assert [reading.committed for reading in readings(group)] == [10, 30, 30, 30]


def test_fair_levels_serve_all_or_share_what_there_is() -> None:
    dice = np.random.default_rng(7)
    demands, capacities = dice.uniform(0, 50, (200, 9)) * (dice.random((200, 9)) < 0.7), dice.uniform(0, 400, 200)
    levels = fair_levels(demands.copy(), capacities)
    served = np.minimum(demands, levels[:, None]).sum(axis=1)
    assert served == pytest.approx(np.minimum(demands.sum(axis=1), capacities))


def test_a_pod_works_once_it_is_started_and_its_partitions_have_moved() -> None:
    group = plant(FOUR, 200, pod_start_seconds=15, rebalance_seconds=5)
    advance(group, 10).scale(2)
    advance(group, 14)
    assert (group.ready, seen(group).replicas.existing, seen_group(group).state) == (1, 2, "Stable")
    advance(group, 1)
    assert (group.ready, seen_group(group).state) == (2, "PreparingRebalance")
    advance(group, 5)
    assert seen_group(group).state == "Stable"
    before = group.lag_records
    assert advance(group, 10).lag_records == pytest.approx(before)
    assert Counter(len(member.partitions) for member in seen_group(group).members) == {2: 2}


@pytest.mark.parametrize(("assignor", "share"), [
    ("range", 1.0), ("sticky", 1.0), ("cooperative-sticky", 0.5), ("uniform", 0.5)])
def test_only_an_eager_assignor_stops_what_does_not_move(assignor: str, share: float) -> None:
    """From one member to two, two of four partitions move."""
    group = plant(FOUR, 40, assignor=assignor, pod_start_seconds=10, rebalance_seconds=5)
    group.scale(2)
    stopped = [advance(group, 1).rebalancing for _ in range(20)]
    assert stopped == [0.0] * 10 + [share] * 5 + [0.0] * 5
    assert group.lag_records == 0


def test_partitions_are_committed_before_they_are_given_up() -> None:
    def given_up(assignor: str) -> int:
        group = plant(FOUR, 40, assignor=assignor, pod_start_seconds=10, commit_seconds=600)
        group.scale(2)
        return sum(reading.committed == 100 for reading in readings(advance(group, 10)))

    assert (given_up("sticky"), given_up("cooperative-sticky")) == (4, 2)


def test_range_stops_only_what_moves_under_the_protocol_of_kafka_4() -> None:
    group = plant(FOUR, 40, assignor="range", protocol="consumer", pod_start_seconds=10)
    group.scale(2)
    assert advance(group, 11).rebalancing == 0.5
    assert (seen_group(group).state, seen_group(group).assignor) == ("Reconciling", "range")


def test_a_classic_group_shows_no_assignments_while_it_rebalances() -> None:
    group = plant(FOUR, 40, pod_start_seconds=10)
    group.scale(2)
    shown = seen_group(advance(group, 11))
    assert (shown.state, shown.assignor, len(shown.members)) == ("PreparingRebalance", "", 2)
    assert not any(member.partitions for member in shown.members)


def test_pods_that_leave_commit_first_and_the_youngest_leave_first() -> None:
    group = advance(plant(FOUR, 80, initial_replicas=2, commit_seconds=600), 30)
    oldest = min(member.id for member in seen_group(group).members)
    group.scale(1)
    assert Counter(reading.committed for reading in readings(group)) == {0: 2, 600: 2}
    assert [member.id for member in seen_group(group).members] == [oldest]
    assert seen_group(group).state == "PreparingRebalance"
    assert len(seen_group(advance(group, 5)).members[0].partitions) == 4


def test_a_group_without_members_is_empty_and_its_records_wait() -> None:
    group = advance(plant(FOUR, 100, commit_seconds=600), 10)
    group.scale(0)
    assert committed(group) == 1000
    assert (seen_group(group).state, seen_group(group).members, group.ready) == ("Empty", (), 0)
    assert advance(group, 60).lag_seconds == pytest.approx(60)
    group.scale(3)
    assert advance(group, 20).lag_seconds == pytest.approx(80)
    assert advance(group, 120).lag_seconds == 0


def test_a_rebalance_ends_with_the_last_member() -> None:
    group = plant(FOUR, 100, pod_start_seconds=10, rebalance_seconds=60)
    group.scale(2)
    assert advance(group, 12).rebalancing == 0.5
    group.scale(0)
    assert advance(group, 1).rebalancing == 0
    group.scale(1)
    assert seen_group(advance(group, 10)).state == "PreparingRebalance"


def test_failed_starts_take_their_time_again() -> None:
    group = plant(FOUR, 0, pod_failure_chance=0.9, pod_start_seconds=10, initial_replicas=0)
    group.scale(20)
    advance(group, 10)
    assert 0 <= group.ready < 10
    ready = [advance(group, 1).ready for _ in range(500)]
    assert ready == sorted(ready)
    assert ready[-1] >= 18


def test_jitter_spreads_the_pods_over_its_seconds() -> None:
    group = plant(FOUR, 0, pod_start_seconds=10, pod_start_jitter=20, initial_replicas=0)
    group.scale(20)
    ready = [advance(group, 1).ready for _ in range(31)]
    assert ready[8] == 0
    assert 0 < ready[19] < 20
    assert ready[30] == 20


def test_a_shared_downstream_bounds_all_consumers_together() -> None:
    group = advance(plant(FOUR, 300, initial_replicas=4, downstream_limit=120), 50)
    assert group.lag_records == pytest.approx(50 * 180)


def test_the_downstream_limit_serves_small_wants_in_full() -> None:
    """Of 100 for wants of 10, 30, 80 and 80, the small ones are met: 10 + 30 + 30 + 30."""
    group = plant(FOUR, 200, weights=(1, 3, 8, 8), initial_replicas=4, downstream_limit=100, commit_seconds=1)
    assert [reading.committed for reading in readings(advance(group, 1))] == [10, 30, 30, 30]


def test_capacity_changes_drift_outages_and_slow_members() -> None:
    spec = PlantSpec(capacity_changes=((100, 0.5), (200, 1)), drift_per_hour=-0.5, outages=((300, 10),))
    assert [spec.capacity_factor(at) for at in (0, 305)] == [1, 0]
    assert spec.capacity_factor(100) == pytest.approx(0.5 * (1 - 0.5 / 36))
    assert spec.capacity_factor(1800) == pytest.approx(0.75)
    group = advance(plant(FOUR, 400, initial_replicas=2, slow_members=1, slow_factor=0.25), 10)
    assert group.records_processed == pytest.approx(10 * 125)


def test_threads_are_consumers_of_their_own() -> None:
    group = advance(plant(FOUR, 400, threads=4), 10)
    assert (group.lag_records, len(seen_group(group).members)) == (0, 4)


def test_a_crash_repeats_what_was_not_committed_and_stops_its_partitions_for_the_session() -> None:
    group = advance(plant(FOUR, 80, initial_replicas=2, commit_seconds=600, crashes=((30, 1),)), 29)
    assert group.lag_records == 0
    advance(group, 1)
    assert group.records_reprocessed == group.lag_records == pytest.approx(30 * 40)
    assert (seen_group(group).state, group.ready, seen(group).replicas.existing) == ("Stable", 1, 2)
    advance(group, 15)
    assert (seen_group(group).state, group.ready) == ("PreparingRebalance", 2)
    assert len({member.id for member in seen_group(group).members}) == 3
    assert seen_group(advance(group, 20)).state == "PreparingRebalance"
    assert advance(group, 10).lag_seconds == pytest.approx(75)
    assert (seen_group(group).state, len(seen_group(group).members)) == ("PreparingRebalance", 2)
    assert seen_group(advance(group, 5)).state == "Stable"
    assert advance(group, 60).lag_seconds < 75


def test_the_protocol_of_kafka_4_does_not_wait_for_the_dead() -> None:
    group = advance(plant(FOUR, 80, assignor="uniform", initial_replicas=2, crashes=((30, 1),)), 45)
    assert seen_group(group).state == "Reconciling"
    assert seen_group(advance(group, 5)).state == "Stable"


def test_a_crash_goes_back_to_the_start_of_the_log_at_most() -> None:
    """Nothing was ever committed; of the 100 s before the crash, retention kept 30 s, and those are processed again."""
    group = advance(plant(ONE, 90, retention_seconds=30, commit_seconds=600, crashes=((100, 1),)), 110)
    assert [group.records_reprocessed, group.records_lost] == pytest.approx([30 * 90, 10 * 90])


def test_a_pod_that_is_not_ready_is_removed_before_the_youngest() -> None:
    for seed in range(6):
        group = plant(FOUR, 0, initial_replicas=4, crashes=((10, 1),), pod_start_seconds=500, seed=seed)
        advance(group, 20).scale(3)
        assert (group.ready, seen(group).replicas.existing) == (3, 3)


def test_without_a_new_pod_the_others_take_over_after_the_session() -> None:
    group = plant(FOUR, 80, initial_replicas=2, crashes=((30, 1),), pod_start_seconds=500, session_timeout_seconds=45)
    advance(group, 74)
    assert (seen_group(group).state, group.lag_seconds >= 44) == ("Stable", True)
    advance(group, 1 + 5)
    assert [len(member.partitions) for member in seen_group(group).members] == [4]


def test_retention_deletes_the_oldest_and_counts_what_was_lost() -> None:
    """200 records/s meet 100: after 60 s the oldest is 30 s old; from then on 100 records/s are deleted, for 40 s."""
    group = advance(plant(ONE, 200, retention_seconds=30), 100)
    assert group.lag_seconds == pytest.approx(30)
    assert group.records_lost == pytest.approx(100 * 40)
    assert readings(group)[0].start == 200 * 70


def test_nothing_is_lost_that_was_processed_in_time() -> None:
    group = advance(plant(ONE, 90, retention_seconds=30), 200)
    assert (group.records_lost, readings(group)[0].start) == (0, 170 * 90)


def test_topics_are_numbered_and_one_alone_is_called_orders() -> None:
    assert set(_partitions(plant(FOUR, 1))) == {TopicPartition("orders", number) for number in range(4)}
    three = sorted(map(str, _partitions(plant(FOUR, 1, topics=3))))
    assert three == ["topic-0/0", "topic-0/1", "topic-1/0", "topic-2/0"]


def _partitions(group: Plant) -> dict[TopicPartition, Reading | Unknown]:
    partitions = seen(group).snapshot.partitions
    assert not isinstance(partitions, Unknown)
    return dict(partitions)


def test_range_divides_each_topic_apart() -> None:
    group = plant(PlantSpec(partitions=6, topics=3, initial_replicas=4, assignor="range"), 1)
    assert [len(member.partitions) for member in seen_group(group).members] == [3, 3, 0, 0]


def test_looks_fail_now_and_then_and_for_all_policies_alike() -> None:
    def missed(replicas: int) -> list[int]:
        group = plant(FOUR, 10, poll_gap_chance=0.3, initial_replicas=replicas)
        looks = (advance(group, 1).observe().snapshot for _ in range(300))
        return [second for second, look in enumerate(looks) if look.partitions == Unknown("the brokers did not answer")]

    assert missed(1) == missed(3)
    assert 60 < len(missed(1)) < 120


def test_a_partial_look_lacks_one_partition() -> None:
    group = advance(plant(FOUR, 10, poll_partial_chance=0.99), 10)
    unknown = [reading for reading in _partitions(group).values() if isinstance(reading, Unknown)]
    assert [each.why for each in unknown] == ["the leader did not answer"]


def _story(seed: int) -> bytes:
    group = plant(WILD, 200, seed=seed)
    told = []
    for second in range(500):
        if second % 90 == 45:
            group.scale(second % 7)
        group.step()
        told.append((group.lag_records, group.lag_seconds, group.ready, group.rebalancing, repr(group.observe())))
    return repr(told).encode()


def test_a_seed_tells_the_same_story_to_the_last_bit_and_another_seed_another() -> None:
    assert _story(1) == _story(1)
    assert _story(1) != _story(2)


def test_it_does_not_go_on_after_the_arrivals() -> None:
    with pytest.raises(IndexError):
        advance(plant(ONE, 1, seconds=3), 4)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_arrivals_are_numbers(rate: float) -> None:
    with pytest.raises(ValueError, match="an arrival is negative"):
        Plant(ONE, [1.0, rate], 1)
