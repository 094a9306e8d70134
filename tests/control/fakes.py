"""The loop's outside, written down: what was asked and what was told. Only for the loop's own logic; the adapters have
contract tests on the real parts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka_consumer_scaler.api.v1alpha1 import FINALIZER
from kafka_consumer_scaler.control.allowances import Allowances
from kafka_consumer_scaler.control.connections import Resolver
from kafka_consumer_scaler.control.permissions import Permissions
from kafka_consumer_scaler.control.quotas import QuotaKeeper
from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, TopicPartition, Unknown
from kafka_consumer_scaler.core.verdict import Event, Verdict
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas, Standing
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from kafka_consumer_scaler.kube.secrets import Secret
from kafka_consumer_scaler.kube.target import Target
from tests.control.virtual_time import LoopClock


def resource(name: str = "orders", uid: str = "u1", created: str = "2026-01-01T00:00:00Z", generation: int = 1,
             namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    """A resource as the API server has it."""
    return {
        "apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConsumerScaler",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "generation": generation,
                     "creationTimestamp": created},
        "spec": {"scaleTargetRef": {"name": "orders-consumer"}, "kafka": {"bootstrapServers": "kafka:9092"},
                 "consumerGroup": "orders", "maxReplicas": 12, **spec},
    }


def sample(lag: int, partitions: int = 4, members: int = 1) -> GroupSample:
    """A stable group with so much lag on each partition."""
    tps = [TopicPartition("orders", number) for number in range(partitions)]
    group = Group("Stable", "range", tuple(Member(f"m{n}", frozenset(tps[n::members])) for n in range(members)))
    return GroupSample({tp: Reading(end=1000 + lag, committed=1000) for tp in tps}, group)


@dataclass
class Outside:
    """Every port in one: answers as told, and remembers what it was asked to do."""

    time: float = 1_700_000_000.0
    replicas: Replicas | Unknown = field(default_factory=lambda: Replicas(1, 1))
    refusal: Unknown | None = None
    loses_answers: bool = False
    status_refusal: Unknown | None = None
    uids: dict[str, str] = field(default_factory=lambda: {"orders": "u1"})
    rival: str | Unknown | None = None
    pod_trouble: str = ""
    pod_start: float | None = None
    asked_for_start: int = 0
    changer: str = ""
    asked_who: int = 0
    answer: GroupSample = field(default_factory=lambda: sample(0))
    reads: int = 0
    asked_about_pods: list[Target] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)
    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    posted: list[Reason] = field(default_factory=list)
    polls: list[tuple[str, ...]] = field(default_factory=list)
    forgotten: list[Connection] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    finalizers: dict[str, list[str]] = field(default_factory=dict)

    def now(self) -> float:
        return self.time

    async def read(self, target: Target) -> Replicas | Unknown:
        self.reads += 1
        return self.replicas

    async def other_scalers(self, target: Target) -> str | Unknown | None:
        return self.rival

    async def trouble(self, target: Target) -> str:
        self.asked_about_pods.append(target)
        return self.pod_trouble

    async def start_seconds(self, target: Target) -> float | None:
        self.asked_for_start += 1
        return self.pod_start

    async def listed(self) -> list[dict[str, Any]] | Unknown:
        return Unknown("not listed here")

    async def uid(self, namespace: str, name: str) -> str | Unknown | None:
        return self.uids.get(name)

    async def post(self, regarding: Mapping[str, Any], event: Event, related: Target | None) -> None:
        self.posted.append(event.reason)

    async def poll(
        self, connection: Connection, queries: Sequence[GroupQuery], deadline_seconds: float
    ) -> list[GroupSample]:
        self.polls.append(tuple(query.group for query in queries))
        return [self.answer for _ in queries]

    async def hold(self, resource: Mapping[str, Any]) -> Unknown | None:
        return await self._finalizer("hold", resource, [FINALIZER])

    async def let_go(self, resource: Mapping[str, Any]) -> Unknown | None:
        return await self._finalizer("let go", resource, [])

    async def _finalizer(self, done: str, resource: Mapping[str, Any], listed: list[str]) -> Unknown | None:
        self.done.append(done)
        self.finalizers[resource["metadata"]["uid"]] = listed
        return None

    def forget(self, connection: Connection) -> None:
        self.forgotten.append(connection)


@dataclass
class ScaleSide:
    """The scale subresource's side of an Outside."""

    outside: Outside

    async def read(self, target: Target) -> Replicas | Unknown:
        return await self.outside.read(target)

    async def changed_by(self, target: Target) -> str:
        self.outside.asked_who += 1
        return self.outside.changer

    async def write(self, target: Target, replicas: int, expected: int) -> Unknown | None:
        if self.outside.refusal is None or self.outside.loses_answers:
            self.outside.writes.append((expected, replicas))
            self.outside.replicas = Replicas(replicas, replicas)
        return self.outside.refusal


