"""From what a resource says of its Kafka cluster to a Connection, or to Unknown with the reason.

Each different connection has a lookup of its own, which asks anew every 15 s: a rotated Secret or a changed
KafkaConnection is a new Connection, so the fleet takes a new client and forgets the old one. One that needs neither
Secret nor KafkaConnection is known at once.

| a lookup finds | then |
|---|---|
| Connection | polls go there |
| Unknown: missing, of no use, not permitted | the resource is reconciled at its interval, with the reason |
| Unknown: the API server does not answer | what was known goes on to hold |

Requests of one namespace go one after the other, and at most 4 are under way in all, so that a namespace whose Secrets
are slow delays neither another's nor the reading and writing of scales.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kafka_consumer_scaler.api.reaching import (
    ClusterKafkaConnectionSpec,
    ConnectionKind,
    ConnectionRef,
    Kafka,
    KafkaConnectionSpec,
)
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, parse_connection
from kafka_consumer_scaler.control.credentials import connection_of, secrets_of
from kafka_consumer_scaler.control.permissions import Permissions
from kafka_consumer_scaler.control.ports import Clock, ConnectionSource, HeldSecret, SecretSource
from kafka_consumer_scaler.control.recent import Recent
from kafka_consumer_scaler.control.registry import Registry, Watched, seniority
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection

REFRESH_SECONDS = 15.0
"""How often a connection is looked up."""
RECENT_SECONDS = 10.0
"""An answer this young serves all who ask. With the refresh, a change is seen after 25 s and one answer at most."""
READS_MAX = 4

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A connection that resources of a namespace ask for."""

    namespace: str
    kafka: Kafka


@dataclass(frozen=True, slots=True)
class Described:
    """A connection as somebody wrote it down, and whose Secrets it means."""

    spec: KafkaConnectionSpec
    namespace: str
    of_administrator: bool = False


