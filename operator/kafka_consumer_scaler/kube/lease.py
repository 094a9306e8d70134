"""One Lease (coordination.k8s.io/v1), each change of it bound to the version that was seen."""

from __future__ import annotations

from typing import Any, TypeVar

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.claim import Claim, Found, Missing
from kafka_consumer_scaler.kube.client import FIELD_MANAGER, MERGE_PATCH, ApiError, call, expect, path_of, understood

API_VERSION = "coordination.k8s.io/v1"

T = TypeVar("T")


class LeaseClient:
    """A Lease by name. Answers are values, never exceptions: Unknown when none came, or a role does not allow to ask.

    A change that was not answered may have been carried out, or be carried out later.
    """

    def __init__(self, api: ApiClient, namespace: str, name: str, timeout_seconds: float) -> None:
        self._api = api
        self._namespace, self._name = namespace, name
        self._timeout_seconds = timeout_seconds

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    async def read(self) -> Found | Missing | Unknown:
        """What it says; ABSENT when there is none."""
        return await self._ask("get", "GET", self._name)

    async def create(self, claim: Claim) -> Found | Missing | Unknown:
        """Make it; CONFLICT when there is one."""
        body = {"apiVersion": API_VERSION, "kind": "Lease", "metadata": {"name": self._name}, "spec": _spec(claim)}
        return await self._ask("create", "POST", body=body)

    async def update(self, claim: Claim, version: str) -> Found | Missing | Unknown:
        """Change its words, and nothing else of it, if it still has this version; CONFLICT when it has another."""
        body = {"metadata": {"resourceVersion": version}, "spec": _spec(claim)}
        return await self._ask("patch", "PATCH", self._name, body=body, content_type=MERGE_PATCH)

    async def _ask(self, verb: str, method: str, *name: str, **more: Any) -> Found | Missing | Unknown:
        path = path_of(API_VERSION, "namespaces", self._namespace, "leases", *name)
        more["query"] = [("fieldManager", FIELD_MANAGER)] if more else []
        try:
            answer = await call(self._api, method, path, timeout_seconds=self._timeout_seconds, **more)
            with understood():
                return _found(answer, self._name)
        except ApiError as error:
            return self._refusal(verb, error)

    def _refusal(self, verb: str, error: ApiError) -> Missing | Unknown:
        if error.code == 404 and verb != "create":
            return Missing.ABSENT
        if error.code == 409:
            return Missing.CONFLICT
        if error.code == 403:
            why = f"the operator's role lacks {verb} on leases in namespace {self._namespace} ({self._name})"
            return Unknown(why, Reason.NOT_AUTHORIZED)
        return error.as_unknown()


def _spec(claim: Claim) -> dict[str, Any]:
    """Words that are empty are left out (or, by null, taken out): the API server takes no empty holder or time."""
    return {
        "holderIdentity": claim.holder or None,
        "leaseDurationSeconds": claim.seconds,
        "acquireTime": claim.acquired or None,
        "renewTime": claim.renewed or None,
        "leaseTransitions": claim.transitions,
    }


def _found(lease: dict[str, Any], name: str) -> Found:
    """Whatever somebody wrote by hand: what is missing is empty. Raises what `understood` expects."""
    expect(lease, "Lease", name)
    spec, version = lease.get("spec") or {}, lease["metadata"]["resourceVersion"]
    claim = Claim(
        holder=_of_type(str, spec.get("holderIdentity") or ""),
        seconds=_of_type(int, spec.get("leaseDurationSeconds") or 0),
        acquired=_of_type(str, spec.get("acquireTime") or ""),
        renewed=_of_type(str, spec.get("renewTime") or ""),
        transitions=_of_type(int, spec.get("leaseTransitions") or 0),
    )
    return Found(claim, _of_type(str, version))


def _of_type(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
