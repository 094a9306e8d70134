"""Asking the API server how a KafkaConsumerScaler stands, with the rights of whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, KafkaConsumerScaler
from kafka_consumer_scaler.cli.standing import standing_of
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kube.client import ApiError, ClusterConfigError
from kafka_consumer_scaler.kube.scale import ScaleClient
from kafka_consumer_scaler.kube.target import Target
from kafka_consumer_scaler.kube.user import NotThere, connect_as_user, events_about, read_scaler


class CouldNot(Exception):
    """There is no answer; one line."""


class Silent(CouldNot):
    """There is no answer now; asking again may help."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which resource is asked about, and where; no namespace means that of the context."""

    namespace: str | None
    name: str
    kubeconfig: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the question can be asked, again and again."""

    api: ApiClient
    namespace: str
    name: str

    async def ask(self) -> dict[str, Any]:
        """How the resource stands now. Raises CouldNot."""
        body = await self._body()
        uid = str((body.get("metadata") or {}).get("uid") or "")
        replicas, events = await asyncio.gather(self._replicas(body), events_about(self.api, self.namespace, uid))
        return standing_of(body, replicas, events, datetime.now(UTC))

    async def _body(self) -> dict[str, Any]:
        try:
            return await read_scaler(self.api, self.namespace, self.name)
        except NotThere as error:
            raise CouldNot(str(error)) from None
        except ApiError as error:
            raise (Silent if error.is_unreachable else CouldNot)(str(error)) from None

    async def _replicas(self, body: Mapping[str, Any]) -> Replicas | Unknown:
        try:
            reference = KafkaConsumerScaler.parse(body).spec.scale_target_ref
        except InvalidSpec as error:
            return Unknown(str(error), Reason.INVALID_SPEC)
        target = Target(reference.api_version, reference.kind, self.namespace, reference.name)
        seen = await ScaleClient(self.api).read(target)
        if isinstance(seen, Unknown) and seen.reason is Reason.TARGET_FORBIDDEN:
            return Unknown(f"you may not read the scale of {target}", Reason.TARGET_FORBIDDEN)
        return seen


@asynccontextmanager
async def desk(question: Question) -> AsyncIterator[Desk]:
    """A connection for the question. Raises CouldNot when no API server is configured."""
    try:
        connection = await connect_as_user(question.kubeconfig, question.context)
    except ClusterConfigError as error:
        raise CouldNot(str(error)) from None
    try:
        yield Desk(connection.api, question.namespace or connection.namespace, question.name)
    finally:
        await connection.api.close()