@dataclass(slots=True)
class _Gate:
    """Requests of one namespace in a row, and few at once in all."""

    all: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS_MAX))
    namespaces: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def through(self, namespace: str, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self.namespaces.setdefault(namespace, asyncio.Lock()), self.all:
            return await request()


class Resolver:
    """Keeps the connection of every resource up to date.

    Args:
        own_namespace: where the Secrets of ClusterKafkaConnections are; empty when the operator was not told.
        refresh_seconds: how often a connection is looked up.
    """

    def __init__(
        self,
        registry: Registry,
        secrets: SecretSource,
        shared: ConnectionSource,
        permissions: Permissions,
        own_namespace: str,
        clock: Clock,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._registry = registry
        self._permissions = permissions
        self._own_namespace = own_namespace
        self._refresh_seconds = refresh_seconds
        self._answers: dict[Asked, Connection | Unknown] = {}
        self._lookups: dict[Asked, asyncio.Task[None]] = {}
        gate, seconds, now = _Gate(), min(RECENT_SECONDS, refresh_seconds), clock.now
        self._secret: Recent[tuple[str, str], HeldSecret | Unknown] = Recent(
            lambda key: gate.through(key[0], lambda: secrets.secret(*key)), seconds, now
        )
        self._namespaced: Recent[tuple[str, str], Mapping[str, Any] | Unknown] = Recent(
            lambda key: gate.through(key[0], lambda: shared.namespaced(*key)), seconds, now
        )
        self._clusterwide: Recent[str, Mapping[str, Any] | Unknown] = Recent(
            lambda name: gate.through("", lambda: shared.clusterwide(name)), seconds, now
        )

    def follow(self) -> None:
        """Give every resource the connection that is known now, and look up those that are asked for, and no others."""
        asked = _asked(self._registry)
        refused = self._permissions.over_the_cap(
            {one: (one.namespace, min(map(seniority, resources))) for one, resources in asked.items()}
        )
        self._look_after(asked.keys() - refused.keys())
        for one, resources in asked.items():
            for watched in resources:
                self._registry.connect(watched, refused.get(one) or self._answers.get(one))

    async def stop(self) -> None:
        """End all lookups."""
        lookups = list(self._lookups.values())
        self._lookups.clear()
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    def _look_after(self, wanted: set[Asked]) -> None:
        for one in self._answers.keys() - wanted:
            del self._answers[one]
        for one in self._lookups.keys() - wanted:
            self._lookups.pop(one).cancel()
        for one in wanted - self._answers.keys() - self._lookups.keys():
            self._begin(one)

    def _begin(self, one: Asked) -> None:
        """What needs nobody's answer is known at once."""
        inline = one.kafka.as_connection()
        if inline is not None and not secrets_of(inline):
            self._answers[one] = self._permissions.refusal(inline, of_administrator=False) or connection_of(inline, {})
        else:
            self._lookups[one] = asyncio.create_task(self._keep(one), name=f"connection of {one.namespace}")

    async def _keep(self, one: Asked) -> None:
        while True:
            self._learn(one, await self._looked_up(one))
            await asyncio.sleep(self._refresh_seconds)

    async def _looked_up(self, one: Asked) -> Connection | Unknown:
        """An error of ours ends no lookup. Of the error only its kind is told: its words might quote a value."""
        try:
            return await self._look_up(one)
        except Exception as error:
            return Unknown(f"the connection was not looked up: {type(error).__name__}", Reason.CONNECTION_NOT_FOUND)

    def _learn(self, one: Asked, found: Connection | Unknown) -> None:
        """Keep the answer; an API server that does not answer takes nothing back that was known."""
        known = self._answers.get(one)
        is_silent = isinstance(found, Unknown) and found.reason is Reason.API_SERVER_UNREACHABLE
        if found == known or (is_silent and isinstance(known, Connection)):
            return
        if isinstance(found, Unknown):
            logger.warning("no connection", extra={"namespace": one.namespace, "problem": found.why})
        elif known is not None:
            logger.info("connection changed", extra={"namespace": one.namespace, "cluster": found.bootstrap_servers})
        self._answers[one] = found
        self._registry.changed.set()

    async def _look_up(self, one: Asked) -> Connection | Unknown:
        """Permission is asked before Secrets: what may not be used is not even read."""
        described = await self._described(one)
        if isinstance(described, Unknown):
            return described
        refused = self._permissions.refusal(described.spec, of_administrator=described.of_administrator)
        return refused if refused is not None else await self._with_secrets(described)

    async def _described(self, one: Asked) -> Described | Unknown:
        ref, inline = one.kafka.connection_ref, one.kafka.as_connection()
        if inline is not None or ref is None:
            return Described(inline, one.namespace) if inline else Unknown("no connection", Reason.CONNECTION_NOT_FOUND)
        if ref.kind is ConnectionKind.CLUSTER_KAFKA_CONNECTION:
            return await self._of_administrator(ref, one.namespace)
        spec = _parsed(ref, await self._namespaced.get((one.namespace, ref.name)))
        return spec if isinstance(spec, Unknown) else Described(spec, one.namespace)

    async def _of_administrator(self, ref: ConnectionRef, namespace: str) -> Described | Unknown:
        spec = _parsed(ref, await self._clusterwide.get(ref.name))
        if isinstance(spec, Unknown):
            return spec
        if not isinstance(spec, ClusterKafkaConnectionSpec) or not spec.allows(namespace):
            said = f"{_spoken(ref)} does not allow namespace {namespace}: its administrator can add it"
            return Unknown(f"{said} to allowedNamespaces", Reason.NOT_PERMITTED)
        if secrets_of(spec) and not self._own_namespace:
            said = f"the Secrets of {_spoken(ref)} are in the operator's own namespace, which it was not told"
            return Unknown(f"{said}: set POD_NAMESPACE", Reason.SECRET_NOT_FOUND)
        return Described(spec, self._own_namespace, of_administrator=True)

    async def _with_secrets(self, described: Described) -> Connection | Unknown:
        secrets: dict[str, HeldSecret] = {}
        for name in secrets_of(described.spec):
            secret = await self._secret.get((described.namespace, name))
            if isinstance(secret, Unknown):
                return secret
            secrets[name] = secret
        return connection_of(described.spec, secrets)


def _asked(registry: Registry) -> dict[Asked, list[Watched]]:
    asked: dict[Asked, list[Watched]] = {}
    for watched in registry.all():
        if watched.subject is not None:
            asked.setdefault(Asked(watched.namespace, watched.subject.kafka), []).append(watched)
    return asked


def _parsed(ref: ConnectionRef, body: Mapping[str, Any] | Unknown) -> KafkaConnectionSpec | Unknown:
    if isinstance(body, Unknown):
        return body
    try:
        return parse_connection(ref.kind, body)
    except InvalidSpec as error:
        return Unknown(f"{_spoken(ref)}: {error}", Reason.CONNECTION_NOT_FOUND)


def _spoken(ref: ConnectionRef) -> str:
    return f"{ref.kind.value} {ref.name}"
