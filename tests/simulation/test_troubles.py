"""The troubles of a simulated group, each as its description says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.snapshot import Reading, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.plant import Plant
from kafka_consumer_scaler.simulation.run import run
from kafka_consumer_scaler.simulation.troubled import ALL_PODS, Restart, Trouble, TroubledPlant
from kafka_consumer_scaler.simulation.troubles import SCENARIOS, TROUBLES, family, play, scenario
from kafka_consumer_scaler.simulation.workload import FAMILIES
from tests.simulation.groups import FOUR, advance, seen, seen_group

FIRST = TopicPartition("orders", 0)


def troubled(trouble: Trouble) -> TroubledPlant:
    """100 records/s on four even partitions and two consumers of 100 each."""
    return TroubledPlant(replace(FOUR, initial_replicas=2), [100.0] * 900, 1, trouble)


def first(snapshot: Snapshot) -> Reading:
    assert not isinstance(snapshot.partitions, Unknown)
    reading = snapshot.partitions[FIRST]
    assert isinstance(reading, Reading)
    return reading


def members(group: Plant) -> set[str]:
    return {member.id for member in seen_group(group).members}


def test_a_stuck_partition_keeps_its_consumer_and_is_not_processed() -> None:
    group = troubled(Trouble(stuck=(100.0, 0)))
    advance(group, 105)
    before = first(seen(group).snapshot)
    advance(group, 200)
    after = first(seen(group).snapshot)
    assert (before.committed, after.end - before.end) == (after.committed, 25 * 200)
    assert any(FIRST in member.partitions for member in seen_group(group).members)
    assert group.lag_records == pytest.approx(25 * 205, abs=100)


def test_consumers_that_leave_are_back_as_new_members() -> None:
    group = troubled(Trouble((Restart(100.0, 20.0),)))
    advance(group, 99)
    before = members(group)
    advance(group, 1)
    away = members(group)
    advance(group, 40)
    assert len(before & away) == 1
    assert len(members(group)) == 2
    assert before & members(group) == away


def test_a_consumer_that_crashes_is_a_member_until_its_session_ends() -> None:
    group = troubled(Trouble((Restart(100.0, 300.0, is_crash=True),)))
    advance(group, 99)
    before = members(group)
    assert members(advance(group, 45)) == before
    assert len(members(advance(group, 2))) == 1


def test_what_an_orderly_leave_has_committed_is_not_processed_again() -> None:
    orderly = advance(troubled(Trouble((Restart(103.0, 20.0, is_orderly=True),))), 200)
    rude = advance(troubled(Trouble((Restart(103.0, 20.0),))), 200)
    assert (orderly.records_reprocessed, rude.records_reprocessed > 0) == (0, True)


def test_the_group_is_empty_while_all_pods_are_away() -> None:
    group = troubled(Trouble((Restart(100.0, 60.0, pods=ALL_PODS),), pending=(100.0, 160.0)))
    advance(group, 110)
    group.scale(4)
    assert members(advance(group, 49)) == set()
    assert len(members(advance(group, 1))) == 4


def test_pending_pods_start_when_there_is_room() -> None:
    group = troubled(Trouble(pending=(100.0, 400.0)))
    advance(group, 150)
    group.scale(4)
    assert advance(group, 249).ready == 2
    assert advance(group, 1).ready == 4


def test_an_open_transaction_holds_the_end_and_not_the_high_watermark() -> None:
    group = troubled(Trouble(held=(100.0, 0)))
    advance(group, 200)
    snapshot = seen(group).snapshot
    assert (first(snapshot).end, snapshot.details.high_watermarks[FIRST]) == (25 * 100, 25 * 200)
    assert first(snapshot).committed == 25 * 100


def test_pods_are_told_of_while_something_is_the_matter() -> None:
    group = troubled(Trouble(told=(100.0, 200.0, "unschedulable")))
    told = [seen(advance(group, 75)).replicas.trouble for _ in range(3)]
    assert told == ["", "1 of 2 pods unschedulable", ""]


@pytest.mark.parametrize("name", TROUBLES)
def test_a_scenario_follows_from_its_name_and_seed(name: str) -> None:
    assert scenario(name, 3) == scenario(name, 3)
    assert scenario(name, 3) != scenario(name, 4)


def test_the_scenarios_are_the_families_and_the_troubles_apart() -> None:
    assert not set(FAMILIES) & set(TROUBLES)
    assert set(SCENARIOS) == set(FAMILIES) | set(TROUBLES)


def test_a_run_is_the_same_when_it_is_played_again() -> None:
    played = [play(scenario("crashing-pod", 2)).verdicts for _ in range(2)]
    assert played[0] == played[1]


def test_a_family_without_trouble_is_decided_as_in_the_proof() -> None:
    load = family("step", 1)
    ours = KafkaConsumerScaler(load.policy)
    run(load.load.plant, load.load.arrival, ours, load.load.seed)
    assert play(load).verdicts == ours.verdicts
