"""What is right to be found in which scenario: decided by how the scenario is made, before any run of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.troubles import Scenario

RECOVERY_SECONDS: Final = 300.0
NO_CAUSE: Final = "none: the load stays within what twelve consumers can do"


@dataclass(frozen=True)
class Truth:
    """One row of the table.

    Args:
        row: the scenario, or the part of it whose cause is this one.
        cause: the true cause in words.
        right: what has to be found.
        also: what is true too where it is found, and is not asked for.
    """

    row: str
    cause: str
    right: frozenset[Reason] = frozenset()
    also: frozenset[Reason] = frozenset()

    def is_false(self, found: Reason) -> bool:
        """Whether this finding is a false one here."""
        return found not in self.right | self.also


def truth(scenario: Scenario) -> Truth:
    """What is right for this scenario.

    Raises:
        KeyError: nobody has decided yet.
    """
    return TRUTHS[scenario.name](scenario)


def _plain(cause: str, *right: Reason, also: tuple[Reason, ...] = ()) -> Callable[[Scenario], Truth]:
    return lambda scenario: Truth(scenario.name, cause, frozenset(right), frozenset(also))


def _most(scenario: Scenario) -> float:
    """Records/s that as many consumers as there are partitions can do."""
    return scenario.load.plant.partitions * scenario.load.plant.capacity


def _hot(scenario: Scenario) -> Truth:
    plant = scenario.load.plant
    gets = max(scenario.load.arrival) * max(plant.weights) / sum(plant.weights)
    if gets > plant.capacity:
        return Truth("hot-partition, above 1", "one partition gets 105..125% of what its consumer can do, as the load "
                     "doubles", frozenset({Reason.HOT_PARTITION}), frozenset({Reason.PRODUCER_SPIKE}))
    return Truth("hot-partition, below 1", "the load doubles; the hottest partition gets 85..95% of what its consumer "
                 "can do", also=frozenset({Reason.PRODUCER_SPIKE}))


def _outage(scenario: Scenario) -> Truth:
    if scenario.load.plant.outages:
        return Truth("outage-burst, consumers", "all consumers stay in the group and process nothing for 2..5 min",
                     frozenset({Reason.STUCK_PARTITION}))
    return Truth("outage-burst, producers", "after 2..5 min of nothing 1.5..2.1 times as much arrives for a while",
                 frozenset({Reason.PRODUCER_SPIKE}))


def _sale(scenario: Scenario) -> Truth:
    beyond = max(scenario.load.arrival) > _most(scenario)
    also = frozenset({Reason.AT_PARTITION_LIMIT}) if beyond else frozenset[Reason]()
    part = "above 12" if beyond else "below 12"
    return Truth(f"flash-sale, {part}", f"20 times as much arrives within 10 s, at the top {part} consumers' worth",
                 frozenset({Reason.PRODUCER_SPIKE}), also)


def _nobody(scenario: Scenario) -> Truth:
    """What piles up meanwhile is to be done in `recoverySeconds` too."""
    gone, arrival = scenario.trouble.restarts[0], scenario.load.arrival[0]
    beyond = arrival * gone.seconds / RECOVERY_SECONDS + arrival > _most(scenario)
    also = frozenset({Reason.AT_PARTITION_LIMIT}) if beyond else frozenset[Reason]()
    part = "above 12" if beyond else "below 12"
    return Truth(f"no-members, {part}", f"all pods crash, or are in another group, for 5..15 min; then it needs {part} "
                 f"replicas to be drained within {RECOVERY_SECONDS:.0f} s", frozenset({Reason.NO_MEMBERS}), also)


def _pending(scenario: Scenario) -> Truth:
    """What those that were there cannot do piles up for as long as the others are pending."""
    plant, arrival, pending = scenario.load.plant, scenario.load.arrival, scenario.trouble.pending or (0.0, 0.0)
    grown, least = max(arrival[-600:]), plant.initial_replicas * plant.capacity
    beyond = max(0.0, grown - least) * (pending[1] - pending[0]) / RECOVERY_SECONDS + grown > _most(scenario)
    also = {Reason.PRODUCER_SPIKE} | ({Reason.AT_PARTITION_LIMIT} if beyond else set())
    part = "above 12" if beyond else "below 12"
    return Truth(f"pending-pods, {part}", "the load doubles, and the pods asked for are pending for 10..20 min; then "
                 f"it needs {part} replicas to be drained within {RECOVERY_SECONDS:.0f} s",
                 frozenset({Reason.REPLICAS_NOT_JOINING}), frozenset(also))


def _replay(scenario: Scenario) -> Truth:
    """Who starts over knows no usual load; the backlog is to be done in `recoverySeconds`."""
    plant: PlantSpec = scenario.load.plant
    beyond = plant.initial_lag / RECOVERY_SECONDS + scenario.load.arrival[0] > _most(scenario)
    also = frozenset({Reason.AT_PARTITION_LIMIT}) if beyond else frozenset[Reason]()
    part = "above 12" if beyond else "below 12"
    return Truth(f"replay-earliest, {part}", f"the backlog that it starts with; it needs {part} replicas to be drained "
                 f"within {RECOVERY_SECONDS:.0f} s", also=also)


SPIKE, LIMIT = Reason.PRODUCER_SPIKE, Reason.AT_PARTITION_LIMIT
TRUTHS: Final[Mapping[str, Callable[[Scenario], Truth]]] = {
    "steady": _plain("none: a steady load"),
    "step": _plain("3..8 times as much arrives, at once", SPIKE),
    "ramp": _plain("in 10..30 min the load grows 3 times at least; the replicas may follow in time", also=(SPIKE,)),
    "spike-train": _plain("spikes of 2..12 times the load for 1..4 min", SPIKE),
    "diurnal": _plain("the load grows 4 times at least in half an hour; the replicas may follow in time",
                      also=(SPIKE,)),
    "slow-consumers": _plain("all consumers' capacity falls by 30..60%", Reason.SLOW_CONSUMERS),
    "hot-partition": _hot,
    "downstream-limit": _plain("something downstream takes 60..85% of a load that has grown 2..6 times",
                               Reason.INEFFECTIVE_SCALING, also=(SPIKE,)),
    "outage-burst": _outage,
    "flash-sale": _sale,
    "replay-earliest": _replay,
    "idle-to-zero": _plain("none: breaks without a record, after which the same load is back"),
    "stuck-partition": _plain("one partition is owned and not processed", Reason.STUCK_PARTITION),
    "no-members": _nobody,
    "rebalance-storm": _plain("one member leaves and joins again and again; its pod is well", Reason.REBALANCE_STORM),
    "crashing-pod": _plain("one pod crashes again and again", Reason.REPLICAS_NOT_JOINING),
    "pending-pods": _pending,
    "spike-beyond-partitions": _plain("more arrives than as many consumers as partitions can do", SPIKE, LIMIT),
    "spike-beyond-maximum": _plain("more arrives than maxReplicas can do; the backlog grows, so that in the end more "
                                   "than the partitions allow would be of use",
                                   SPIKE, Reason.AT_MAX_REPLICAS, also=(LIMIT,)),
    "retention-deletes": _plain("a spike beyond the partitions, of which records are deleted before they are reached",
                                SPIKE, LIMIT, Reason.RETENTION_RISK, also=(Reason.RECORDS_LOST,)),
    "hung-transaction": _plain("a transaction that nobody ends", Reason.HUNG_TRANSACTION),
    "rolling-restart": _plain("none: every pod is replaced in good order"),
    "healthy-noisy": _plain("none: 40..80% of what the replicas can do, with noise of up to 30%"),
}
