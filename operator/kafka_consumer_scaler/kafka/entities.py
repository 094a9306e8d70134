"""Whom a quota of producers is for, what the brokers hold it to, and a change of that. No Kafka client is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafka_consumer_scaler.core.snapshot import Unknown


@dataclass(frozen=True, slots=True)
class Entity:
    """Producers by their `client.id`, or by the user that brokers know them as; exactly one of the two."""

    client_id: str | None = None
    user: str | None = None

    def __str__(self) -> str:
        return f"client-id {self.client_id}" if self.client_id is not None else f"user {self.user}"


@dataclass(frozen=True, slots=True)
class Standing:
    """The quotas that bear on an entity. Rates are bytes/s of each broker.

    Args:
        own: its own quota; None when it has none.
        inherited: the quota that holds for it while it has none of its own; None when none does.
        overridden_by: the quota that holds in spite of an own one, in words; empty when none does.
    """

    own: int | None = None
    inherited: int | None = None
    overridden_by: str = ""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a cluster tells of the entities that it was asked about; `cluster` is its id."""

    cluster: str
    standings: Mapping[Entity, Standing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """An own quota to be set, or with None taken away, if it is one of those `expected` just before."""

    entity: Entity
    expected: frozenset[int | None]
    rate: int | None


Before = int | None | Unknown
"""The own quota before a change; the change was carried out if it was expected. Unknown: it may have been."""
