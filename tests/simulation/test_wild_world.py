"""The wider simulator: topics, outside members, slow records and reported states behave as documented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition, Uncommitted
from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.wild.cases import CASES, case, group, level, policy, step
from kafka_consumer_scaler.simulation.wild.plant import WildPlant
from kafka_consumer_scaler.simulation.wild.play import play
from kafka_consumer_scaler.simulation.wild.world import (
    NOBODY,
    ExtraPods,
    Offsets,
    OutsideMembers,
    ReportedState,
    Resets,
    Stuck,
    Topic,
    World,
)

SECONDS = 900


def world(*topics: Topic, replicas: int = 1, settings: Policy | None = None, **plant: object) -> World:
    return group("test", 1, topics or (orders(100),), settings or policy(), replicas, **plant)  # type: ignore[arg-type]


def orders(rate: float, **changes: object) -> Topic:
    return replace(Topic("orders", level(rate, SECONDS), partitions=4), **changes)  # type: ignore[arg-type]


def at(second: int, of: World) -> WildPlant:
    plant = WildPlant(of)
    for _ in range(second):
        plant.step()
    return plant


def read(plant: WildPlant) -> dict[TopicPartition, Reading]:
    partitions = plant.observe().snapshot.partitions
    assert not hasattr(partitions, "why")
    return {tp: reading for tp, reading in partitions.items() if isinstance(reading, Reading)}


def reported(plant: WildPlant) -> Group:
    described = plant.observe().snapshot.group
    assert isinstance(described, Group)
    return described


def lag(plant: WildPlant, topic: str) -> int:
    return sum(reading.end - reading.committed for tp, reading in read(plant).items()
               if tp.topic == topic and isinstance(reading.committed, int))


def test_two_topics_get_their_own_loads() -> None:
    plant = at(100, world(orders(100), Topic("views", level(10, SECONDS), partitions=2), replicas=4))
    ends = {name: sum(each.end for tp, each in read(plant).items() if tp.topic == name) for name in ("orders", "views")}
    assert ends == pytest.approx({"orders": 10_000, "views": 1000}, abs=4)


def test_a_topic_that_nobody_reads_grows_and_belongs_to_nobody() -> None:
    plant = at(200, world(orders(50), Topic("legacy", level(10, SECONDS), partitions=2, reader=NOBODY)))
    assert lag(plant, "legacy") == pytest.approx(2000, abs=2)
    assert {tp.topic for member in reported(plant).members for tp in member.partitions} == {"orders"}
    assert plant.lag_seconds < 5


def test_declared_topics_alone_are_read_though_members_hold_others() -> None:
    both = world(orders(50), Topic("views", level(10, SECONDS), partitions=2), settings=policy(topics=("views",)))
    plant = at(60, both)
    assert {tp.topic for tp in read(plant)} == {"views"}
    assert {tp.topic for member in reported(plant).members for tp in member.partitions} == {"orders", "views"}


def test_a_pattern_reads_topics_without_offsets_as_uncommitted() -> None:
    dead_letters = Topic("orders.dlt", level(1, SECONDS), partitions=1, reader=NOBODY, committed=False)
    plant = at(60, world(orders(50), dead_letters, settings=policy(topic_pattern="orders.*")))
    assert isinstance(read(plant)[TopicPartition("orders.dlt", 0)].committed, Uncommitted)


def test_outside_members_of_another_topic_leave_our_partitions_alone() -> None:
    shared = replace(world(orders(50), Topic("audit", level(10, SECONDS), partitions=4, reader="audit")),
                     outside_members=(OutsideMembers("audit", 3, ("audit",)),))
    members = reported(at(60, shared)).members
    assert len(members) == 4
    assert [len(member.partitions) for member in members if member.id.startswith("consumer")] == [4]


def test_outside_members_of_our_topic_take_a_share_and_give_it_back_when_they_leave() -> None:
    outside = OutsideMembers("batch", 2, ("orders",), since=100.0, until=400.0)
    shared = replace(world(replicas=2), outside_members=(outside,))
    counts = [len(reported(at(second, shared)).members) for second in (90, 200, 500)]
    held = [sum(len(member.partitions) for member in reported(at(second, shared)).members
                if member.id.startswith("consumer")) for second in (90, 200, 500)]
    assert (counts, held) == ([2, 4, 2], [4, 2, 4])


def test_a_reported_empty_state_hides_members_that_still_commit() -> None:
    plant = at(300, replace(world(), reported_states=(ReportedState("Empty"),)))
    assert reported(plant) == Group("Empty")
    assert lag(plant, "orders") < 600


def test_a_reported_state_lasts_for_its_time() -> None:
    of = replace(world(), reported_states=(ReportedState("Reconciling", 100.0, 200.0),))
    assert [reported(at(second, of)).state for second in (50, 150, 250)] == ["Stable", "Reconciling", "Stable"]


def test_slow_records_are_committed_one_by_one() -> None:
    jobs = replace(world(orders(0.1)), record_seconds=20.0)
    plant = at(400, jobs)
    done = sum(each.committed for each in read(plant).values() if isinstance(each.committed, int))
    assert 18 <= done <= 20


def test_a_record_whose_partition_moves_is_restarted() -> None:
    jobs = replace(world(orders(0.2), replicas=1), record_seconds=100.0)
    plant = at(150, jobs)
    plant.scale(4)
    for _ in range(300):
        plant.step()
    done = sum(each.committed for each in read(plant).values() if isinstance(each.committed, int))
    assert 4 <= done <= 12


def test_a_delayed_topic_stays_behind_by_its_delay_and_is_not_late() -> None:
    plant = at(600, world(orders(10, delay_seconds=120.0), commit_seconds=1))
    assert lag(plant, "orders") == pytest.approx(1200, abs=40)
    assert plant.lag_seconds <= 2


def test_trailing_records_are_never_committed() -> None:
    topic = orders(0, arrival=step(40, 0, 300, SECONDS), trailing=3)
    assert lag(at(600, world(topic)), "orders") == 12


def test_a_commit_beyond_the_end_stays() -> None:
    beyond = orders(10, offsets=tuple(Offsets(number, 0, 50, 9000) for number in range(4)))
    plant = at(300, world(beyond))
    assert {each.committed for each in read(plant).values()} == {9000}
    assert plant.lag_records == 0


def test_a_loss_at_rest_leaves_the_commit_behind_the_start() -> None:
    rest = orders(10, weights=(1, 1, 1, 0), offsets=(Offsets(3, 1000, 1000, 400),))
    plant = at(300, world(rest))
    assert read(plant)[TopicPartition("orders", 3)] == Reading(1000, 400, 1000)


def test_a_stuck_partition_moves_on_after_its_time() -> None:
    of = replace(world(orders(40)), stuck=(Stuck("orders", 2, 100.0, 300.0),))
    behind = [lag(at(second, of), "orders") for second in (90, 290, 500)]
    assert max(behind[0], behind[2]) < 300
    assert behind[1] > 1500


def test_an_extra_pod_exists_beyond_the_replicas_and_works() -> None:
    plant = at(300, replace(world(replicas=2), extra_pods=(ExtraPods(1, 50.0, 700.0),)))
    assert (plant.observe().replicas.spec, plant.observe().replicas.existing) == (2, 3)
    assert len(reported(plant).members) == 3


def test_another_writer_resets_the_replicas() -> None:
    plant = at(100, replace(world(replicas=1), resets=Resets(1, 60.0)))
    plant.scale(4)
    for _ in range(30):
        plant.step()
    assert (plant.replicas_spec, plant.written_by_others) == (1, 1)


def test_retention_deletes_unprocessed_records() -> None:
    plant = at(600, world(orders(200), retention_seconds=120.0))
    assert plant.records_lost > 10_000
    assert plant.lag_seconds <= 121


@pytest.mark.parametrize("name", CASES)
def test_seeds_vary_a_case_and_a_seed_repeats_it(name: str) -> None:
    assert CASES[name](3) == CASES[name](3) != CASES[name](4)


def test_equal_runs_are_bit_identical() -> None:
    first, second = (play(case("left-topic", 2), Static(3)) for _ in range(2))
    assert first.age.tolist() == second.age.tolist()
    assert first.lag.tolist() == second.lag.tolist()


def test_a_world_with_another_number_of_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"plant\.partitions is 12, but the topics have 4"):
        World("test", 1, (orders(1),), PlantSpec(), policy())
