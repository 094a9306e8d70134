"""A simulated consumer group: partitions, consumers in pods, their coordinator, and what an observer sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.simulation.assignors import topic_sizes
from kafka_consumer_scaler.simulation.flow import Floats, Flow
from kafka_consumer_scaler.simulation.group import Coordinator
from kafka_consumer_scaler.simulation.pods import Pod, Pods
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.spec import PlantSpec, load_plant, plant_spec

__all__ = ["Plant", "PlantSpec", "load_plant", "plant_spec"]


class Plant:
    """A group that is advanced second by second; lag and age are the true ones, of what is processed.

    Equal arguments and equal calls of `scale` give equal results to the last bit. What an observer misses depends on
    the seed and the time alone, so that policies under one seed meet the same failures.

    Args:
        spec: what the group is like.
        arrival: records/s of each second.
        seed: of pods' start times and failures, crashes, beats of commits and what observers miss.

    Raises:
        ValueError: an arrival is negative or not a number.
    """

    def __init__(self, spec: PlantSpec, arrival: Sequence[float], seed: int) -> None:
        if not all(0 <= rate < inf for rate in arrival):
            raise ValueError("an arrival is negative or not a number")
        self.spec = spec
        self.at = 0.0
        self.replicas_spec = spec.initial_replicas
        self.rebalancing = 0.0
        self.ready = spec.initial_replicas
        self.arrival = 0.0
        self._arrival = arrival
        self._names = _names(spec)
        self._flow = Flow(_shares(spec), arrival, spec.initial_lag)
        self._pods = Pods(spec, _dice(seed, 0))
        self._pods.start_ready(spec.initial_replicas)
        self._beats = _dice(seed, 1)
        self._beat_seconds = max(1, round(spec.commit_seconds))
        self._beat: dict[str, int] = {}
        self._misses = _dice(seed, 2).random((len(arrival) + 1, 3))
        self._factors = [spec.capacity_factor(at) for at in range(len(arrival))]
        self._factor = -1.0
        self._crashes = sorted(spec.crashes)
        self._group = Coordinator(spec, [member for pod in self._pods.pods for member in self._joined(pod)])
        self._next_at = inf
        self._happen()

    @property
    def lag_records(self) -> float:
        """Records that arrived and are not processed."""
        return self._flow.lag_records

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest record that is not processed, in seconds; 0 when there is none."""
        return self._flow.lag_seconds

    @property
    def records_lost(self) -> float:
        """Records that retention deleted before they were processed."""
        return self._flow.records_lost

    @property
    def records_processed(self) -> float:
        """Records that were processed, each counted once."""
        return self._flow.records_processed - self._flow.records_lost

    @property
    def records_reprocessed(self) -> float:
        """Records that were processed again after a crash, or still have to be."""
        return self._flow.records_reprocessed

    def step(self) -> None:
        """Advance one second.

        Raises:
            IndexError: the arrivals are at their end.
        """
        second = int(self.at)
        self.arrival = self._arrival[second]
        self._set_capacity(self._factors[second])
        self._flow.step(self._capacities, self.spec.downstream_limit, self._keeps_up_with)
        self.rebalancing = len(self._group.still) / self.spec.partitions
        self.at += 1.0
        self._flow.commit(self._due[(second + 1) % self._beat_seconds])
        if self.at > self.spec.retention_seconds:
            self._flow.delete_before(self.at - self.spec.retention_seconds)
        if self.at >= self._next_at:
            self._happen()

    def scale(self, replicas: int) -> None:
        """Ask for another number of replicas: pods start, or leave at once after a last commit."""
        self.replicas_spec = max(0, replicas)
        for pod in self._pods.scale(self.replicas_spec, self.at):
            if pod.is_ready:
                for member in pod.members(self.spec.threads):
                    self._flow.commit(self._group.leave(member))
        self._happen()

    def observe(self) -> Observation:
        """What an observer is told now; a look that fails altogether tells of the replicas alone, as in life."""
        gap, partial, which = self._misses[int(self.at)]
        start = self.spec.pod_start_seconds if self._pods.pods else None
        replicas = Replicas(self.replicas_spec, len(self._pods.pods), start_seconds=start)
        if gap < self.spec.poll_gap_chance:
            blind = Snapshot(self.at, Unknown("the brokers did not answer"))
            return Observation(self.at, blind, replicas, self.ready)
        readings = self._readings()
        if partial < self.spec.poll_partial_chance:
            missing = self._names[int(which * self.spec.partitions)]
            readings[missing] = Unknown("the leader did not answer", Reason.METRICS_PARTIAL)
        return Observation(self.at, Snapshot(self.at, readings, self._seen_group()), replicas, self.ready)

    def _joined(self, pod: Pod) -> list[str]:
        """The pod's members, each with its own beat of commits."""
        members = pod.members(self.spec.threads)
        for member in members:
            self._beat[member] = int(self._beats.integers(self._beat_seconds))
        return members

    def _happen(self) -> None:
        """All that is due: crashes, pods that become ready, rebalances; then who works on what."""
        while self._crashes and self._crashes[0][0] <= self.at:
            for pod in self._pods.crash(self._crashes.pop(0)[1]):
                self._crash(pod)
        for pod in self._pods.become_ready(self.at):
            for member in self._joined(pod):
                self._group.join(member)
        self._flow.commit(sorted(self._group.advance(self.at)))
        crash_at = self._crashes[0][0] if self._crashes else inf
        self._next_at = min(crash_at, self._pods.next_at, self._group.next_at)
        self.ready = self._pods.ready
        self._share_out()

    def _crash(self, pod: Pod) -> None:
        for member in pod.members(self.spec.threads):
            self._flow.rewind(self._group.die(member, self.at))
        self._pods.restart(pod, self.at)

    def _share_out(self) -> None:
        """Who works on what from now on, at which share of the capacity, and who commits when."""
        held: dict[str, list[int]] = {}
        for partition, owner in enumerate(self._group.owners):
            if owner is not None and self._group.is_alive(owner) and partition not in self._group.still:
                held.setdefault(owner, []).append(partition)
        slow = set(self._group.members[:self.spec.slow_members])
        self._flow.give(list(held.values()))
        self._speeds: Floats = np.array([self.spec.slow_factor if member in slow else 1.0 for member in held])
        due: list[list[int]] = [[] for _ in range(self._beat_seconds)]
        for member, partitions in held.items():
            due[self._beat[member]] += partitions
        self._due = [np.array(partitions, dtype=np.intp) for partitions in due]
        self._set_capacity(self._factor, anew=True)

    def _set_capacity(self, factor: float, anew: bool = False) -> None:
        if anew or factor != self._factor:
            self._factor = factor
            self._capacities = self._speeds * (self.spec.capacity * factor)
            self._keeps_up_with = self._flow.keeps_up_with(self._capacities, self.spec.downstream_limit)

    def _readings(self) -> dict[TopicPartition, Reading | Unknown]:
        """Whole offsets, as Kafka counts; a commit is never beyond the end."""
        flow = self._flow
        offsets = zip(self._names, flow.end.tolist(), flow.committed.tolist(), flow.start.tolist(), strict=False)
        return {name: Reading(int(end), int(committed), int(start)) for name, end, committed, start in offsets}

    def _seen_group(self) -> Group:
        """Kafka tells the assignor and the assignments of a classic group only while it is stable."""
        state, members = self._group.state, self._group.members
        if state == "Empty":
            return Group(state)
        if state == "PreparingRebalance":
            return Group(state, "", tuple(Member(member) for member in members))
        held: dict[str, list[TopicPartition]] = {member: [] for member in members}
        for name, owner in zip(self._names, self._group.owners, strict=True):
            if owner is not None:
                held[owner].append(name)
        return Group(state, self.spec.assignor, tuple(Member(who, frozenset(held[who])) for who in members))


def _dice(seed: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64((seed, purpose)))


def _shares(spec: PlantSpec) -> Floats:
    weights = np.array(spec.weights or (1.0,) * spec.partitions, dtype=np.float64)
    shares: Floats = weights / weights.sum()
    return shares


def _names(spec: PlantSpec) -> list[TopicPartition]:
    """One topic is `orders`; several are `topic-0`, `topic-1`, ..."""
    topics = ["orders"] if spec.topics == 1 else [f"topic-{number}" for number in range(spec.topics)]
    sizes = topic_sizes(spec.partitions, spec.topics)
    return [TopicPartition(topic, number) for topic, size in zip(topics, sizes, strict=True) for number in range(size)]