@dataclass
class StatusSide:
    """The status subresource's side of an Outside."""

    outside: Outside

    async def write(self, resource: Mapping[str, Any], status: Mapping[str, Any]) -> Unknown | None:
        if self.outside.status_refusal is None:
            self.outside.statuses.append(status)
        return self.outside.status_refusal


@dataclass
class Vault:
    """Secrets and shared connections as the API server would tell them; whoever is in `silent` hangs."""

    secrets: dict[tuple[str, str], dict[str, str] | Unknown] = field(default_factory=dict)
    shared: dict[tuple[str, str], Mapping[str, Any] | Unknown] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def secret(self, namespace: str, name: str) -> Secret | Unknown:
        """A real Secret of what is kept here."""
        await self._asked(namespace, name)
        missing = Unknown(f"there is no Secret {namespace}/{name}", Reason.SECRET_NOT_FOUND)
        values = self.secrets.get((namespace, name), missing)
        if isinstance(values, Unknown):
            return values
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return Secret(namespace, name, encoded)

    async def namespaced(self, namespace: str, name: str) -> Mapping[str, Any] | Unknown:
        await self._asked(namespace, name)
        missing = Unknown(f"there is no KafkaConnection {namespace}/{name}", Reason.CONNECTION_NOT_FOUND)
        return self.shared.get((namespace, name), missing)

    async def clusterwide(self, name: str) -> Mapping[str, Any] | Unknown:
        return await self.namespaced("", name)

    async def _asked(self, namespace: str, name: str) -> None:
        self.asked.append((namespace, name))
        if namespace in self.silent:
            await asyncio.Event().wait()


def resolver(
    registry: Registry, vault: Vault | None = None, permissions: Permissions | None = None,
    own_namespace: str = "operator", refresh_seconds: float = 0.01,
) -> Resolver:
    """A resolver that asks the vault, again and again without delay."""
    vault = vault or Vault()
    return Resolver(registry, vault, vault, permissions or Permissions(), own_namespace, LoopClock(), refresh_seconds)


class NoMetrics:
    """Metrics that nobody reads."""

    def observe_verdict(self, namespace: str, name: str, verdict: Verdict, policy: Policy) -> None: ...
    def observe_resource(self, namespace: str, name: str, consumer_group: str, target: str) -> None: ...
    def observe_poll(self, cluster: str, connection: str, seconds: float, problem: Reason | None) -> None: ...
    def observe_stretch(self, cluster: str, connection: str, stretch: int) -> None: ...
    def observe_scale_write(self, problem: Reason | None) -> None: ...
    def observe_status_write(self, problem: Reason | None) -> None: ...
    def observe_event(self, reason: Reason) -> None: ...
    def forget_cluster(self, cluster: str, connection: str) -> None: ...


@dataclass
class Brokers:
    """Quotas as a cluster has them: own ones in `rates`, the others as told; what it says once in `says`."""

    rates: dict[Entity, int] = field(default_factory=dict)
    inherited: dict[Entity, int] = field(default_factory=dict)
    overridden_by: str = ""
    refusal: Unknown | None = None
    cluster: str = "cluster-1"
    asked: int = 0
    told: list[tuple[Entity, int | None]] = field(default_factory=list)

    async def quotas(
        self, connection: Connection, entities: Sequence[Entity], deadline_seconds: float
    ) -> Quotas | Unknown:
        self.asked += 1
        found = {each: Standing(self.rates.get(each), self.inherited.get(each), self.overridden_by)
                 for each in entities}
        return self.refusal or Quotas(self.cluster, found)

    async def change_quotas(
        self, connection: Connection, changes: Sequence[Change], deadline_seconds: float
    ) -> dict[Entity, Before]:
        before: dict[Entity, Before] = {}
        for one in changes:
            before[one.entity] = self.refusal or self.rates.get(one.entity)
            if before[one.entity] in one.expected:
                self.told.append((one.entity, one.rate))
                self.rates = {**self.rates, one.entity: one.rate} if one.rate is not None else {
                    each: rate for each, rate in self.rates.items() if each != one.entity}
        return before


def keeper(
    outside: Outside, registry: Registry, brokers: Brokers | None = None, allowed: str = ""
) -> QuotaKeeper:
    """The keeper of quotas in this outside; without brokers it is never asked for any."""
    return QuotaKeeper(registry, brokers or Brokers(), StatusSide(outside), outside, outside,
                       Allowances.parse(allowed), outside)


def reconciler(
    outside: Outside, registry: Registry, recorder: Recorder | None = None, quotas: QuotaKeeper | None = None
) -> Reconciler:
    """The loop's body in this outside."""
    scale, status = ScaleSide(outside), StatusSide(outside)
    return Reconciler(
        registry, outside, scale, outside, outside, outside, status, outside, NoMetrics(), recorder or Recorder(),
        quotas or keeper(outside, registry),
    )
