"""Looking on from outside: two samples a second of the broker and the cluster, by clients of our own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import urllib3
from confluent_kafka import KafkaException
from kubernetes import client, config

from tests.demo import scene
from tests.demo.broker import Broker
from tests.demo.failure import DemoFailed
from tests.demo.load import Load
from tests.demo.timeline import Row, Sample, row
from tests.environment import Environment

EVERY_SECONDS = 0.5
BLIND_SECONDS = 20.0
"""Samples that fail are left out for this long; then the demo fails."""


class Onlooker:
    """Reads the Deployment, the resource's status and the offsets."""

    def __init__(self, environment: Environment, broker: Broker) -> None:
        api = config.new_client_from_config(str(environment.kubeconfig))
        self._apps, self._custom = client.AppsV1Api(api), client.CustomObjectsApi(api)
        self._broker = broker

    def sample(self, seconds: Callable[[], float]) -> Sample:
        """One look. Its time is that of its middle; raises what the clients raise."""
        ends, committed = self._broker.offsets()
        at = seconds()
        deployment = self._deployment()
        return Sample(
            seconds=at,
            ends=ends,
            committed=committed,
            replicas_spec=deployment["spec"]["replicas"],
            replicas_ready=deployment["status"].get("readyReplicas", 0),
            decision=self._decision(),
        )

    def _deployment(self) -> dict[str, Any]:
        answer = self._apps.read_namespaced_deployment(
            scene.DEPLOYMENT, scene.NAMESPACE, _preload_content=False, _request_timeout=5
        )
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def _decision(self) -> str:
        found = self._custom.get_namespaced_custom_object(
            "kafka-consumer-scaler.dev",
            "v1alpha1",
            scene.NAMESPACE,
            "kafkaconsumerscalers",
            "orders",
            _request_timeout=5,
        )
        return str(found.get("status", {}).get("lastDecision", ""))


def watch(onlooker: Onlooker, load: Load, show: Callable[[Row], None]) -> list[Row]:
    """Sample and show until the load is over."""
    samples: list[Sample] = []
    rows: list[Row] = []
    tick = seen = time.monotonic()
    while not load.is_over():
        try:
            samples.append(onlooker.sample(lambda: load.elapsed))
            if len(samples) > 1:  # a rate needs two
                rows.append(row(samples))
                show(rows[-1])
            seen = time.monotonic()
        except (KafkaException, client.ApiException, urllib3.exceptions.HTTPError) as error:
            if time.monotonic() - seen > BLIND_SECONDS:
                raise DemoFailed(f"no answer for {BLIND_SECONDS:.0f} s: {' '.join(str(error).split())[:200]}") from None
        tick = max(tick + EVERY_SECONDS, time.monotonic())
        time.sleep(max(0.0, tick - time.monotonic()))
    return rows
