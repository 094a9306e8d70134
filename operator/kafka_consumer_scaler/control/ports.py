"""What the control loop asks of the outside. Adapters live in kafka/, kube/ and telemetry/; wiring.py builds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Event, Verdict
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from kafka_consumer_scaler.kube.claim import Claim, Found, Missing
from kafka_consumer_scaler.kube.target import Target


class Clock(Protocol):
    """Seconds since the epoch that never go back and never jump while the process lives."""

    def now(self) -> float:
        """The time."""


class Leadership(Protocol):
    """Whether this operator is the one that acts."""

    def may_write(self) -> bool:
        """Whether a write that begins now cannot meet another leader's."""


class LeaseAccess(Protocol):
    """The Lease by which operators elect their leader. Failures are Unknown values, never exceptions."""

    async def read(self) -> Found | Missing | Unknown:
        """What it says."""

    async def create(self, claim: Claim) -> Found | Missing | Unknown:
        """Make it, if there is none."""

    async def update(self, claim: Claim, version: str) -> Found | Missing | Unknown:
        """Change it, if it still has this version."""


class LagSource(Protocol):
    """Reads many groups of one cluster at once. Failures are Unknown values, never exceptions."""

    async def poll(
        self, connection: Connection, queries: Sequence[GroupQuery], deadline_seconds: float
    ) -> list[GroupSample]:
        """One sample for each query, in order."""

    def forget(self, connection: Connection) -> None:
        """No resource uses the cluster any more."""


class HeldSecret(Protocol):
    """What a Secret holds. Its `str` names it and its `repr` shows no value."""

    def text(self, key: str) -> str | Unknown:
        """The text under the key; Unknown names Secret and key."""


class SecretSource(Protocol):
    """The Secrets that the operator may read, one at a time."""

    async def secret(self, namespace: str, name: str) -> HeldSecret | Unknown:
        """The Secret as it is now. Never raises."""


class ConnectionSource(Protocol):
    """The connections that resources share, as the API server has them."""

    async def namespaced(self, namespace: str, name: str) -> Mapping[str, Any] | Unknown:
        """A KafkaConnection. Never raises."""

    async def clusterwide(self, name: str) -> Mapping[str, Any] | Unknown:
        """A ClusterKafkaConnection. Never raises."""


class ScaleAccess(Protocol):
    """The target's scale subresource."""

    async def read(self, target: Target) -> Replicas | Unknown:
        """Replicas asked for and existing."""

    async def changed_by(self, target: Target) -> str:
        """The field manager that last wrote the replicas, other than ours; empty where unknown. Never raises."""

    async def write(self, target: Target, replicas: int, expected: int) -> Unknown | None:
        """Set the replicas if they still are `expected`; None when done."""


class RivalSource(Protocol):
    """Other autoscalers of the same target."""

    async def other_scalers(self, target: Target) -> str | Unknown | None:
        """The other one, in words."""


class PodSource(Protocol):
    """The target's pods. Never raises."""

    async def trouble(self, target: Target) -> str:
        """What is the matter with them, in one phrase; empty when nothing is, or when that cannot be learned."""

    async def start_seconds(self, target: Target) -> float | None:
        """How long the fastest of them took to start; None when none is ready, or when that cannot be learned."""


class ResourceSource(Protocol):
    """The KafkaConsumerScalers as the API server has them."""

    async def listed(self) -> list[dict[str, Any]] | Unknown:
        """All of them, in every watched namespace; Unknown rather than a part."""

    async def uid(self, namespace: str, name: str) -> str | Unknown | None:
        """The uid of the one that has this name now; None when there is none."""


class BodySource(Protocol):
    """Single KafkaConsumerScalers as the API server has them."""

    async def body(self, namespace: str, name: str) -> Mapping[str, Any] | Unknown | None:
        """The one that has this name now; None when there is none, or none that is watched. Never raises."""


class StatusAccess(Protocol):
    """The status subresource of a KafkaConsumerScaler."""

    async def write(self, resource: Mapping[str, Any], status: Mapping[str, Any]) -> Unknown | None:
        """Replace the status of the resource with this very uid; None when done or gone."""


class QuotaAccess(Protocol):
    """Quotas of producers at the brokers. Failures are Unknown values, never exceptions."""

    async def quotas(
        self, connection: Connection, entities: Sequence[Entity], deadline_seconds: float
    ) -> Quotas | Unknown:
        """What the cluster holds each of them to; Unknown also where we may not change it."""

    async def change_quotas(
        self, connection: Connection, changes: Sequence[Change], deadline_seconds: float
    ) -> Mapping[Entity, Before]:
        """What each was held to before; the change was carried out if that was expected."""


class FinalizerAccess(Protocol):
    """Our finalizer on a KafkaConsumerScaler with this very uid."""

    async def hold(self, resource: Mapping[str, Any]) -> Unknown | None:
        """Put it there; None when it is."""

    async def let_go(self, resource: Mapping[str, Any]) -> Unknown | None:
        """Take it away; None when it is, or when the resource is gone."""


class EventSink(Protocol):
    """Kubernetes events. Never raises; what cannot be sent now is sent later."""

    async def post(self, regarding: Mapping[str, Any], event: Event, related: Target | None) -> None:
        """Post one event regarding the resource and related to the workload."""


class MetricsSink(Protocol):
    """The operator's own series."""

    def observe_verdict(self, namespace: str, name: str, verdict: Verdict, policy: Policy) -> None:
        """The numbers of a verdict."""

    def observe_poll(self, cluster: str, connection: str, seconds: float, problem: Reason | None) -> None:
        """One poll of a cluster, by its address, by way of the connection of that name."""

    def observe_stretch(self, cluster: str, connection: str, stretch: int) -> None:
        """How many polling intervals apart the polls of a cluster are."""

    def observe_scale_write(self, problem: Reason | None) -> None:
        """One write of a scale subresource."""

    def observe_status_write(self, problem: Reason | None) -> None:
        """One write of a status."""

    def observe_event(self, reason: Reason) -> None:
        """One event that was posted."""

    def observe_resource(self, namespace: str, name: str, consumer_group: str, target: str) -> None:
        """What a resource is about."""

    def forget_cluster(self, cluster: str, connection: str) -> None:
        """Remove all series of a connection."""
