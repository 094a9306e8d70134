"""A dumb consumer group for stories: even partitions, consumers of one capacity, pods that take their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import (
    Group,
    Member,
    Reading,
    Replicas,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)
from kafka_consumer_scaler.core.stabilization import Memory
from kafka_consumer_scaler.core.verdict import ScaleTo, Verdict

T0 = 1_700_000_000.0
DECIDED_LATER_SECONDS = 0.2
"""As in life, the decision comes a moment after the sample."""


def minutes(count: float) -> float:
    return 60.0 * count


@dataclass(frozen=True)
class Seen:
    """One row of a story."""

    at: float
    lag: int
    before: int
    verdict: Verdict

    @property
    def scaled_to(self) -> int | None:
        return self.verdict.decision.replicas if isinstance(self.verdict.decision, ScaleTo) else None


@dataclass
class World:
    """One group of one topic; `run` advances it second by second and decides at every polling interval."""

    policy: Policy
    rate: Callable[[float], float]
    partitions: int = 12
    capacity: float = 100.0
    replicas: int = 1
    pod_start_seconds: float = 10.0
    commit_seconds: int = 5
    offset_reset_done: bool = True
    at: float = T0
    history: History = field(default_factory=History)
    memory: Memory = field(default_factory=Memory)
    rows: list[Seen] = field(default_factory=list)
    target: Replicas | Unknown | None = None
    spoil: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot
    stuck: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.end = [0.0] * self.partitions
        self.done = [0.0] * self.partitions
        self.committed = [0] * self.partitions
        self.ready = self.replicas
        self.joining: list[tuple[float, int]] = []

    def run(self, seconds: float) -> list[Seen]:
        first = len(self.rows)
        for _ in range(round(seconds)):
            self.at += 1
            self._produce_and_consume()
            if round(self.at - T0) % self.policy.polling_interval_seconds == 0:
                self._decide()
        return self.rows[first:]

    def restart(self) -> None:
        """The operator starts anew: its history is gone, the memory of the status is there."""
        self.history = History()

    def snapshot(self) -> Snapshot:
        consumers = min(self.ready, self.partitions)
        own = [frozenset(TopicPartition("orders", p) for p in range(n, self.partitions, consumers))
               for n in range(consumers)]
        members = tuple(Member(f"m{n}", partitions) for n, partitions in enumerate(own))
        group = Group("Stable", "cooperative-sticky", members) if members else Group("Empty")
        readings = {
            TopicPartition("orders", p): Reading(
                int(self.end[p]), self.committed[p] if self.offset_reset_done else Uncommitted())
            for p in range(self.partitions)}
        return Snapshot(self.at, readings, group)

    def _produce_and_consume(self) -> None:
        for at, count in [join for join in self.joining if join[0] <= self.at]:
            self.ready = count
            self.joining.remove((at, count))
        for p in range(self.partitions):
            self.end[p] += self.rate(self.at - T0) / self.partitions
        consumers = min(self.ready, self.partitions)
        for n in range(consumers):
            own = [p for p in range(self.partitions) if p % consumers == n and p not in self.stuck]
            for p in own:
                self.done[p] = min(self.end[p], self.done[p] + self.capacity / len(own))
        if round(self.at - T0) % self.commit_seconds == 0 and consumers:
            self.committed = [int(done) for done in self.done]

    def _decide(self) -> None:
        self.history = self.history.append(self.spoil(self.snapshot()))
        current = self.target or Replicas(self.replicas, self.replicas)
        verdict = decide(self.policy, self.history, current, self.memory, self.at + DECIDED_LATER_SECONDS)
        lag = sum(int(end) - done for end, done in zip(self.end, self.committed, strict=True))
        self.rows.append(Seen(self.at - T0, lag, self.replicas, verdict))
        self.memory = verdict.memory
        if isinstance(verdict.decision, ScaleTo):
            self._scale(verdict, verdict.decision.replicas)

    def _scale(self, verdict: Verdict, replicas: int) -> None:
        self.memory = verdict.memory_after_scaling(self.replicas, self.at)
        delay = self.pod_start_seconds if replicas > self.ready else 0.0
        self.joining = [(self.at + delay, replicas)]
        self.replicas = replicas


def moves(rows: list[Seen]) -> list[tuple[int, int]]:
    """The changes of a story: (from, to)."""
    return [(row.before, row.scaled_to) for row in rows if row.scaled_to is not None]


def reasons(rows: list[Seen]) -> list[Reason]:
    """The events of a story, in order."""
    found: list[Reason] = []
    for row in rows:
        found += [event.reason for event in row.verdict.events]
        found += [row.verdict.announcement.reason] if row.verdict.announcement else []
    return found


def without(partition: int) -> Callable[[Snapshot], Snapshot]:
    """Spoil snapshots: the leader of one partition does not answer."""
    def spoil(snapshot: Snapshot) -> Snapshot:
        assert not isinstance(snapshot.partitions, Unknown)
        lost = {TopicPartition("orders", partition): Unknown("the leader did not answer")}
        return replace(snapshot, partitions={**snapshot.partitions, **lost})
    return spoil


def blind(snapshot: Snapshot) -> Snapshot:
    """Spoil snapshots: no broker answers."""
    return replace(snapshot, partitions=Unknown("no broker answers", Reason.BROKERS_UNREACHABLE))
