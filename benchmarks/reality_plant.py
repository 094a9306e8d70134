"""Pure: what a real run says about its group, and the same load on a simulated group that is like it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from benchmarks import reality_scene as scene
from benchmarks.reality_run import RealRun
from kafka_consumer_scaler.api.snapshots import Carried
from kafka_consumer_scaler.cli.replay import verdicts
from kafka_consumer_scaler.core.snapshot import Reading, Replicas, Unknown
from kafka_consumer_scaler.core.verdict import ScaleTo
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.run import run
from kafka_consumer_scaler.simulation.scaler import Observation
from tests.demo.timeline import Sample

REPORT = re.compile(r"^\S+ ([\d.]+) records/s, ")
MOVED = re.compile(r"^\S+ (assigned|revoked) (\d+) partitions: (\S+)")
REPORT_SECONDS = 5.0
"""A consumer's line tells the rate of this time before it."""
JOIN_WITHIN_SECONDS = 90.0


@dataclass(frozen=True)
class Line:
    """One line that one consumer's pod wrote, at seconds since the load began."""

    at: float
    pod: str
    text: str

    @property
    def rate(self) -> float | None:
        """Records/s, where the line tells them."""
        found = REPORT.match(self.text)
        return float(found[1]) if found else None

    def partitions(self, word: str) -> frozenset[int]:
        """Those that the line says were `assigned` or `revoked`."""
        found = MOVED.match(self.text)
        if not found or found[1] != word or found[3] == "none":
            return frozenset()
        return frozenset(int(number) for number in found[3].split(","))


@dataclass(frozen=True)
class Change:
    """A change of the replicas that was carried out, at seconds since the load began."""

    at: float
    before: int
    after: int


@dataclass(frozen=True)
class Measured:
    """What the simulated group is given from the real run.

    Args:
        capacity: records/s of the only consumer, from the load's step to its first rebalance.
        pod_starts: seconds from each scale-up to each new consumer's first line.
        joins: seconds from each new consumer's first line until it was given partitions.
        stills: seconds for which each partition that moved to a new consumer had no owner.
        looks_at: when the operator looked, seconds since the load began.
    """

    capacity: float
    pod_starts: tuple[float, ...]
    joins: tuple[float, ...]
    stills: tuple[float, ...]
    looks_at: tuple[float, ...]

    def plant(self) -> PlantSpec:
        """The group to simulate: what was measured, and what the scene fixes."""
        return PlantSpec(
            partitions=scene.PARTITIONS,
            assignor=scene.ASSIGNOR,
            commit_seconds=scene.COMMIT_SECONDS,
            capacity=round(self.capacity, 1),
            pod_start_seconds=round(min(self.pod_starts), 1),
            pod_start_jitter=round(max(self.pod_starts) - min(self.pod_starts), 1),
            rebalance_seconds=round(median(self.joins), 1),
        )


def changes(real: RealRun) -> list[Change]:
    """The changes that the operator carried out, as it recorded them."""
    return [
        Change(look.scaled.at - real.began_at, look.replicas.spec, look.scaled.replicas)
        for look in real.looks()
        if isinstance(look.scaled, Carried) and isinstance(look.replicas, Replicas)
    ]


def decided_otherwise(real: RealRun) -> list[str]:
    """The looks on which `decide` alone now says another number of replicas than the operator carried out."""
    found = []
    for look, verdict in verdicts(scene.policy(), real.looks()):
        done = look.scaled.replicas if isinstance(look.scaled, Carried) else None
        wanted = verdict.decision.replicas if isinstance(verdict.decision, ScaleTo) else None
        if done != wanted:
            found.append(f"at {look.snapshot.at - real.began_at:.0f} s: {done} was carried out, {verdict.message}")
    return found


