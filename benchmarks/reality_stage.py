"""The real part: operator, consumers, topic and producer, put there and taken away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_END, OFFSET_STORED, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import reality_scene as scene
from benchmarks.cluster import BenchmarkFailed, Cluster, wait_until
from benchmarks.fleet import (
    CHART,
    DEFINITION,
    DEFINITIONS,
    KINDS,
    OPERATOR_LABEL,
    OPERATOR_NAMESPACE,
    RELEASE,
    ROOT,
)
from benchmarks.groups import Groups
from tests.environment import Environment, EnvironmentFailed
from tests.environment.progress import Progress

ANSWER_SECONDS = 5.0
FIRST_COMMITS_SECONDS = 40.0
LOOKS = 1000


@dataclass(frozen=True)
class Offsets:
    """Reads the topic's ends and the group's commits, as a consumer that joins no group."""

    reader: Consumer

    @classmethod
    def of(cls, bootstrap_servers: str) -> Offsets:
        return cls(Consumer({"bootstrap.servers": bootstrap_servers, "group.id": scene.NAME, "log_level": 2}))

    def read(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ends and committed offsets by partition, 0 where none is; raises KafkaException.

        Committed offsets are read first, so that no lag comes out below 0.
        """
        committed = self.reader.committed(_partitions(OFFSET_STORED), timeout=ANSWER_SECONDS)
        ends = self.reader.offsets_for_times(_partitions(OFFSET_END), timeout=ANSWER_SECONDS)
        return _in_order(ends), _in_order(committed)


class Producer:
    """examples/producer.py with the trace, a process of its own that ends with this one."""

    def __init__(self, bootstrap_servers: str) -> None:
        tie = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        where = ("--bootstrap-servers", bootstrap_servers, "--topic", scene.NAME, "--steps", scene.steps())
        self._process = subprocess.Popen(
            [*tie, sys.executable, str(ROOT / "examples" / "producer.py"), *where],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,  # an interrupt from the keyboard is ours to handle
        )  # fmt: skip
        self._await_first_line()
        self.began_at = time.time()
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since it began to produce."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Whether it has ended. Raises BenchmarkFailed with its own words when it failed."""
        if self._process.poll() is None:
            return False
        if self._process.returncode != 0:
            raise BenchmarkFailed(self._words() or f"the producer ended with status {self._process.returncode}")
        return True

    def stop(self) -> None:
        """End it now."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_first_line(self) -> None:
        """The heading comes when the first record is due."""
        if not (self._process.stdout and self._process.stdout.readline()):
            self._process.wait()
            raise BenchmarkFailed(self._words() or "the producer did not begin")

    def _words(self) -> str:
        return self._process.stderr.read().strip() if self._process.stderr else ""


@dataclass(frozen=True)
class Stage:
    """All that the run needs in the cluster and in Kafka."""

    cluster: Cluster
    offsets: Offsets

    def start_scaler(self) -> None:
        """Apply the manifest, once the group has committed something of each partition."""
        wait_until(self._uncommitted, FIRST_COMMITS_SECONDS)
        servers = self.cluster.environment.kafka_bootstrap_servers_in_cluster
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(scene.scaler(servers)))

    def recorded(self) -> str:
        """The operator's looks at the resource, as JSON lines."""
        (pod,) = self.cluster.items("pods", "-n", OPERATOR_NAMESPACE, "-l", OPERATOR_LABEL)
        at = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy"
        return self.cluster.raw(f"{at}/debug/scalers/{scene.NAMESPACE}/orders/snapshots")

    def last_log_lines(self) -> str:
        """The end of the operator's log, or nothing."""
        try:
            return self.cluster.kubectl("logs", "-n", OPERATOR_NAMESPACE, "-l", OPERATOR_LABEL, "--tail=15")
        except EnvironmentFailed:
            return ""

    def _uncommitted(self) -> str:
        try:
            _, committed = self.offsets.read()
        except KafkaException as problem:
            return str(problem.args[0].str())
        return "" if all(committed) else f"{committed.count(0)} partitions without a committed record"


@contextmanager
def stage(environment: Environment, progress: Progress) -> Iterator[Stage]:
    """The operator and one consumer that has all partitions, without the scaler; all is removed afterwards."""
    cluster, groups = Cluster(environment), Groups(environment.kafka_bootstrap_servers)
    _require_alone(cluster)
    with progress.step("images"):
        operator = environment.load_image("kafka-consumer-scaler:benchmark", ROOT, ROOT / "Dockerfile")
        example = environment.load_image("kafka-example:benchmark", ROOT / "examples", ROOT / "examples" / "Dockerfile")
    _clear(cluster)
    makes_definition = not cluster.has("crd", DEFINITION)
    try:
        with progress.step("operator, topic and consumer"):
            groups.remove()
            if makes_definition:
                cluster.kubectl("apply", "--server-side", "-f", str(DEFINITIONS))
            _make_topic(environment.kafka_bootstrap_servers)
            _install(cluster, operator)
            _start_consumer(cluster, example)
        yield Stage(cluster, Offsets.of(environment.kafka_bootstrap_servers))
    finally:
        with progress.step("cleaning up"):
            _clear(cluster)
            if makes_definition:
                _remove_definition(cluster)
            groups.remove()


