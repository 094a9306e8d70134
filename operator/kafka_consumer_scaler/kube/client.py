"""The connection to the API server, and one way to ask it: dicts in, dicts out, every failure an ApiError.

Only the library's transport is used (TLS, credentials, kubeconfig, connection pool). Its generated models would cost
24 MiB for core/v1 alone and most of the CPU time of a small request.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import getproxies

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, incluster_config, load_incluster_config, load_kube_config

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown

FIELD_MANAGER = "kafka-consumer-scaler"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

CONNECTIONS_MAX = 10
"""Requests in flight at once; the others wait in the connection pool."""
CAUSE_MAX = 100
PAUSE_SECONDS_MAX = 5.0
"""The longest Retry-After that is waited for within a call."""


class ClusterConfigError(Exception):
    """There is no usable configuration of an API server; the message is one line."""


@dataclass(eq=False)
class ApiError(Exception):
    """A request that was not carried out, or whose answer did not arrive.

    Args:
        code: the HTTP status; 0 when no answer came.
        message: the server's words, or what went wrong on the way, in one line.
        reason: the machine-readable word of a Kubernetes Status (NotFound, Expired, ...), empty without one.
        details: the `details` of that Status.
    """

    code: int
    message: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    @property
    def is_unreachable(self) -> bool:
        """Whether the same request may succeed later: no answer, too many requests, or a failing server."""
        return self.code in {0, 429} or self.code >= 500

    def as_unknown(self) -> Unknown:
        """The error as a value that could not be learned."""
        why = f"the API server answered {self.code}: {self.message}" if self.code else self.message
        return Unknown(why, Reason.API_SERVER_UNREACHABLE)


async def connect(kubeconfig: str | None) -> ApiClient:
    """Connect with `kubeconfig` if it is given; else with the pod's service account, else with the default kubeconfig.

    The service account's token is read again every minute, so its rotation is followed.
    Nothing is sent yet. Raises ClusterConfigError when no configuration can be read.
    """
    # With trust_env every request looks for proxies in a thread; 0.4 ms of CPU that only those who set some need.
    session = {"trust_env": bool(getproxies())}
    configuration = Configuration(connection_pool_maxsize=CONNECTIONS_MAX, client_session_kwargs=session)
    try:
        if kubeconfig is None and _is_in_cluster():
            load_incluster_config(client_configuration=configuration)
        else:
            await load_kube_config(config_file=kubeconfig, client_configuration=configuration, persist_config=False)
        api = ApiClient(configuration)
    except Exception as error:  # a malformed kubeconfig leads the library to YAML, type, key and other errors
        source = kubeconfig or "the default kubeconfig"
        raise ClusterConfigError(f"no API server configured by {source}: {one_line(error)}") from None
    api.user_agent = FIELD_MANAGER
    return api


@contextmanager
def understood() -> Iterator[None]:
    """For what is read out of an answer: one of another form than Kubernetes' own is an ApiError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        cause = one_line(f"{type(error).__name__}: {error}", CAUSE_MAX)
        raise ApiError(0, f"the API server's answer has not the form that was expected ({cause})") from None


def expect(answer: Mapping[str, Any], kind: str, name: str) -> None:
    """Raises what `understood` expects where the answer is another object than was asked for, in words of ours only."""
    metadata = answer.get("metadata")
    if answer.get("kind") != kind or not isinstance(metadata, Mapping) or metadata.get("name") != name:
        raise ValueError(f"no {kind} {name}")


def _is_in_cluster() -> bool:
    is_pod = bool(os.environ.get(incluster_config.SERVICE_HOST_ENV_NAME))
    return is_pod and Path(incluster_config.SERVICE_TOKEN_FILENAME).is_file()


async def call(
    api: ApiClient,
    method: str,
    path: str,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
    content_type: str = "application/json",
    timeout_seconds: float = 10.0,
) -> dict[str, Any]:
    """Send one request and return the object of the answer. Raises ApiError.

    "Too many requests" is obeyed once: the call pauses for the server's Retry-After, at most `PAUSE_SECONDS_MAX`.
    """
    request = (method, path, query, body, content_type, timeout_seconds)
    code, retry_after, content = await _send(api, *request)
    if code == 429:
        await asyncio.sleep(_pause_seconds(retry_after))
        code, _, content = await _send(api, *request)
    if code >= 300:
        raise _error_of(code, content)
    return _object_of(code, content)


async def _send(
    api: ApiClient,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    body: Any,
    content_type: str,
    timeout_seconds: float,
) -> tuple[int, str | None, bytes]:
    headers = {"Accept": "application/json", "Content-Type": content_type}
    try:
        request = await api.param_serialize(
            method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        response = await api.call_api(*request, _request_timeout=aiohttp.ClientTimeout(total=timeout_seconds))
        return response.status, response.headers.get("Retry-After"), await response.read()
    except TimeoutError:
        raise ApiError(0, f"the API server did not answer within {timeout_seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ConfigException) as error:
        raise ApiError(0, f"the API server cannot be reached: {_cause(error)}") from None


def _cause(error: Exception) -> str:
    """The operating system's words where there are some: the library's name a TLS context by its address."""
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        why = "connection refused" if refused else error.os_error.strerror or error.os_error
        return one_line(f"{error.host}:{error.port}: {why}")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return f"the answer is broken ({type(error).__name__})"  # their words quote it, which may be a Secret
    return one_line(error) or type(error).__name__


def _pause_seconds(retry_after: str | None) -> float:
    """Kubernetes sends whole seconds; anything else counts as one second."""
    is_short = retry_after is not None and retry_after.isdecimal() and len(retry_after) < 10
    seconds = int(retry_after or 1) if is_short else 1
    return min(float(seconds), PAUSE_SECONDS_MAX)


def _parsed(content: bytes) -> Any:
    """The answer's JSON; None where it is none, or nested so deeply that nobody can have meant it."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _object_of(code: int, content: bytes) -> dict[str, Any]:
    answer = _parsed(content)
    if not isinstance(answer, dict):
        raise ApiError(0, f"the API server's answer ({code}) is not a JSON object")
    return answer


def _error_of(code: int, content: bytes) -> ApiError:
    status = _parsed(content)
    if not isinstance(status, dict):
        return ApiError(code, one_line(content.decode(errors="replace")) or "no message")
    message, details = one_line(status.get("message") or "no message"), status.get("details")
    return ApiError(code, message, str(status.get("reason") or ""), details if isinstance(details, dict) else {})


def path_of(api_version: str, *segments: str) -> str:
    """The path below a group and version: `/api/v1/...` for the core group, `/apis/GROUP/VERSION/...` for others."""
    prefix = "/apis/" if "/" in api_version else "/api/"
    return "/".join([prefix + quote(api_version), *(quote(segment, safe="") for segment in segments)])


def one_line(text: object, limit: int = 300) -> str:
    """Foreign words made fit for a log, a status or an event: one line, printable, at most `limit` characters."""
    words = " ".join(str(text).split())
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
