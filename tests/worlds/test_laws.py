"""The generator, the laws and shrinking: for each law a run that breaks it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.wild import laws
from benchmarks.wild.judge import judge
from benchmarks.wild.laws import (
    Broken,
    bounds,
    broken,
    calm,
    cooldowns,
    held_to_liveness,
    held_to_thrift,
    latch,
    liveness,
    thrift,
    truth,
    zero,
)
from benchmarks.wild.shrink import command, shrink
from benchmarks.wild.truth import busiest, fewest, segments
from benchmarks.wild.worlds import TRAITS, draw, healthy
from kafka_consumer_scaler.core.diagnosis import Finding
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.ours import T0, KafkaConsumerScaler
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.wild.cases import case, group, level, policy, step
from kafka_consumer_scaler.simulation.wild.play import Change, Played, play
from kafka_consumer_scaler.simulation.wild.world import Topic, World

SECONDS = 5400


class Flapping:
    """Alternates between `few` and `many` at every tenth poll."""

    name = "flapping"
    interval_seconds = 15.0

    def __init__(self, few: int, many: int) -> None:
        self.few, self.many = few, many

    def look(self, observation: Observation) -> int | None:
        return self.many if observation.at // 150 % 2 else self.few


class Stubborn(KafkaConsumerScaler):
    """Never scales if it starts with a memory."""

    def __init__(self, policy: Policy, memory: Memory | None = None, began: float = T0) -> None:
        super().__init__(policy, memory, began)
        self.is_bound = memory is not None

    def look(self, observation: Observation) -> int | None:
        wanted = super().look(observation)
        return None if self.is_bound else wanted


def steady(rate: float = 450, replicas: int = 5, seconds: int = SECONDS, **settings: object) -> World:
    return group("steady", 1, (Topic("orders", level(rate, seconds)),), policy(**settings), replicas, changes=(0.0,))


def finding(played: Played, reason: Reason, at: float) -> Played:
    """The run with this finding added to the poll at `at`."""
    verdicts = [(when, replace(verdict, findings=(Finding(reason, "evidence", "remedy"),)) if when == at else verdict)
                for when, verdict in played.verdicts]
    return replace(played, verdicts=tuple(verdicts))


def test_a_seed_draws_the_same_world_again() -> None:
    assert draw(7) == draw(7)
    assert draw(7).world != draw(8).world


def test_each_trait_occurs_in_some_world() -> None:
    assert {trait for seed in range(1, 300) for trait in draw(seed).traits} == TRAITS.keys()


def test_a_world_without_a_trait_keeps_the_others() -> None:
    drawn = next(each for each in map(draw, range(1, 50)) if "slow-starts" in each.traits and "steps" in each.traits)
    less = draw(drawn.seed, frozenset({"slow-starts"}))
    assert set(drawn.traits) - set(less.traits) == {"slow-starts"}
    assert less.world.topics == drawn.world.topics
    assert less.world.plant.pod_start_seconds < 60


def test_some_number_of_replicas_keeps_up_in_most_worlds() -> None:
    worlds = [draw(seed).world for seed in range(1, 60)]
    held = [fewest(world, segments(world)[0], 1.0) is not None for world in worlds]
    assert sum(held) > 50


def test_the_busiest_consumer_has_the_heaviest_partitions() -> None:
    world = group("test", 1, (Topic("orders", level(100, 600), partitions=4, weights=(4, 3, 2, 1)),), policy())
    whole = segments(world)[0]
    assert [round(busiest(world, whole, replicas), 6) for replicas in (1, 2, 3, 4)] == [1.0, 0.7, 0.7, 0.4]


def test_most_worlds_are_long_enough_for_the_laws() -> None:
    runs = [play(world, Static(world.plant.initial_replicas)) for world in (draw(seed).world for seed in range(1, 31))]
    assert sum(any(held_to_liveness(run)) for run in runs) >= 20
    assert sum(any(held_to_thrift(run)) for run in runs) >= 10


def test_too_few_replicas_break_liveness() -> None:
    assert next(liveness(play(steady(), Static(4))), None) is not None
    assert next(liveness(play(steady(), Static(6))), None) is None


def test_more_replicas_than_are_needed_break_thrift() -> None:
    assert next(thrift(play(steady(), Static(12))), None) is not None
    assert next(thrift(play(steady(), Static(6))), None) is None


def test_flapping_breaks_calm_and_the_cooldowns_of_steps_down() -> None:
    flapping = play(steady(), Flapping(6, 12))
    assert next(calm(flapping), None) is not None
    assert next(calm(play(steady(), Static(6))), None) is None
    quick = replace(flapping, changes=(Change(100, 6, 12), Change(160, 12, 6)))
    assert next(cooldowns(quick), None) is not None
    assert next(cooldowns(replace(quick, changes=(Change(100, 6, 12), Change(220, 12, 6)))), None) is None


def test_an_idle_group_that_stays_up_breaks_zero() -> None:
    idle = replace(steady(), topics=(Topic("orders", step(450, 0, 900, 9000)),), changes=(0.0, 900.0),
                   policy=policy(min_replicas=0))
    assert next(zero(play(idle, Static(2))), None) is not None


def test_a_group_at_zero_with_records_breaks_zero() -> None:
    assert next(zero(play(steady(min_replicas=0), Static(0))), None) is not None


def test_a_change_beyond_the_bounds_breaks_them() -> None:
    assert next(bounds(play(steady(max_replicas=8), Static(9))), None) is not None


def test_a_false_finding_breaks_truth_and_a_true_one_does_not() -> None:
    played = play(case("poison-and-scale-down"))
    assert "truth StuckPartition" not in {one.kind for one in broken(played, ("truth",))}
    wrong = finding(played, Reason.HUNG_TRANSACTION, 3000.0)
    assert broken(wrong, ("truth",)) == [Broken("truth", 3000.0, "HungTransaction: evidence")]


def test_a_finding_that_outlasts_its_cause_breaks_truth() -> None:
    played = play(case("poison-and-scale-down"))
    late = finding(played, Reason.STUCK_PARTITION, 8700.0)
    assert next(truth(late), (0.0, ""))[0] == 8700.0


def test_a_memory_that_stops_scaling_a_healthy_group_breaks_latch(monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(steady(300, replicas=1, seconds=1200))
    assert next(latch(replace(played, replicas=np.ones_like(played.replicas))), None) is None
    monkeypatch.setattr(laws, "KafkaConsumerScaler", Stubborn)
    assert next(latch(replace(played, replicas=np.ones_like(played.replicas))), None) is not None


def test_a_healthy_group_has_no_faults() -> None:
    world = healthy(draw(16).world, 4, 600)
    assert (world.stuck, world.reported_states, world.outside_members, world.plant.outages) == ((), (), (), ())
    assert world.plant.initial_replicas == 4


def test_a_failing_world_is_reduced_to_few_traits() -> None:
    drawn = next(each for each in map(draw, range(1, 99)) if len(each.traits) > 3 and each.world.seconds == 4500)
    smallest, one = shrink(drawn.seed, Broken("liveness", 0, ""))
    assert set(smallest.traits) <= set(drawn.traits)
    assert one.law == "liveness"
    assert command(smallest).startswith(f"python -m benchmarks wild --world {drawn.seed}")


def test_violations_are_counted_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    judged = judge(range(1, 3))
    assert judged.text().startswith("2 worlds, ")


def test_a_case_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wild", "--case", "commit-beyond-end"]) == 0
    assert "commit-beyond-end seed 0" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--case", "nothing"], ["--world", "1", "--without", "nothing"], []])
def test_a_wrong_option_is_refused_in_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wild", *options]) == 2
    assert capsys.readouterr().err.startswith("benchmarks wild: ")