def _require_alone(cluster: Cluster) -> None:
    """An operator of the whole cluster would serve our resource too, and both would scale."""
    for each in cluster.items("deployments", "--all-namespaces", "-l", OPERATOR_LABEL):
        if each["metadata"]["namespace"] != OPERATOR_NAMESPACE and serves_all(each):
            raise BenchmarkFailed(f"the operator in namespace {each['metadata']['namespace']} serves all namespaces")


def serves_all(deployment: dict[str, Any]) -> bool:
    """Whether this operator's Deployment names no namespaces to serve, and is not scaled to nothing."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    is_bound = any(word.startswith("--namespace") for word in container.get("args", ()))
    return not is_bound and deployment["spec"].get("replicas", 1) > 0


def _install(cluster: Cluster, image: str) -> None:
    for name in (OPERATOR_NAMESPACE, scene.NAMESPACE):
        cluster.kubectl("create", "namespace", name)
    repository, _, tag = image.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag},
        "watchNamespaces": [scene.NAMESPACE],
        "debug": {"recordSnapshots": LOOKS},
        "crd": {"install": False},
        "replicaCount": 1,
    }
    said = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    cluster.helm("install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE, *said)
    where = ("--namespace", OPERATOR_NAMESPACE, "-l", OPERATOR_LABEL)
    cluster.kubectl("rollout", "status", "deployment", *where, "--timeout=90s")


def _start_consumer(cluster: Cluster, image: str) -> None:
    manifest = scene.consumer(image, cluster.environment.kafka_bootstrap_servers_in_cluster)
    cluster.kubectl("apply", "-f", "-", stdin=manifest)
    where = (f"deployment/{scene.DEPLOYMENT}", "--namespace", scene.NAMESPACE)
    cluster.kubectl("rollout", "status", *where, "--timeout=90s")
    wait_until(lambda: _unassigned(cluster, where), 60)


def _unassigned(cluster: Cluster, where: tuple[str, ...]) -> str:
    wanted = f"assigned {scene.PARTITIONS} partitions"
    return "" if wanted in cluster.kubectl("logs", *where) else "the consumer has not been given the partitions"


def _clear(cluster: Cluster) -> None:
    """Remove all that a run makes in the cluster, the operator first, also what an interrupted one left."""
    cluster.helm("uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait")
    gone = ("--ignore-not-found", "--timeout=120s")
    cluster.kubectl("delete", "deployment", scene.DEPLOYMENT, "-n", scene.NAMESPACE, "--cascade=foreground", *gone)
    cluster.kubectl("delete", "namespace", OPERATOR_NAMESPACE, scene.NAMESPACE, *gone)


def _remove_definition(cluster: Cluster) -> None:
    """Unless somebody else has come to use it."""
    operators = cluster.items("deployments", "--all-namespaces", "-l", OPERATOR_LABEL)
    if cluster.has("crd", DEFINITION) and not operators and not cluster.items(KINDS, "--all-namespaces"):
        cluster.kubectl("delete", "-f", str(DEFINITIONS), "--ignore-not-found", "--timeout=60s")


def _make_topic(bootstrap_servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    wanted = NewTopic(scene.NAME, scene.PARTITIONS, 1)
    wait_until(lambda: _topic_problem(admin, wanted), 30)


def _topic_problem(admin: AdminClient, wanted: NewTopic) -> str:
    """Make the topic. One of this name that is being deleted is in the way for a moment."""
    try:
        admin.create_topics([wanted])[wanted.topic].result(30)
    except KafkaException as problem:
        return str(problem.args[0].str())
    return ""


def _partitions(offset: int) -> list[TopicPartition]:
    return [TopicPartition(scene.NAME, number, offset) for number in range(scene.PARTITIONS)]


def _in_order(partitions: list[TopicPartition]) -> tuple[int, ...]:
    """Offsets by number of partition. What could not be read is no 0: it raises KafkaException."""
    for partition in partitions:
        if partition.error is not None:
            raise KafkaException(partition.error)
    return tuple(max(0, each.offset) for each in sorted(partitions, key=lambda each: int(each.partition)))
