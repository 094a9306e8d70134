"""A dumb consumer group for stories: partitions, consumers, pods that take their time, and whatever may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
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
from kafka_consumer_scaler.core.verdict import ScaleTo, Verdict

T0 = 1_700_000_000.0
DECIDED_LATER_SECONDS = 0.2
"""As in life, the decision comes a moment after the sample."""
Rate = Callable[[float], float]


def minutes(count: float) -> float:
    return 60.0 * count


def steps(*rows: tuple[float, float]) -> Rate:
    """A rate that is `rate` from each of the times on."""
    return lambda at: [rate for since, rate in rows if at >= since][-1]


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

    @property
    def age(self) -> float:
        age = self.verdict.measurements.lag_seconds
        return 0.0 if isinstance(age, Unknown) else age


@dataclass
class World:
    """One group; `run` advances it second by second and decides at every polling interval.

    Args:
        rate: records/s at a time of the story; `weights` share it out, evenly by default.
        topics: topics, each with its part of the partitions.
        capacity: records/s of one consumer, or what it is at a time.
        downstream: records/s that all consumers together can get done, whatever their number.
        joinable: no more consumers than this ever join: the others crash.
        foreign: members of the group that are not the workload's.
        surge: pods beyond those asked for, as during a rollout.
        rebalance_seconds: how long a change of membership stops all, and is seen.
        deleted: records/s that retention deletes from each partition.
        marked: every partition ends with a transaction's marker.
        stuck: partitions that are owned and not processed.
    """

    policy: Policy
    rate: Rate
    partitions: int = 12
    capacity: float | Rate = 100.0
    replicas: int = 1
    trouble: str = ""
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
    topics: int = 1
    weights: Sequence[float] = ()
    assignor: str = "cooperative-sticky"
    downstream: float | None = None
    joinable: int | None = None
    foreign: int = 0
    threads: int = 1
    surge: int = 0
    rebalance_seconds: float = 0.0
    deleted: Rate | None = None
    marked: bool = False

    def __post_init__(self) -> None:
        each = self.partitions // self.topics
        self.names = [TopicPartition("orders" if topic == 0 else f"orders-{topic}", number)
                      for topic in range(self.topics) for number in range(each)]
        self.end = [0.0] * self.partitions
        self.done = [0.0] * self.partitions
        self.committed = [0] * self.partitions
        self.start = [0.0] * self.partitions
        self.ready = self.replicas
        self.joining: list[tuple[float, int]] = []
        self.settled_at = T0

    def run(self, seconds: float) -> list[Seen]:
        first = len(self.rows)
        for _ in range(round(seconds)):
            self.at += 1
            self._produce_and_consume()
            if round(self.at - T0) % self.policy.polling_interval_seconds == 0:
                self._decide()
        return self.rows[first:]

    def pause_polls(self, seconds: float) -> None:
        """The group goes on, and nobody looks."""
        for _ in range(round(seconds)):
            self.at += 1
            self._produce_and_consume()

    def restart(self) -> None:
        """The operator starts anew: its history is gone, the memory of the status is there."""
        self.history = History()

    def grow(self, partitions: int) -> None:
        """The first topic gets so many partitions more."""
        first = sum(name.topic == "orders" for name in self.names)
        self.names += [TopicPartition("orders", first + number) for number in range(partitions)]
        self.partitions += partitions
        for column in (self.end, self.done, self.start):
            column += [0.0] * partitions
        self.committed += [0] * partitions

    def snapshot(self) -> Snapshot:
        own = self._hands()
        members = tuple(Member(f"m{n}", frozenset(self.names[p] for p in hand)) for n, hand in enumerate(own))
        state = "Stable" if self.at >= self.settled_at else "PreparingRebalance"
        group = Group(state, self.assignor, members) if members else Group("Empty")
        readings = {
            name: Reading(int(self.end[p]) + self.marked,
                          self.committed[p] if self.offset_reset_done else Uncommitted(), int(self.start[p]))
            for p, name in enumerate(self.names)}
        return Snapshot(self.at, readings, group)

    def _hands(self) -> list[list[int]]:
        """The partitions of each member."""
        joined = self.ready if self.joinable is None else min(self.ready, self.joinable)
        count = joined * (self.policy.consumer_threads or self.threads) + self.foreign
        if self.assignor != "range" or count == 0:
            return [list(range(n, self.partitions, count)) for n in range(count)]
        hands: list[list[int]] = [[] for _ in range(count)]
        for topic in dict.fromkeys(name.topic for name in self.names):
            row = [p for p, name in enumerate(self.names) if name.topic == topic]
            for index, p in enumerate(row):
                hands[_range_owner(index, len(row), count)].append(p)
        return hands

    def _produce_and_consume(self) -> None:
        for at, count in [join for join in self.joining if join[0] <= self.at]:
            self.ready = count
            self.settled_at = self.at + self.rebalance_seconds
            self.joining.remove((at, count))
        now = self.at - T0
        rate, weights = self.rate(now), self.weights or [1.0] * self.partitions
        for p in range(self.partitions):
            self.end[p] += rate * weights[p] / sum(weights)
            if self.deleted is not None:
                self.start[p] = min(self.end[p], self.start[p] + self.deleted(now))
                self.done[p] = max(self.done[p], self.start[p])
        hands = self._hands() if self.at >= self.settled_at else []
        busy = sum(len(hand) > 0 for hand in hands)
        capacity = self.capacity(now) if callable(self.capacity) else self.capacity
        if self.downstream is not None and busy:
            capacity = min(capacity, self.downstream / busy)
        for hand in hands:
            self._consume([p for p in hand if p not in self.stuck], capacity)
        if round(now) % self.commit_seconds == 0 and hands:
            self.committed = [int(done) for done in self.done]

    def _consume(self, own: list[int], capacity: float) -> None:
        """Evenly; what one does not need goes to the others."""
        sated = [p for p in own if self.end[p] - self.done[p] < capacity / len(own)]
        for p in sated:
            capacity -= self.end[p] - self.done[p]
            self.done[p] = self.end[p]
        hungry = [p for p in own if p not in sated]
        if sated and hungry:
            self._consume(hungry, capacity)
            return
        for p in hungry:
            self.done[p] += capacity / len(hungry)

    def _decide(self) -> None:
        self.history = self.history.append(self.spoil(self.snapshot()))
        current = self.target or Replicas(self.replicas, self.replicas + self.surge, self.trouble)
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


def _range_owner(index: int, partitions: int, consumers: int) -> int:
    """The first consumers get one more: 0 1 2 | 3 4."""
    size, more = divmod(partitions, consumers)
    longer = more * (size + 1)
    return index // (size + 1) if index < longer else more + (index - longer) // max(1, size)


def moves(rows: list[Seen]) -> list[tuple[int, int]]:
    """The changes of a story: (from, to)."""
    return [(row.before, row.scaled_to) for row in rows if row.scaled_to is not None]


def ups(rows: list[Seen]) -> list[tuple[int, int]]:
    return [(before, after) for before, after in moves(rows) if after > before]


def downs(rows: list[Seen]) -> list[tuple[int, int]]:
    return [(before, after) for before, after in moves(rows) if after < before]


def reasons(rows: list[Seen]) -> list[Reason]:
    """The events of a story, in order."""
    found: list[Reason] = []
    for row in rows:
        found += [event.reason for event in row.verdict.events]
        found += [row.verdict.announcement.reason] if row.verdict.announcement else []
    return found


def findings(rows: list[Seen]) -> set[Reason]:
    """All that was ever found in a story."""
    return {finding.reason for row in rows for finding in row.verdict.findings}


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
