"""What every policy sees of the simulated group, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kafka_consumer_scaler.core.snapshot import Replicas, Snapshot


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the simulated group.

    Args:
        at: seconds since the run began.
        snapshot: what Kafka says; partitions may be Unknown, as in life.
        replicas: what the scale subresource says: replicas asked for, pods that exist.
        ready: pods that are ready.
    """

    at: float
    snapshot: Snapshot
    replicas: Replicas
    ready: int


class Scaler(Protocol):
    """A policy: it looks every `interval_seconds` and may ask for another number of replicas."""

    @property
    def name(self) -> str:
        """The name in summaries and pictures."""

    @property
    def interval_seconds(self) -> float:
        """Seconds between two looks."""

    def look(self, observation: Observation) -> int | None:
        """Replicas to ask for now; None writes nothing."""
