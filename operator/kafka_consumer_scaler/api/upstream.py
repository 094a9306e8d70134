"""What the status says of producers: the rate that is safe, and the quotas that are on lease from the brokers.

A lease is written before the broker is told, so the status alone is enough to put back what was before. Whatever stands
there was perhaps written by hand: it is checked piece by piece, and what is none is no lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from kafka_consumer_scaler.api.conditions import is_timestamp, timestamp
from kafka_consumer_scaler.api.parts import Part
from kafka_consumer_scaler.api.spec import Int32, Int64, is_producer

LEASES_AT_MOST: Final = 20
"""More than the entries of a spec: those of the spec before may still have to be put back."""
NAME_LONGEST: Final = 255
RATE_MOST: Final = 2**53
"""Every whole number up to here is one in JSON too."""

Bytes = Annotated[int, Field(ge=0, le=RATE_MOST, json_schema_extra=Int64)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_LONGEST)]


@dataclass(frozen=True, slots=True)
class Lease:
    """A quota of producers that was set and is to be put back. Rates are bytes/s of each broker.

    Args:
        rate: what it was set to, or is about to be.
        since: when it was first set, seconds since the epoch.
        cluster: the id of the Kafka cluster.
        client_id: whose it is; exactly one of this and `user`.
        previous: what it was before; None when there was none.
        former: what it was set to before `rate`, while the broker may still have that.
        is_seen: the broker was seen to have it, and nothing was begun since to put it back.
    """

    rate: int
    since: float
    cluster: str
    client_id: str | None = None
    user: str | None = None
    previous: int | None = None
    former: int | None = None
    is_seen: bool = False


class SafeRateStatus(Part):
    """What the group sustains at its useful maximum: for producers and gateways that can hold back."""

    records_per_second: float
    """Records that may arrive for the group to sustain it, and to be back under the objective in time."""
    bytes_per_second: float | None = None
    """The same in bytes, by the mean size of a stored record."""
    sustained_records_per_second: float
    """Records that it sustains once nothing waits."""
    replicas: Annotated[int, Field(json_schema_extra=Int32)]
    """The useful maximum of replicas, with which it does that."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one phrase with its numbers."""
    is_lower_bound: bool
    """Whether the group may sustain more than this: no consumer was seen at its limit yet."""
    valid_until: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Until when it is to be followed; it is renewed long before."""


class QuotaLeaseStatus(Part):
    """A quota of producers that was set by the operator, and is put back by it."""

    client_id: Name | None = None
    """The `client.id` whose quota it is."""
    user: Name | None = None
    """The user whose quota it is."""
    previous_bytes_per_second: Bytes | None = None
    """What it was before, on each broker; left out when there was none."""
    former_bytes_per_second: Bytes | None = None
    """What it was set to last, while a broker may still have that."""
    bytes_per_second: Bytes
    """What it is set to, on each broker."""
    is_seen: bool = False
    """Whether the broker was seen to have it."""
    cluster_id: Name
    """The id of the Kafka cluster."""
    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When it was first set."""


def leases_as_status(leases: Iterable[Lease]) -> dict[str, Any]:
    """The status' part that tells of the leases; empty without any."""
    told = [_told(lease) for lease in leases]
    return {"quotaLeases": told} if told else {}


def leases_from_status(status: Mapping[str, Any]) -> tuple[Lease, ...]:
    """The leases of a status, in whatever condition it is; one for each entity."""
    stored = status.get("quotaLeases")
    entries = stored[:LEASES_AT_MOST] if isinstance(stored, list | tuple) else ()
    found = [lease for entry in entries if (lease := _lease(entry)) is not None]
    return tuple({(lease.client_id, lease.user): lease for lease in found}.values())


def _told(lease: Lease) -> dict[str, Any]:
    values = {
        "clientId": lease.client_id, "user": lease.user, "previousBytesPerSecond": lease.previous,
        "formerBytesPerSecond": lease.former, "bytesPerSecond": lease.rate, "isSeen": lease.is_seen,
        "clusterId": lease.cluster, "since": timestamp(lease.since),
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


def _lease(entry: Any) -> Lease | None:
    try:
        said = QuotaLeaseStatus.model_validate(entry, strict=True, extra="ignore")
    except ValidationError:
        return None
    if (said.client_id is None) == (said.user is None) or not is_timestamp(said.since):
        return None
    if not all(map(is_producer, filter(None, (said.client_id, said.user, said.cluster_id)))):
        return None
    return Lease(said.bytes_per_second, datetime.fromisoformat(said.since).timestamp(), said.cluster_id, said.client_id,
                 said.user, said.previous_bytes_per_second, said.former_bytes_per_second, said.is_seen)
