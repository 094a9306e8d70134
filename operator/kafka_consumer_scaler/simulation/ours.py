"""The operator's own policy in the simulator: the same decide(), history and memory, fed by simulated snapshots."""

from __future__ import annotations

from dataclasses import replace

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.verdict import ScaleTo, Verdict
from kafka_consumer_scaler.simulation.scaler import Observation

T0 = 1_700_000_000.0
"""Where a run begins on the operator's clock, whose times are seconds since the epoch."""
DECIDED_LATER_SECONDS = 0.2
WRITTEN_LATER_SECONDS = 0.05
"""As in life, the decision comes a moment after the sample, and the write a moment after the decision."""


class KafkaConsumerScaler:
    """Scales as the operator would with this policy; `verdicts` keeps (at, verdict) of every look.

    Args:
        policy: what the user wants.
        memory: what an earlier operator has written; its history is lost, as at a restart.
        began: when the run begins on the operator's clock.
    """

    name = "kafka-consumer-scaler"

    def __init__(self, policy: Policy, memory: Memory | None = None, began: float = T0) -> None:
        self.policy = policy
        self.verdicts: list[tuple[float, Verdict]] = []
        self._history = History()
        self._memory = Memory() if memory is None else memory
        self._began = began

    @property
    def interval_seconds(self) -> float:
        """The policy's polling interval."""
        return float(self.policy.polling_interval_seconds)

    @property
    def memory(self) -> Memory:
        """What would be written to the resource's status now."""
        return self._memory

    def look(self, observation: Observation) -> int | None:
        """Decide on one observation; a ScaleTo counts as carried out."""
        at = self._began + observation.at
        self._history = self._history.append(replace(observation.snapshot, at=at))
        now = at + DECIDED_LATER_SECONDS
        verdict = decide(self.policy, self._history, observation.replicas, self._memory, now)
        self.verdicts.append((observation.at, verdict))
        self._memory = verdict.memory
        if not isinstance(verdict.decision, ScaleTo):
            return None
        self._memory = verdict.memory_after_scaling(observation.replicas.spec, now + WRITTEN_LATER_SECONDS)
        return verdict.decision.replicas
