"""Reading and writing the replicas of anything that has a scale subresource."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kube.client import FIELD_MANAGER, MERGE_PATCH, ApiError, call, one_line, understood
from kafka_consumer_scaler.kube.discovery import Discovery, ScalableResource
from kafka_consumer_scaler.kube.target import Target

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
NAME_MAX = 128
TRIES = 5
"""A write whose resourceVersion has become old is judged anew: most often only the target's status has changed."""


class ScaleClient:
    """The scale subresource of Deployments, StatefulSets and every other kind that has one."""

    def __init__(self, api: ApiClient, timeout_seconds: float = 10) -> None:
        self._api = api
        self._timeout_seconds = timeout_seconds
        self._discovery = Discovery(api, timeout_seconds)

    async def read(self, target: Target) -> Replicas | Unknown:
        """Replicas asked for and existing; Unknown says why the target cannot be scaled or the server not be asked."""
        try:
            resource = await self._resource(target)
            if isinstance(resource, Unknown):
                return resource
            return _replicas(await self._get(resource, target))
        except ApiError as error:
            return self._unreadable(error, target)

    async def changed_by(self, target: Target) -> str:
        """The field manager that last wrote the target's replicas, other than ours; empty where it is not known."""
        try:
            resource = await self._resource(target)
            if isinstance(resource, Unknown):
                return ""
            path = resource.path(target.namespace, target.name)
            found = await call(self._api, "GET", path, timeout_seconds=self._timeout_seconds)
            with understood():
                return writer_of_replicas(found["metadata"].get("managedFields") or [])
        except ApiError:  # the right to get the object may be missing; the change is counted all the same
            return ""

    async def write(self, target: Target, replicas: int, expected: int) -> Unknown | None:
        """Set the replicas if they still are `expected`; None when it is done.

        The read and the write are bound by the resourceVersion, so of several writers who expect the same number one
        succeeds. After a lost answer (API_SERVER_UNREACHABLE) the write may have been carried out.
        """
        try:
            resource = await self._resource(target)
            if isinstance(resource, Unknown):
                return resource
            for _ in range(TRIES):
                refused = await self._write_once(resource, target, replicas, expected)
                if not isinstance(refused, ApiError):
                    return refused
            return Unknown(f"{target} changed meanwhile, its replicas were left alone", Reason.SCALE_FAILED)
        except ApiError as error:
            return self._unreadable(error, target)

    async def _write_once(
        self, resource: ScalableResource, target: Target, replicas: int, expected: int
    ) -> Unknown | ApiError | None:
        """None when done, an ApiError when someone else wrote between the read and the write."""
        scale = await self._get(resource, target)
        found = _replicas(scale).spec
        if found != expected:
            why = f"{target} changed meanwhile: it is at {found} replicas, {expected} were expected"
            return Unknown(why, Reason.SCALE_FAILED)
        with understood():
            precondition = {"resourceVersion": scale["metadata"]["resourceVersion"]}
        try:
            await self._patch(resource, target, {"metadata": precondition, "spec": {"replicas": replicas}})
        except ApiError as error:
            return error if error.code == 409 else _unwritable(error, target, resource)
        return None

    async def _resource(self, target: Target) -> ScalableResource | Unknown:
        if not NAME.fullmatch(target.name):
            return Unknown(f"{target.name!r} is not the name of a workload", Reason.TARGET_NOT_FOUND)
        return await self._discovery.resource_of(target.api_version, target.kind)

    async def _get(self, resource: ScalableResource, target: Target) -> dict[str, Any]:
        path = resource.scale_path(target.namespace, target.name)
        try:
            return await call(self._api, "GET", path, timeout_seconds=self._timeout_seconds)
        except ApiError as error:
            if error.code == 403:
                raise ApiError(403, _lacks("get", resource, target, error)) from None
            raise

    async def _patch(self, resource: ScalableResource, target: Target, patch: dict[str, Any]) -> None:
        await call(
            self._api,
            "PATCH",
            resource.scale_path(target.namespace, target.name),
            query=[("fieldManager", FIELD_MANAGER)],
            body=patch,
            content_type=MERGE_PATCH,
            timeout_seconds=self._timeout_seconds,
        )

    def _unreadable(self, error: ApiError, target: Target) -> Unknown:
        if error.code == 404:
            return self._missing(error, target)
        if error.code == 403:
            return Unknown(error.message, Reason.TARGET_FORBIDDEN)
        if error.code == 500 and "replicas field" in error.message:
            why = f"{target} does not say how many replicas it has: {error.message}"
            return Unknown(why, Reason.TARGET_NOT_SCALABLE)
        return error.as_unknown()

    def _missing(self, error: ApiError, target: Target) -> Unknown:
        """A 404 that names no object is about the resource: its definition was removed, or its scale subresource."""
        if error.details.get("name"):
            return Unknown(f"{target} does not exist", Reason.TARGET_NOT_FOUND)
        self._discovery.forget(target.api_version)
        why = f"the API server no longer serves the scale of {target.kind} ({target.api_version})"
        return Unknown(why, Reason.TARGET_NOT_SCALABLE)


def _unwritable(error: ApiError, target: Target, resource: ScalableResource) -> Unknown:
    """What a refused PATCH means; a 403 that does not come from RBAC is an admission webhook's or quota's refusal."""
    if error.code == 403 and _is_from_rbac(error):
        return Unknown(_lacks("patch", resource, target, error), Reason.TARGET_FORBIDDEN)
    if error.code == 404:
        return Unknown(f"{target} does not exist", Reason.TARGET_NOT_FOUND)
    if error.is_unreachable:
        return error.as_unknown()
    return Unknown(f"the API server refused to scale {target}: {error.message}", Reason.SCALE_FAILED)


def _lacks(verb: str, resource: ScalableResource, target: Target, error: ApiError) -> str:
    if not _is_from_rbac(error):
        return f"the API server forbids to {verb} the scale of {target}: {error.message}"
    return f"the operator's role lacks {verb} on {resource.name}/scale in namespace {target.namespace}"


def _is_from_rbac(error: ApiError) -> bool:
    return " cannot " in error.message


def _replicas(scale: dict[str, Any]) -> Replicas:
    """A scale of 0 leaves the number out. Raises ApiError for what is no number of replicas."""
    with understood():
        spec, status = scale.get("spec") or {}, scale.get("status") or {}
        return Replicas(_whole32(spec.get("replicas") or 0), _whole32(status.get("replicas") or 0))


def writer_of_replicas(managed: Sequence[Mapping[str, Any]]) -> str:
    """The manager of the newest entry that owns `spec.replicas`, ours left out; empty when there is none.

    An entry of the scale subresource owns the same field. Raises what `understood` expects for another form.
    """
    owners = [
        (str(entry.get("time") or ""), one_line(str(entry["manager"]), NAME_MAX))
        for entry in managed
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}) and entry["manager"] != FIELD_MANAGER
    ]
    return max(owners)[1] if owners else ""


def _whole32(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        raise ValueError(f"{number!r} is no number of replicas")
    return number
