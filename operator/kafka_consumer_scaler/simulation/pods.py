"""The pods of the simulated workload: asked for, started (at times more than once), crashed, removed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kafka_consumer_scaler.simulation.spec import PlantSpec


@dataclass(slots=True)
class Pod:
    """One pod; `ready_at` is when its start is over (a crash begins another), `starts` counts the ones it made."""

    number: int
    ready_at: float
    is_ready: bool = False
    starts: int = 0

    def members(self, threads: int) -> list[str]:
        """The ids of its consumers since its latest start; ids of younger pods sort behind those of older ones."""
        return [f"consumer-{self.number:04d}-{thread:02d}-{self.starts}" for thread in range(threads)]


@dataclass(slots=True)
class Pods:
    """All pods there are, oldest first."""

    spec: PlantSpec
    dice: np.random.Generator
    pods: list[Pod] = field(default_factory=list)
    _created: int = 0

    @property
    def ready(self) -> int:
        """Pods that are ready."""
        return sum(pod.is_ready for pod in self.pods)

    @property
    def next_at(self) -> float:
        """When the next start is over."""
        return min((pod.ready_at for pod in self.pods if not pod.is_ready), default=float("inf"))

    def start_ready(self, count: int) -> None:
        """Pods that are there, ready, from the beginning."""
        for _ in range(count):
            self.pods.append(Pod(self._created, 0.0, is_ready=True))
            self._created += 1

    def scale(self, replicas: int, at: float) -> list[Pod]:
        """Create pods, or remove some: first those not ready, then the youngest, as a ReplicaSet does. The removed."""
        while len(self.pods) < replicas:
            self.pods.append(Pod(self._created, at + self._start_seconds()))
            self._created += 1
        ranked = sorted(self.pods, key=lambda pod: (pod.is_ready, -pod.number))
        removed = ranked[:len(self.pods) - replicas]
        self.pods = [pod for pod in self.pods if pod not in removed]
        return removed

    def become_ready(self, at: float) -> list[Pod]:
        """The pods whose start is over now."""
        fresh = [pod for pod in self.pods if not pod.is_ready and pod.ready_at <= at]
        for pod in fresh:
            pod.is_ready = True
        return fresh

    def crash(self, count: int) -> list[Pod]:
        """Ready pods, drawn by lot, that die now; call `restart` for each."""
        ready = [pod for pod in self.pods if pod.is_ready]
        drawn = self.dice.permutation(len(ready))[:count]
        return [ready[index] for index in sorted(drawn.tolist())]

    def restart(self, pod: Pod, at: float) -> None:
        """The pod starts anew; its consumers will join as new members."""
        pod.is_ready = False
        pod.starts += 1
        pod.ready_at = at + self._start_seconds()

    def _start_seconds(self) -> float:
        """One start, and another for each that fails."""
        seconds = self.spec.pod_start_seconds + self.spec.pod_start_jitter * self.dice.random()
        while self.dice.random() < self.spec.pod_failure_chance:
            seconds += self.spec.pod_start_seconds + self.spec.pod_start_jitter * self.dice.random()
        return float(seconds)