def measured(real: RealRun) -> Measured:
    """The group's figures. Raises ValueError when the run had no scale-up to measure them by."""
    lines = lines_of(real.logs, real.began_at)
    ups = [(change.at, until) for change, until in _with_ends(changes(real)) if change.after > change.before]
    fresh = [(at, pod) for at, until in ups for pod in _first_lines(lines) if at < pod.at < until]
    joins = {pod.pod: _given(lines, pod) for _, pod in fresh}
    given = {name: line for name, line in joins.items() if line}
    if not given:
        raise ValueError("no scale-up brought a consumer that was given partitions: there is nothing to measure by")
    return Measured(
        capacity=_capacity(lines),
        pod_starts=tuple(pod.at - at for at, pod in fresh),
        joins=tuple(given[pod.pod].at - pod.at for _, pod in fresh if pod.pod in given),
        stills=tuple(seconds for line in given.values() for seconds in _stood_still(lines, line)),
        looks_at=tuple(look.snapshot.at - real.began_at for look in real.looks()),
    )


def lines_of(logs: Mapping[str, str], began_at: float) -> list[Line]:
    """All consumers' lines in the order of their times, which stand before each line."""
    found = []
    for pod, text in logs.items():
        for line in text.splitlines():
            stamp, _, words = line.partition(" ")
            found.append(Line(datetime.fromisoformat(stamp).timestamp() - began_at, pod, words))
    return sorted(found, key=lambda line: line.at)


def simulated(plant: PlantSpec, looks_at: Sequence[float], seed: int) -> list[Sample]:
    """The trace on the plant: a sample for each second, of the same things that the real run's are of."""
    watching = Watching(KafkaConsumerScaler(scene.policy()), frozenset(round(at) for at in looks_at))
    run(plant, scene.arrival(), watching, seed)
    return watching.samples


class Watching:
    """The operator, looking in the same seconds as the real one did, and what an onlooker sees every second."""

    name = KafkaConsumerScaler.name
    interval_seconds = 1.0

    def __init__(self, inner: KafkaConsumerScaler, looks_at: frozenset[int]) -> None:
        self.samples: list[Sample] = []
        self.inner = inner
        self._looks_at = looks_at

    def look(self, observation: Observation) -> int | None:
        self.samples.append(_sample(observation))
        return self.inner.look(observation) if round(observation.at) in self._looks_at else None


def _sample(seen: Observation) -> Sample:
    partitions = {} if isinstance(seen.snapshot.partitions, Unknown) else seen.snapshot.partitions
    readings = [each for each in partitions.values() if isinstance(each, Reading)]
    committed = tuple(each.committed if isinstance(each.committed, int) else 0 for each in readings)
    return Sample(seen.at, tuple(each.end for each in readings), committed, seen.replicas.spec, seen.ready, "")


def _capacity(lines: Sequence[Line]) -> float:
    """The median rate of the first consumer's reports of times between the step and the first rebalance after it."""
    own = [line for line in lines if line.pod == lines[0].pod and line.at > scene.STEP_AT]
    moved_at = next((line.at for line in own if MOVED.match(line.text)), 0.0)
    busy = [line.rate for line in own if scene.STEP_AT + 1.2 * REPORT_SECONDS < line.at < moved_at]
    rates = [rate for rate in busy if rate is not None]
    if not rates:
        raise ValueError("the only consumer told no rate between the load's step and the first rebalance")
    return median(rates)


def _with_ends(changed: Sequence[Change]) -> Iterator[tuple[Change, float]]:
    """Each change, and until when a pod that starts is taken to be its own."""
    for change, following in pairwise([*changed, None]):
        if change is not None:
            latest = change.at + JOIN_WITHIN_SECONDS
            yield change, latest if following is None else min(latest, following.at)


def _first_lines(lines: Sequence[Line]) -> list[Line]:
    firsts: dict[str, Line] = {}
    for line in lines:
        firsts.setdefault(line.pod, line)
    return list(firsts.values())


def _given(lines: Sequence[Line], first: Line) -> Line | None:
    """The line in which the pod of this first line is given partitions for the first time."""
    return next((line for line in lines if line.pod == first.pod and line.partitions("assigned")), None)


def _stood_still(lines: Sequence[Line], given: Line) -> Iterator[float]:
    """For each partition that a consumer is given: since when nobody had it."""
    for partition in given.partitions("assigned"):
        lost = [line.at for line in lines if line.at <= given.at and partition in line.partitions("revoked")]
        if lost:
            yield given.at - lost[-1]
