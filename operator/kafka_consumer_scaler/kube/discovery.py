"""From a kind to its resource: which plural a group and version serves it under, and whether it can be scaled."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, path_of, understood

API_VERSION = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[a-z0-9]+")
"""`v1` or `apps/v1`: what may become part of a path."""
BELIEVED_SECONDS = 10.0
"""So long a listing is believed about what it lacks; about what it has, it is believed until the API says otherwise."""


@dataclass(frozen=True, slots=True)
class ScalableResource:
    """A namespaced resource with a scale subresource; `name` is what a role calls it, e.g. `deployments.apps`."""

    api_version: str
    plural: str

    @property
    def name(self) -> str:
        group, separator, _ = self.api_version.rpartition("/")
        return f"{self.plural}.{group}" if separator else self.plural

    def path(self, namespace: str, name: str) -> str:
        """Path of one object."""
        return path_of(self.api_version, "namespaces", namespace, self.plural, name)

    def scale_path(self, namespace: str, name: str) -> str:
        """Path of the scale subresource of one object."""
        return path_of(self.api_version, "namespaces", namespace, self.plural, name, "scale")


@dataclass(frozen=True, slots=True)
class _Listing:
    read_at: float
    scalable: Mapping[str, ScalableResource | Unknown]


class Discovery:
    """The scalable resources of each group and version, read when first needed and again when something is missing."""

    def __init__(self, api: ApiClient, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._listings: dict[str, _Listing] = {}
        self._reading = asyncio.Lock()

    async def resource_of(self, api_version: str, kind: str) -> ScalableResource | Unknown:
        """The resource of a kind; Unknown with TARGET_NOT_SCALABLE where there is none that scales. Raises ApiError."""
        if not API_VERSION.fullmatch(api_version):
            return Unknown(f"{api_version!r} is not an apiVersion", Reason.TARGET_NOT_SCALABLE)
        listing = self._listings.get(api_version)
        found = listing.scalable.get(kind) if listing else None
        if not isinstance(found, ScalableResource):
            listing = await self._fresh_listing(api_version)
            found = listing.scalable.get(kind)
        why = f"the API server knows no kind {kind} in {api_version}"
        return found or Unknown(why, Reason.TARGET_NOT_SCALABLE)

    def forget(self, api_version: str) -> None:
        """Read this group and version again at the next question: it was seen to have changed."""
        self._listings.pop(api_version, None)

    async def _fresh_listing(self, api_version: str) -> _Listing:
        async with self._reading:
            listing = self._listings.get(api_version)
            if listing is None or self._clock() - listing.read_at >= BELIEVED_SECONDS:
                listing = self._listings[api_version] = await self._read(api_version)
            return listing

    async def _read(self, api_version: str) -> _Listing:
        try:
            answer = await call(self._api, "GET", path_of(api_version), timeout_seconds=self._timeout_seconds)
        except ApiError as error:
            if error.code != 404:
                raise
            answer = {}
        with understood():
            return _Listing(self._clock(), _scalable(api_version, answer.get("resources") or []))


def _scalable(api_version: str, resources: list[dict[str, Any]]) -> dict[str, ScalableResource | Unknown]:
    """Each kind that is a resource of its own, with Unknown for those without a scale subresource or a namespace."""
    names = {resource["name"] for resource in resources}
    kinds: dict[str, ScalableResource | Unknown] = {}
    for resource in resources:
        plural, kind = resource["name"], resource["kind"]
        if "/" in plural:
            continue
        if f"{plural}/scale" in names and resource.get("namespaced"):
            kinds[kind] = ScalableResource(api_version, plural)
        else:
            kinds[kind] = Unknown(f"{kind} ({api_version}) has no scale subresource", Reason.TARGET_NOT_SCALABLE)
    return kinds
