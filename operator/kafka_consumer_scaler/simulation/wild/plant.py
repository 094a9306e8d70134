"""The state of a world, advanced second by second, and the samples that a scaler sees."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import numpy as np

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
from kafka_consumer_scaler.simulation.flow import Floats, fair_levels
from kafka_consumer_scaler.simulation.pods import Pod, Pods
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.wild.group import SharedGroup
from kafka_consumer_scaler.simulation.wild.jobs import Jobs
from kafka_consumer_scaler.simulation.wild.log import Flags, Log, Numbers
from kafka_consumer_scaler.simulation.wild.world import NO_MEMBERS, NOBODY, OURS, World


class WildPlant:
    """The state of a world; equal worlds with equal calls of `scale` give bit-identical results.

    Lag and age are the true values of the records that our consumers can process: those of the monitored topics that
    they read. Stuck partitions, partitions with an offset of another cluster, and delayed records are excluded.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.at = 0.0
        self.replicas_spec = world.plant.initial_replicas
        self.rebalancing = 0.0
        self.lag_records = self.lag_seconds = 0.0
        self.written_by_others = 0
        self._log = Log(world.topics, _rng(world, 3))
        self._names = [TopicPartition(topic.name, number) for topic in world.topics
                       for number in range(topic.partitions)]
        self._places = {topic.name: range(where.start, where.stop)
                        for topic, where in zip(world.topics, self._log.slices, strict=True)}
        sizes = [topic.partitions for topic in world.topics]
        declared = world.declared(frozenset(self._places))
        self._is_read = np.repeat([topic.reader != NOBODY for topic in world.topics], sizes)
        self._counts = np.repeat([topic.reader == OURS and topic in declared for topic in world.topics], sizes)
        self._pods = Pods(world.plant, _rng(world, 0))
        self._pods.start_ready(world.plant.initial_replicas + world.extra_pods_at(0.0))
        self._phases = _rng(world, 1)
        self._commit_seconds = max(1, round(world.plant.commit_seconds))
        self._phase: dict[str, int] = {}
        self._misses = _rng(world, 2).random((world.seconds + 1, 3))
        self._others = {f"{each.name}-{number:02d}": each for each in world.outside_members
                        for number in range(each.members)}
        self._crashes = sorted(world.plant.crashes)
        self._event_times = list(world.event_times())
        self._jobs = Jobs(world.record_seconds) if world.record_seconds else None
        initial = [who for who, each in self._others.items() if each.since <= 0]
        for who in initial:
            self._set_commit_phase(who)
        ours = [member for pod in self._pods.pods for member in self._joined(pod)]
        self._group = SharedGroup(
            world.plant, [*initial, *ours], places=self._places,
            ours=frozenset(topic.name for topic in world.topics if topic.reader == OURS),
            others={who: frozenset(each.topics) for who, each in self._others.items()})
        self._next_at = inf
        self._apply_events()

    @property
    def ready(self) -> int:
        """Pods that are ready."""
        return self._pods.ready

    @property
    def members(self) -> int:
        """Number of group members, including outside members."""
        return len(self._group.members)

    @property
    def records_lost(self) -> float:
        """Records deleted by retention before they were processed."""
        return self._log.lost

    @property
    def stuck(self) -> frozenset[TopicPartition]:
        """Partitions that currently make no progress although they have an owner."""
        return frozenset(TopicPartition(each.topic, each.partition) for each in self.world.stuck
                         if each.since <= self.at < each.until)

    def step(self) -> None:
        """Advance one second.

        Raises:
            IndexError: the run has ended.
        """
        self._set_capacities()
        self.at += 1.0
        second = int(self.at)
        self._log.arrive(second)
        if self._jobs is not None:
            self._log.commit(self._jobs.work(self._log, self._work, self._factor))
        elif len(self._capacities):
            self._log.process(self._worker, self._limited(), self._slots)
        self.rebalancing = len(self._group.still) / len(self._names)
        self._log.commit(self._due.get(second % self._commit_seconds, ()))
        if self.at > self.world.plant.retention_seconds:
            self._log.delete_before(self.at - self.world.plant.retention_seconds)
        self._reset()
        if self.at >= self._next_at:
            self._apply_events()
        self._measure()

    def scale(self, replicas: int) -> None:
        """Set the requested replicas: pods start, or leave immediately after a final commit."""
        self.replicas_spec = max(0, replicas)
        self._fit_pods()
        self._apply_events()

    def observe(self) -> Observation:
        """The result of a poll; a failed poll has the replicas only."""
        gap, partial, which = self._misses[int(self.at)]
        start = self.world.plant.pod_start_seconds if self._pods.pods else None
        replicas = Replicas(self.replicas_spec, len(self._pods.pods), start_seconds=start)
        if gap < self.world.plant.poll_gap_chance:
            return Observation(self.at, Snapshot(self.at, Unknown("the brokers did not answer")), replicas, self.ready)
        readings = self._readings()
        if readings and partial < self.world.plant.poll_partial_chance:
            missing = sorted(readings)[int(which * len(readings))]
            readings[missing] = Unknown("the leader did not answer", Reason.METRICS_PARTIAL)
        if not readings:
            nothing = Unknown("the group has no committed offsets", Reason.NO_COMMITTED_OFFSETS)
            return Observation(self.at, Snapshot(self.at, nothing, self._reported_group()), replicas, self.ready)
        return Observation(self.at, Snapshot(self.at, readings, self._reported_group()), replicas, self.ready)

    def rates(self) -> Floats:
        """Current arrival rate of each partition, in records/s."""
        return self._log.rate(min(int(self.at), self.world.seconds - 1))

    def _reset(self) -> None:
        resets = self.world.resets
        if resets is None or not resets.since <= self.at < resets.until or (self.at - resets.since) % resets.every:
            return
        if self.replicas_spec != resets.replicas:
            self.written_by_others += 1
            self.scale(resets.replicas)

    def _fit_pods(self) -> None:
        for pod in self._pods.scale(self.replicas_spec + self.world.extra_pods_at(self.at), self.at):
            if pod.is_ready:
                for member in pod.members(self.world.plant.threads):
                    self._leave(member)
        for since, until in self.world.pending:
            for pod in self._pods.pods:
                if not pod.is_ready and since <= self.at < until:
                    pod.ready_at = max(pod.ready_at, until)

    def _leave(self, member: str) -> None:
        given_up = self._group.leave(member)
        self._log.commit(given_up)
        if self._jobs is not None:
            self._jobs.drop(given_up)

    def _joined(self, pod: Pod) -> list[str]:
        """The members of the pod; each gets its own commit phase."""
        members = pod.members(self.world.plant.threads)
        for member in members:
            self._set_commit_phase(member)
        return members

    def _set_commit_phase(self, member: str) -> None:
        self._phase[member] = int(self._phases.integers(self._commit_seconds))

    def _apply_events(self) -> None:
        """Apply due events (pods, outside members, crashes, rebalances), then update which consumer processes what."""
        self._event_times = [at for at in self._event_times if at > self.at]
        self._fit_pods()
        while self._crashes and self._crashes[0][0] <= self.at:
            for pod in self._pods.crash(self._crashes.pop(0)[1]):
                self._crash(pod)
        for pod in self._pods.become_ready(self.at):
            for member in self._joined(pod):
                self._group.join(member)
        self._update_outside_members()
        revoked = sorted(self._group.advance(self.at))
        self._log.commit(revoked)
        if self._jobs is not None:
            self._jobs.drop(revoked)
        crash_at = self._crashes[0][0] if self._crashes else inf
        event_at = self._event_times[0] if self._event_times else inf
        self._next_at = min(crash_at, event_at, self._pods.next_at, self._group.next_at)
        self._update_work()

    def _update_outside_members(self) -> None:
        there = set(self._group.members)
        for who, each in self._others.items():
            is_there = each.since <= self.at < each.until
            if is_there and who not in there:
                self._set_commit_phase(who)
                self._group.join(who)
            elif not is_there and who in there:
                self._leave(who)

    def _crash(self, pod: Pod) -> None:
        for member in pod.members(self.world.plant.threads):
            lost = self._group.die(member, self.at)
            self._log.rewind(lost)
            if self._jobs is not None:
                self._jobs.drop(lost)
        self._pods.restart(pod, self.at)

    def _update_work(self) -> None:
        """Update the consumer of each partition, and when each partition is committed."""
        self._is_helpable = self._helpable()
        alive = [member for member in self._group.members if self._group.is_alive(member)]
        number = {member: index for index, member in enumerate(alive)}
        self._worker = np.full(len(self._names), len(alive), dtype=np.intp)
        due: dict[int, list[int]] = {}
        for partition, owner in enumerate(self._group.owners):
            if owner in number:
                due.setdefault(self._phase[owner], []).append(partition)
                if partition not in self._group.still and self._is_helpable[partition]:
                    self._worker[partition] = number[owner]
        self._due = {phase: np.array(partitions, dtype=np.intp) for phase, partitions in due.items()}
        self._work = [np.flatnonzero(self._worker == index).tolist() for index in range(len(alive))]
        self._slots = _slots(self._work, len(self._names))
        slow = self.world.plant.slow_members
        self._speeds = np.array([self.world.plant.slow_factor if index < slow else 1.0 for index in range(len(alive))])

    def _helpable(self) -> Flags:
        """Whether a consumer can make progress, for each partition."""
        flags: Flags = self._is_read & ~self._log.is_beyond
        for tp in self.stuck:
            flags[self._places[tp.topic].start + tp.partition] = False
        return flags

    def _set_capacities(self) -> None:
        self._factor = self.world.plant.capacity_factor(self.at)
        self._capacities = self._speeds * (self.world.plant.capacity * self._factor)

    def _limited(self) -> Floats:
        """Capacity of each consumer in records/s, under the shared downstream limit."""
        limit, capacities = self.world.plant.downstream_limit, self._capacities
        if limit is None:
            return capacities
        demand = np.append(self._log.waiting(), 0.0)
        wanted = np.minimum(demand[self._slots].sum(axis=1), capacities)
        if wanted.sum() <= limit:
            return capacities
        limited: Floats = np.minimum(wanted, fair_levels(wanted[None, :].copy(), np.array([limit]))[0])
        return limited

    def _measure(self) -> None:
        waiting = np.where(self._is_helpable & self._counts, self._log.waiting(), 0.0)
        self.lag_records = float(waiting.sum())
        self.lag_seconds = 0.0
        if self.lag_records:
            self.lag_seconds = float(self._log.ages(np.flatnonzero(waiting)).max())

    def _readings(self) -> dict[TopicPartition, Reading | Unknown]:
        log = self._log
        ends, starts = (log.end + log.trailing).tolist(), log.start.tolist()
        commits = log.committed.tolist()
        has_offsets = frozenset(name for name, where in self._places.items()
                                if max(commits[where.start:where.stop]) >= 0)
        found: dict[TopicPartition, Reading | Unknown] = {}
        for topic in self.world.declared(has_offsets):
            for place in self._places[topic.name]:
                committed = int(commits[place]) if commits[place] >= 0 else Uncommitted()
                found[self._names[place]] = Reading(int(ends[place]), committed, int(starts[place]))
        return found

    def _reported_group(self) -> Group:
        """The group as the coordinator describes it; no assignments while a classic group prepares a rebalance."""
        state, members = self.world.reported_state(self.at) or self._group.state, self._group.members
        if state in NO_MEMBERS:
            return Group(state)
        if not members:
            return Group("Empty")
        if state == "PreparingRebalance":
            return Group(state, "", tuple(Member(member) for member in members))
        held: dict[str, list[TopicPartition]] = {member: [] for member in members}
        for name, owner in zip(self._names, self._group.owners, strict=True):
            if owner is not None:
                held[owner].append(name)
        assignor = self.world.assignor or self.world.plant.assignor
        return Group(state, assignor, tuple(Member(who, frozenset(held[who])) for who in members))


def _slots(work: Iterable[list[int]], empty: int) -> Numbers:
    """The partitions of each consumer as rows of equal length, padded with `empty`."""
    rows = list(work)
    slots: Numbers = np.full((len(rows), max(1, max(map(len, rows), default=0))), empty, dtype=np.intp)
    for row, partitions in enumerate(rows):
        slots[row, :len(partitions)] = partitions
    return slots


def _rng(world: World, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64((world.seed, purpose, *world.name.encode())))
