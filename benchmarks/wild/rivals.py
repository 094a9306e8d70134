"""Worlds by trait: the operator compared with fixed replicas, KEDA and an oracle.

The others are chosen in hindsight, for each world separately:

- static: the fixed number of replicas;
- KEDA: the lag threshold, from the proof's grid scaled to the capacity of a replica in this world;
- oracle: the cheapest of the proof's plan for these arrivals as if they were one topic, the fewest replicas that keep
  up in each part of the world (requested a pod start earlier), and static.

"Cheapest" is the rule of the proof: the fewest replica-seconds among the runs with the least time over the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.section import Section
from benchmarks.wild.judge import laws_for
from benchmarks.wild.laws import broken
from benchmarks.wild.truth import fewest, segments
from benchmarks.wild.worlds import TRAITS, draw
from kafka_consumer_scaler.simulation.compare import LAG_THRESHOLDS, ROUNDING, keda
from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.oracle import STEP_SECONDS, Oracle, oracle
from kafka_consumer_scaler.simulation.report import markdown
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.wild.play import Played, play
from kafka_consumer_scaler.simulation.wild.world import OURS, Topic, World

SECTION: Final = Section(Path(__file__).parents[2] / "docs" / "benchmarks.md", "wild")
POLICIES: Final = ("ours", "static", "KEDA", "oracle")
HEAD: Final = ("trait", "worlds", *(f"over: {name}" for name in POLICIES),
               *(f"replicas: {name}" for name in POLICIES[:-1]),
               *(f"changes/h: {name}" for name in POLICIES if name != "static"),
               *(f"laws: {name}" for name in POLICIES))
ALL: Final = "all worlds"
PLAIN_CAPACITY: Final = 100.0
"""Records/s of a replica for which `LAG_THRESHOLDS` is made."""
LAWS_OF_OTHERS: Final = ("liveness", "calm", "thrift", "zero")
"""The laws that do not need verdicts."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Results of one run, or the sum over several runs.

    Args:
        over: seconds over the objective.
        replica_seconds: requested replicas, summed over the seconds.
        changes: changes of the replicas made by the scaler.
        seconds: length of the run.
        unlawful: number of runs that break a law.
    """

    over: int = 0
    replica_seconds: int = 0
    changes: int = 0
    seconds: int = 0
    unlawful: int = 0

    def __add__(self, other: Figures) -> Figures:
        """The sum of both."""
        return Figures(self.over + other.over, self.replica_seconds + other.replica_seconds,
                       self.changes + other.changes, self.seconds + other.seconds, self.unlawful + other.unlawful)


@dataclass(frozen=True, slots=True)
class Row:
    """The worlds with one trait: their number, and the sum of the figures of each of `POLICIES`."""

    worlds: int = 0
    sums: tuple[Figures, ...] = (Figures(),) * len(POLICIES)

    def plus(self, each: Sequence[Figures]) -> Row:
        """The row with one more world."""
        return Row(self.worlds + 1, tuple(one + other for one, other in zip(self.sums, each, strict=True)))

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEAD` after the trait; `-` without worlds."""
        if not self.worlds:
            return ("0", *("-" for _ in HEAD[2:]))
        ours, static, rival, best = self.sums
        over = (f"{one.over / one.seconds:.1%}" for one in self.sums)
        replicas = (_ratio(one.replica_seconds, best.replica_seconds) for one in (ours, static, rival))
        changes = (f"{3600 * one.changes / one.seconds:.1f}" for one in (ours, rival, best))
        return (str(self.worlds), *over, *replicas, *changes, *(str(one.unlawful) for one in self.sums))


Say = Callable[[str], None]


def by_trait(seeds: Iterable[int], say: Say = print) -> Mapping[str, Row]:
    """Simulate the worlds of the seeds with each scaler: the row of all worlds, then that of each trait."""
    rows = {name: Row() for name in (ALL, *TRAITS)}
    for seed in seeds:
        drawn = draw(seed)
        each = contest(drawn.world, laws_for(seed))
        shown = ", ".join(f"{name} {one.over} s over, {one.replica_seconds} replica-seconds, {one.changes} changes"
                          for name, one in zip(POLICIES, each, strict=True))
        say(f"world {seed}: {shown}")
        for name in (ALL, *drawn.traits):
            rows[name] = rows[name].plus(each)
    return rows


def contest(world: World, laws: Iterable[str] = LAWS_OF_OTHERS) -> tuple[Figures, ...]:
    """The figures of each of `POLICIES` in one world; `laws` are those that ours is checked against."""
    static = cheapest(_static_runs(world))
    rival = cheapest(play(world, keda(world.policy, each)) for each in thresholds(world))
    best = cheapest((static, play(world, plan(world)), play(world, schedule(world))))
    return (figures(play(world), laws), *(figures(played, LAWS_OF_OTHERS) for played in (static, rival, best)))


