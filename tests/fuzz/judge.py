"""A real API server's verdict on manifests, none of which it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.api.v1alpha1 import API_VERSION, KIND, PLURAL
from kafka_consumer_scaler.kube.client import ApiError, call, connect, path_of
from tests.environment import Environment
from tests.kube.conftest import patient

FEW = max(40, settings().max_examples // 3)
"""Examples where each is a request to a server."""


class Judge:
    """What the API server says of objects named `fuzzed`."""

    def __init__(self, runner: asyncio.Runner, api: ApiClient) -> None:
        self._runner, self._api = runner, api

    def stored(self, spec: Any) -> dict[str, Any] | ApiError:
        """The KafkaConsumerScaler as it would be stored, or the refusal."""
        return self._stored(path_of(API_VERSION, "namespaces", "default", PLURAL), KIND, spec)

    def connection(self, kind: str, plural: str, spec: Any) -> dict[str, Any] | ApiError:
        """The KafkaConnection or ClusterKafkaConnection as it would be stored, or the refusal."""
        where = () if kind.startswith("Cluster") else ("namespaces", "default")
        return self._stored(path_of(API_VERSION, *where, plural), kind, spec)

    def _stored(self, path: str, kind: str, spec: Any) -> dict[str, Any] | ApiError:
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "fuzzed"}, "spec": spec}
        try:
            return self._runner.run(call(self._api, "POST", path, query=[("dryRun", "All")], body=manifest))
        except ApiError as error:
            return error


@pytest.fixture(scope="module")
def judge(with_api: Environment, custom_resource_definition: None) -> Iterator[Judge]:
    with asyncio.Runner() as runner:
        api = patient(runner.run(connect(str(with_api.kubeconfig))))
        yield Judge(runner, api)
        runner.run(api.close())
