"""One Secret at a time, by namespace and name: never a list, never a watch. Its values appear in no message."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, expect, path_of, understood

READ_SECONDS = 5.0
"""How long the API server may take to answer."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What a Secret holds, as it was read. Its values are left out of `repr`."""

    namespace: str
    name: str
    _data: Mapping[str, Any] = field(repr=False)

    def text(self, key: str) -> str | Unknown:
        """The text under the key; Unknown names Secret and key, never the value."""
        encoded = self._data.get(key)
        if not isinstance(encoded, str):
            return Unknown(f"{self} has no key {key}", Reason.SECRET_NOT_FOUND)
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            return Unknown(f"key {key} of {self} is not text in UTF-8", Reason.SECRET_INVALID)

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


class Secrets:
    """The Secrets of the cluster that the operator's role may get."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def secret(self, namespace: str, name: str) -> Secret | Unknown:
        """The Secret as it is now, or why it cannot be read. Never raises."""
        path = path_of("v1", "namespaces", namespace, "secrets", name)
        try:
            found = await call(self._api, "GET", path, timeout_seconds=READ_SECONDS)
            with understood():
                return Secret(namespace, name, _data(found, name))
        except ApiError as error:
            return _unread(error, namespace, name)


def _data(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the Secret holds; an empty one has no data. Raises what `understood` expects, without a value."""
    expect(found, "Secret", name)
    data = found.get("data") or {}
    if not isinstance(data, Mapping):
        raise TypeError("its data are none")
    return data


def _unread(error: ApiError, namespace: str, name: str) -> Unknown:
    """The words of an answer are left out: what stands between us and the API server may quote a Secret in them."""
    if error.code == 404:
        return Unknown(f"there is no Secret {namespace}/{name}", Reason.SECRET_NOT_FOUND)
    if error.code == 403:
        lacks = f"the operator's role lacks get on secrets in namespace {namespace}"
        return Unknown(f"{lacks}, so Secret {name} cannot be read", Reason.SECRET_NOT_FOUND)
    if error.code == 0:
        return error.as_unknown()
    said = f"the API server answered {error.code} when it was asked for Secret {namespace}/{name}"
    return Unknown(said, Reason.API_SERVER_UNREACHABLE)
