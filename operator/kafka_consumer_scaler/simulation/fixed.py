"""A number of replicas that never changes."""

from __future__ import annotations

from dataclasses import dataclass

from kafka_consumer_scaler.simulation.scaler import Observation


@dataclass(frozen=True, slots=True)
class Static:
    """Asks for `replicas` once and puts it back if it was changed."""

    replicas: int
    name: str = "static"
    interval_seconds: float = 15.0

    def look(self, observation: Observation) -> int | None:
        """`replicas` where the target asks for another number."""
        return None if observation.replicas.spec == self.replicas else self.replicas
