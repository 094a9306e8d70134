"""What a person at a command line asks the API server: with their own kubeconfig and context, and their own rights."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import load_kube_config
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube import client
from kafka_consumer_scaler.kube.client import ApiError, ClusterConfigError, call, one_line, path_of, understood
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL

NAMESPACE_OF_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
EVENTS_READ: Final = 500
"""An object's events expire after an hour; no object has more in sight of anyone."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server, and the namespace that is meant when none is named."""

    api: ApiClient
    namespace: str


class NotThere(Exception):
    """The API server has no such resource, or does not know its kind; the message is one line."""


async def connect_as_user(kubeconfig: str | None, context: str | None) -> Connection:
    """Connect as kubectl does: with `kubeconfig`, else KUBECONFIG, else the default one, else the pod's account.

    Nothing is sent yet. Raises ClusterConfigError when no configuration can be read.
    """
    if kubeconfig is None and context is None and not _has_kubeconfig():
        return Connection(await client.connect(None), _namespace_of_pod())
    logging.getLogger("kubernetes").setLevel(logging.ERROR)  # it warns of a missing file, which is told below
    configuration = Configuration(connection_pool_maxsize=client.CONNECTIONS_MAX,
                                  client_session_kwargs={"trust_env": True})
    try:
        loader = await load_kube_config(config_file=kubeconfig, context=context, client_configuration=configuration,
                                        persist_config=False)
        chosen = loader.current_context["context"].get("namespace")
        api = ApiClient(configuration)
    except Exception as error:  # a malformed kubeconfig leads the library to YAML, type, key and other errors
        source = kubeconfig or os.environ.get("KUBECONFIG") or "the default kubeconfig"
        raise ClusterConfigError(f"no API server configured by {source}: {one_line(error)}") from None
    api.user_agent = client.FIELD_MANAGER
    return Connection(api, str(chosen or "default"))


async def read_scaler(api: ApiClient, namespace: str, name: str) -> dict[str, Any]:
    """The KafkaConsumerScaler as the API server has it. Raises NotThere and ApiError."""
    try:
        return await call(api, "GET", path_of(API_VERSION, "namespaces", namespace, PLURAL, name))
    except ApiError as error:
        if error.code != 404:
            raise
        if not error.details.get("name"):
            raise NotThere(f"the API server does not know {PLURAL}: is the CRD installed?") from None
        raise NotThere(f"there is no KafkaConsumerScaler {name} in namespace {namespace}") from None


async def events_about(api: ApiClient, namespace: str, uid: str) -> list[Any] | Unknown:
    """The events about the object with that uid, in no order; Unknown says why they cannot be read."""
    query = [("fieldSelector", f"involvedObject.uid={uid}"), ("limit", str(EVENTS_READ))]
    try:
        answer = await call(api, "GET", path_of("v1", "namespaces", namespace, "events"), query=query)
        with understood():
            return list(answer.get("items") or [])
    except ApiError as error:
        return Unknown(error.message, error.as_unknown().reason)


def _has_kubeconfig() -> bool:
    return any(Path(path).expanduser().is_file() for path in KUBE_CONFIG_DEFAULT_LOCATION.split(os.pathsep))


def _namespace_of_pod() -> str:
    try:
        return NAMESPACE_OF_POD.read_text().strip() or "default"
    except OSError:
        return "default"
