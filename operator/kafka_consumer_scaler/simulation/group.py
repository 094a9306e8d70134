"""The coordinator of the simulated group: who is a member, who owns what, and which partitions stand still.

A rebalance of the classic protocol waits until every member that died has been dropped; then partitions are given out,
and those that move (under an eager assignor all of them, from the beginning) stand still for `rebalance_seconds`.
Whoever joins or leaves meanwhile causes the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from kafka_consumer_scaler.simulation.assignors import Owners, assign
from kafka_consumer_scaler.simulation.spec import PlantSpec


@dataclass(slots=True)
class Coordinator:
    """The group as its coordinator knows it; members are ids.

    Args:
        spec: the plant.
        members: in the order they joined.
        owners: the owner of each partition, or None.
        still: partitions that stand still because of a rebalance.
        dead_until: members that died, and when the coordinator drops them.
        ends_at: when the rebalance that runs is over; None when none runs.
    """

    spec: PlantSpec
    members: list[str] = field(default_factory=list)
    owners: Owners = field(default_factory=list)
    still: set[int] = field(default_factory=set)
    dead_until: dict[str, float] = field(default_factory=dict)
    ends_at: float | None = None
    _is_stale: bool = False
    _assigns_at: float | None = None

    def __post_init__(self) -> None:
        self.owners = self.assigned([None] * self.spec.partitions)

    def assigned(self, before: Owners) -> Owners:
        """The new owner of each partition, where `before` are the owners up to now."""
        return assign(self.spec.assignor, before, self.members, self.spec.topics)

    @property
    def state(self) -> str:
        """Kafka's word for the state; the group protocol of Kafka 4 reconciles where the classic one prepares."""
        if not self.members:
            return "Empty"
        if self.ends_at is None and self._assigns_at is None:
            return "Stable"
        return "Reconciling" if self.spec.is_consumer_protocol else "PreparingRebalance"

    @property
    def next_at(self) -> float:
        """When something is due next; infinite when nothing is."""
        due = [at for at in (self._assigns_at, self.ends_at) if at is not None]
        return min([*due, *self.dead_until.values()], default=inf)

    def is_alive(self, member: str) -> bool:
        """Whether the member is there and works."""
        return member not in self.dead_until

    def join(self, member: str) -> None:
        """A member comes; it gets partitions at the end of the rebalance that follows."""
        self.members.append(member)
        self._is_stale = True

    def leave(self, member: str) -> list[int]:
        """A member goes and says so; the partitions it gives up."""
        self.members.remove(member)
        self.dead_until.pop(member, None)
        self._is_stale = True
        return self._disown(member)

    def die(self, member: str, at: float) -> list[int]:
        """A member goes without a word: it keeps its partitions until its session times out. These are returned."""
        self.dead_until[member] = at + self.spec.session_timeout_seconds
        return [partition for partition, owner in enumerate(self.owners) if owner == member]

    def advance(self, at: float) -> set[int]:
        """Do what is due at `at`; the partitions that a living owner gives up now, so commits."""
        for member in [dead for dead, until in self.dead_until.items() if until <= at]:
            self.leave(member)
        if not self.members:
            self.still, self.ends_at, self._assigns_at, self._is_stale = set(), None, None, False
        revoked: set[int] = set()
        if self._assigns_at is not None and at >= self._assigns_at:
            revoked |= self._give_out(at)
        self._end(at)
        if self._is_stale and self._assigns_at is None and self.ends_at is None:
            revoked |= self._start(at)
        self._end(at)
        return revoked

    def _disown(self, member: str) -> list[int]:
        given_up = [partition for partition, owner in enumerate(self.owners) if owner == member]
        for partition in given_up:
            self.owners[partition] = None
        return given_up

    def _start(self, at: float) -> set[int]:
        """Under an eager assignor all give up all partitions at once, before anything is given out anew."""
        waits_for = () if self.spec.is_consumer_protocol else self.dead_until.values()
        self._assigns_at = max([at, *waits_for])
        if not self.spec.is_incremental:
            self.still = set(range(len(self.owners)))
        if self._assigns_at <= at:
            return set(self.still) | self._give_out(at)
        return set(self.still)

    def _give_out(self, at: float) -> set[int]:
        before = self.owners
        self._is_stale, self._assigns_at = False, None
        self.owners = self.assigned(before)
        moved = {partition for partition, owner in enumerate(self.owners) if owner != before[partition]}
        self.ends_at = at + self.spec.rebalance_seconds
        self.still |= moved
        return moved

    def _end(self, at: float) -> None:
        if self.ends_at is not None and at >= self.ends_at:
            self.still, self.ends_at = set(), None
