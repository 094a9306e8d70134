"""Looking on at the real run, about once a second, and keeping what its consumers say."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import urllib3
from confluent_kafka import KafkaException
from kubernetes import client, config

from benchmarks import reality_scene as scene
from benchmarks.cluster import BenchmarkFailed
from benchmarks.reality_run import RealRun, Told
from benchmarks.reality_stage import Offsets, Producer, Stage
from benchmarks.report import machine
from tests.demo.timeline import Sample
from tests.environment import Environment

EVERY_SECONDS = 1.0
LOGS_EVERY_SECONDS = 10.0
NO_LOGS = "unable to retrieve container logs"
"""What the kubelet answers, with status 200, of a container that it is just removing."""
BLIND_SECONDS = 20.0
"""Samples that fail are left out for this long; then the run fails."""
TROUBLES = (KafkaException, client.ApiException, urllib3.exceptions.HTTPError)


@dataclass
class Onlooker:
    """Samples, statuses and logs of one run, as they come in."""

    offsets: Offsets
    apps: client.AppsV1Api
    pods: client.CoreV1Api
    custom: client.CustomObjectsApi
    samples: list[Sample] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, environment: Environment, offsets: Offsets) -> Onlooker:
        api = config.new_client_from_config(str(environment.kubeconfig))
        return cls(offsets, client.AppsV1Api(api), client.CoreV1Api(api), client.CustomObjectsApi(api))

    def look(self, producer: Producer) -> None:
        """One sample of everything; raises one of TROUBLES."""
        ends, committed = self.offsets.read()
        at = producer.elapsed
        deployment, status = self._deployment(), self._status()
        spec, ready = deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)
        self.samples.append(Sample(at, ends, committed, spec, ready, str(status.get("lastDecision", ""))))
        self.told.append(Told(at, status.get("lag", {}).get("seconds")))

    def keep_logs(self) -> None:
        """What all consumers have said so far; a pod that is gone keeps what it had said before."""
        found = self.pods.list_namespaced_pod(scene.NAMESPACE, _request_timeout=5)
        for name in (pod.metadata.name for pod in found.items):
            try:
                text = self.pods.read_namespaced_pod_log(name, scene.NAMESPACE, timestamps=True, _request_timeout=5)
            except client.ApiException:  # not started yet, or just gone
                continue
            if not text.startswith(NO_LOGS):
                self.logs[name] = text

    def _deployment(self) -> dict[str, Any]:
        answer = self.apps.read_namespaced_deployment(
            scene.DEPLOYMENT, scene.NAMESPACE, _preload_content=False, _request_timeout=5
        )
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def _status(self) -> dict[str, Any]:
        """Empty before the scaler is there."""
        kind = ("kafka-consumer-scaler.dev", "v1alpha1", scene.NAMESPACE, "kafkaconsumerscalers")
        items = self.custom.list_namespaced_custom_object(*kind, _request_timeout=5)["items"]
        return dict(items[0].get("status") or {}) if items else {}


def play(staged: Stage, environment: Environment) -> RealRun:
    """The whole trace, watched from its first to its last second."""
    onlooker = Onlooker.at(environment, staged.offsets)
    producer = Producer(environment.kafka_bootstrap_servers)
    try:
        staged.start_scaler()
        _watch(onlooker, producer)
    finally:
        producer.stop()
    samples, told = tuple(onlooker.samples), tuple(onlooker.told)
    return RealRun(producer.began_at, samples, told, onlooker.logs, staged.recorded(), machine())


def _watch(onlooker: Onlooker, producer: Producer) -> None:
    tick = seen = time.monotonic()
    logs_at = tick
    while not producer.is_over():
        try:
            onlooker.look(producer)
            if time.monotonic() >= logs_at:
                logs_at = time.monotonic() + LOGS_EVERY_SECONDS
                onlooker.keep_logs()
            seen = time.monotonic()
        except TROUBLES as trouble:
            if time.monotonic() - seen > BLIND_SECONDS:
                words = " ".join(str(trouble).split())[:200]
                raise BenchmarkFailed(f"no answer for {BLIND_SECONDS:.0f} s: {words}") from None
        tick = max(tick + EVERY_SECONDS, time.monotonic())
        time.sleep(max(0.0, tick - time.monotonic()))
    onlooker.keep_logs()