def figures(played: Played, laws: Iterable[str]) -> Figures:
    """The figures of a run, checked against these laws."""
    return Figures(played.seconds_over, int(played.replicas.sum()), len(played.ours), played.world.seconds,
                   int(bool(broken(played, laws))))


def cheapest(runs: Iterable[Played]) -> Played:
    """The fewest replica-seconds among the runs with the least time over the objective; the first of equal runs."""
    return min(runs, key=lambda played: (_rounded_over(played), int(played.replicas.sum())))


def thresholds(world: World) -> list[int]:
    """KEDA's lag thresholds for this world, in records per replica.

    A replica of 1,000 records/s gets ten times those of the proof, one of ten minutes a record only 1.
    """
    share = world.per_consumer * world.plant.threads / PLAIN_CAPACITY
    return sorted({max(1, round(each * share)) for each in LAG_THRESHOLDS})


def plan(world: World) -> Oracle:
    """The proof's plan for the topics of our consumers as one topic; faults that it cannot model are left out.

    Delayed records count as arriving after their delay, and a record of s seconds as a capacity of 1/s records/s.
    """
    topics = [topic for topic in world.topics if topic.reader == OURS]
    arrivals = [_due(topic) for topic in topics]
    total = np.sum(arrivals, axis=0)
    shares = [share for topic, arrival in zip(topics, arrivals, strict=True)
              for share in _shares(topic, float(arrival.sum()))]
    weights = tuple(share for share in shares if share > 0) or (1.0,) * len(shares)
    spec = _plant(world, () if np.ptp(weights) < 1e-9 * max(weights) else weights, len(weights))
    return oracle(spec, total.tolist(), world.policy.lag_seconds, world.policy.min_replicas, world.policy.max_replicas)


def schedule(world: World) -> Oracle:
    """The fewest replicas that keep up in each segment, requested a pod start and a rebalance before it begins."""
    lead = world.plant.pod_start_seconds + world.plant.pod_start_jitter + world.plant.rebalance_seconds
    parts = [(segment.since, _enough(world, fewest(world, segment, 1.0))) for segment in segments(world)]
    steps = [parts[0][1]] * ceil(world.seconds / STEP_SECONDS)
    for (_, before), (since, replicas) in pairwise(parts):
        early = max(0, int(since - lead)) if replicas > before else since
        for step in range(early // STEP_SECONDS, len(steps)):
            is_ahead = step * STEP_SECONDS < since
            steps[step] = max(steps[step], replicas) if is_ahead else replicas
    return Oracle(tuple(steps), STEP_SECONDS, 0.0)


def table(rows: Mapping[str, Row]) -> str:
    """One line for all worlds and one for each trait, as Markdown."""
    return markdown(HEAD, [(name, *row.cells()) for name, row in rows.items()])


def page(rows: Mapping[str, Row], first: int) -> str:
    """The generated part of docs/benchmarks.md; the same worlds give the same text."""
    total = rows[ALL]
    hours = total.sums[0].seconds / 3600
    return (f"{total.worlds} worlds, seeds {first} to {first + total.worlds - 1}, {hours:,.0f} simulated hours per "
            f"scaler:\n\n{table(rows)}")


def _static_runs(world: World) -> Iterator[Played]:
    """Runs with fixed replicas, from few to many; ends at the first without time over the objective.

    More replicas are never fewer replica-seconds, so later runs cannot be cheaper.
    """
    for replicas in range(max(1, world.policy.min_replicas), world.policy.max_replicas + 1):
        played = play(world, Static(replicas))
        yield played
        if not _rounded_over(played):
            return


def _rounded_over(played: Played) -> int:
    return round(played.seconds_over / (ROUNDING * played.world.seconds))


def _due(topic: Topic) -> np.ndarray:
    """Records/s that may be processed in each second: the arrivals, later by the delay of the topic."""
    arrival = np.array(topic.arrival)
    delay = min(len(arrival), round(topic.delay_seconds))
    return np.concatenate((np.zeros(delay), arrival[:len(arrival) - delay]))


def _shares(topic: Topic, records: float) -> list[float]:
    """Records of each partition."""
    weights = np.array(topic.weights or (1.0,) * topic.partitions)
    return [float(share) for share in records * weights / weights.sum()]


def _plant(world: World, weights: tuple[float, ...], partitions: int) -> PlantSpec:
    return replace(world.plant, capacity=world.per_consumer, partitions=partitions, weights=weights, topics=1)


def _enough(world: World, replicas: int | None) -> int:
    """`replicas`, or `maxReplicas` if no number keeps up."""
    return world.policy.max_replicas if replicas is None else replicas


def _ratio(ours: int, best: int) -> str:
    return f"{ours / best:.2f}" if best else "-"
