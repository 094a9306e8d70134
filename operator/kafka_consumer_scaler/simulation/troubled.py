"""A simulated group to which happens what the loads of the proof do not know: each kind of trouble by hand and hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kafka_consumer_scaler.core.snapshot import Details, Reading, Replicas, Snapshot, Unknown
from kafka_consumer_scaler.simulation.plant import Plant
from kafka_consumer_scaler.simulation.pods import Pod
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.spec import PlantSpec

ALL_PODS = 1_000_000


@dataclass(frozen=True, slots=True)
class Restart:
    """At `at` (whole seconds) the consumers of some pods are gone, and back as new members `seconds` later.

    Args:
        at: when.
        seconds: for how long they are away.
        first: the oldest pod that it happens to, counted from 0 over those that are ready.
        pods: to how many.
        is_crash: they die without a word, and are members until their session ends; else they leave the group.
        is_orderly: before they leave they commit what they have done.
    """

    at: float
    seconds: float
    first: int = 0
    pods: int = 1
    is_crash: bool = False
    is_orderly: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to a group. Times are whole seconds from the start of the run.

    Args:
        restarts: consumers that go and come back.
        pending: (from, until): pods that are asked for in this time start at its end.
        stuck: (at, partition): from then on its consumer does not process it, and is alive.
        held: (at, partition): from then on a transaction is open on it: its last stable offset stands still.
        told: (from, until, words): what is told of the pods in this time, after `1 of 4 pods `.
    """

    restarts: tuple[Restart, ...] = ()
    pending: tuple[float, float] | None = None
    stuck: tuple[float, int] | None = None
    held: tuple[float, int] | None = None
    told: tuple[float, float, str] | None = None


class TroubledPlant(Plant):
    """A group with its trouble.

    Raises:
        ValueError: an arrival is negative or not a number.
    """

    def __init__(self, spec: PlantSpec, arrival: Sequence[float], seed: int, trouble: Trouble) -> None:
        self._trouble = trouble
        self._held_at: int | None = None
        super().__init__(spec, arrival, seed)

    def step(self) -> None:
        """Advance one second, and let happen what is due at its end."""
        super().step()
        due = [each for each in self._trouble.restarts if each.at == self.at]
        for each in due:
            self._take_away(each)
        if due or (self._trouble.stuck is not None and self._trouble.stuck[0] == self.at):
            self._happen()
        if self._trouble.held is not None and self._trouble.held[0] == self.at:
            self._held_at = int(self._flow.end[self._trouble.held[1]])

    def scale(self, replicas: int) -> None:
        """Ask for another number of replicas; pods may be pending for a while."""
        super().scale(replicas)
        if self._trouble.pending is None:
            return
        since, until = self._trouble.pending
        if since <= self.at < until:
            for pod in self._pods.pods:
                if not pod.is_ready:
                    pod.ready_at = max(pod.ready_at, until)

    def observe(self) -> Observation:
        """What an observer is told now."""
        seen = super().observe()
        return replace(seen, replicas=self._with_pods(seen.replicas), snapshot=self._with_transaction(seen.snapshot))

    def _take_away(self, restart: Restart) -> None:
        ready = [pod for pod in self._pods.pods if pod.is_ready]
        for pod in ready[restart.first:restart.first + restart.pods]:
            for member in pod.members(self.spec.threads):
                self._end(member, restart)
            self._begin_anew(pod, restart)

    def _end(self, member: str, restart: Restart) -> None:
        if restart.is_crash:
            self._flow.rewind(self._group.die(member, self.at))
            return
        given_up = self._group.leave(member)
        if restart.is_orderly:
            self._flow.commit(given_up)
        else:
            self._flow.rewind(given_up)

    def _begin_anew(self, pod: Pod, restart: Restart) -> None:
        pod.is_ready = False
        pod.starts += 1
        pod.ready_at = self.at + restart.seconds

    def _share_out(self) -> None:
        """A stuck partition is owned, and nobody works on it."""
        still, stuck = self._group.still, self._trouble.stuck
        if stuck is not None and self.at >= stuck[0]:
            self._group.still = still | {stuck[1]}
        super()._share_out()
        self._group.still = still

    def _with_pods(self, replicas: Replicas) -> Replicas:
        """A pod's last end is told for a while after it, so of one that runs again too."""
        if self._trouble.told is None or not self._trouble.told[0] <= self.at < self._trouble.told[1]:
            return replicas
        count = max(1, replicas.existing - self._pods.ready)
        return replace(replicas, trouble=f"{count} of {replicas.existing} pods {self._trouble.told[2]}")

    def _with_transaction(self, snapshot: Snapshot) -> Snapshot:
        """Nobody reads or commits beyond the last stable offset; the high watermark goes on."""
        if self._trouble.held is None or isinstance(snapshot.partitions, Unknown):
            return snapshot
        readings = dict(snapshot.partitions)
        high = {tp: reading.end for tp, reading in readings.items() if isinstance(reading, Reading)}
        held = self._names[self._trouble.held[1]]
        if self._held_at is not None:
            readings[held] = _held(readings[held], self._held_at)
        return replace(snapshot, partitions=readings, details=Details(high_watermarks=high))


def _held(reading: Reading | Unknown, at: int) -> Reading | Unknown:
    if isinstance(reading, Unknown) or not isinstance(reading.committed, int):
        return reading
    return replace(reading, end=min(at, reading.end), committed=min(at, reading.committed))
