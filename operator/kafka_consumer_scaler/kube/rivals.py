"""Others who scale the same target: a HorizontalPodAutoscaler, and so KEDA, which scales through one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, path_of, understood
from kafka_consumer_scaler.kube.target import Target

CACHE_SECONDS = 60.0

logger = logging.getLogger(__name__)

_Scaled = tuple[str, str, str]
"""API group, kind and name of what an autoscaler scales."""


@dataclass(slots=True)
class _Namespace:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_at: float = float("-inf")
    scalers: dict[_Scaled, str] | Unknown = field(default_factory=dict)


class Rivals:
    """The autoscalers of each namespace, listed at most once in 60 s however many targets are asked about."""

    def __init__(self, api: ApiClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._namespaces: dict[str, _Namespace] = {}
        self._forbidden: set[str] = set()

    async def other_scalers(self, target: Target) -> str | Unknown | None:
        """The autoscaler of the target, as `HorizontalPodAutoscaler shop/orders`; None when it has none."""
        known = self._namespaces.setdefault(target.namespace, _Namespace())
        async with known.lock:
            if self._clock() - known.read_at >= CACHE_SECONDS:
                known.scalers = await self._list(target.namespace)
                known.read_at = self._clock()
        if isinstance(known.scalers, Unknown):
            return known.scalers
        return known.scalers.get((_group(target.api_version), target.kind, target.name))

    async def _list(self, namespace: str) -> dict[_Scaled, str] | Unknown:
        path = path_of("autoscaling/v2", "namespaces", namespace, "horizontalpodautoscalers")
        try:
            answer = await call(self._api, "GET", path)
            with understood():
                scaled = dict(_scaled_by(namespace, autoscaler) for autoscaler in answer.get("items") or [])
        except ApiError as error:
            return self._forbid(namespace) if error.code == 403 else error.as_unknown()
        self._forbidden.discard(namespace)
        return scaled

    def _forbid(self, namespace: str) -> Unknown:
        why = f"the operator's role lacks list on horizontalpodautoscalers.autoscaling in namespace {namespace}"
        if namespace not in self._forbidden:
            self._forbidden.add(namespace)
            logger.warning("%s: an autoscaler on the same target would not be noticed", why)
        return Unknown(why, Reason.NOT_AUTHORIZED)


def _scaled_by(namespace: str, autoscaler: dict[str, Any]) -> tuple[_Scaled, str]:
    target = autoscaler["spec"]["scaleTargetRef"]
    scaled = (_group(target.get("apiVersion") or ""), target["kind"], target["name"])
    return scaled, f"HorizontalPodAutoscaler {namespace}/{autoscaler['metadata']['name']}"


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
