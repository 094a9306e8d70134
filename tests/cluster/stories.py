"""Several workloads at once under one operator, each in its own namespace, and what was seen of them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from tests.cluster.traffic import Flow, Traffic
from tests.cluster.workload import Client, Workload, eventually
from tests.environment import Environment

LOOK_SECONDS = 2.5
DOWNSTREAM_PORT = 7000


@dataclass(frozen=True)
class Look:
    """What a user would see at a time, seconds since the watching began."""

    seconds: float
    replicas: int
    status: Mapping[str, Any]


@dataclass
class Story:
    """One workload, what arrives, what was seen; `began_at` is when its trouble was there, seconds."""

    workload: Workload
    flow: Flow
    began_at: float = 0.0
    looks: list[Look] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def replicas(self) -> list[int]:
        """Replicas asked for, without repetitions."""
        return [number for number, _ in groupby(look.replicas for look in self.looks)]

    @property
    def reasons(self) -> list[str]:
        """The events' reasons, oldest first."""
        return [event["reason"] for event in self.events]

    def backlogs(self, since: float = 0.0) -> set[str]:
        """Every state of the backlog that was shown from that second on."""
        return {look.status["backlog"] for look in self.looks if look.seconds > since and "backlog" in look.status}

    def conditions(self, kind: str) -> set[tuple[str, str]]:
        """Every status and reason that a condition had."""
        shown = [each for look in self.looks for each in look.status.get("conditions", ()) if each["type"] == kind]
        return {(each["status"], each["reason"]) for each in shown}

    def named_at(self, finding: str) -> float:
        """When the finding was first shown, seconds."""
        return next(look.seconds for look in self.looks
                    if any(each["type"] == finding for each in look.status.get("conditions", ())))

    def bound_at(self, reason: str) -> float:
        """When scaling was first shown to be limited by that, seconds."""
        return next(look.seconds for look in self.looks if any(
            (each["type"], each["status"], each["reason"]) == ("ScalingLimited", "True", reason)
            for each in look.status.get("conditions", ())))

    def capacities(self) -> list[float]:
        """Records/s of a consumer, as they were shown: at each change of meaning, else once a minute."""
        found = (look.status.get("rates", {}).get("capacityPerConsumer") for look in self.looks)
        return [float(each) for each in found if each is not None]

    def told(self) -> str:
        """The run in lines, for a test that fails."""
        lines, before = [], None
        for look in self.looks:
            now = (look.replicas, look.status.get("backlog"))
            if now != before or look is self.looks[-1]:
                lag, rates = look.status.get("lag"), look.status.get("rates")
                lines.append(f"{look.seconds:5.0f} s {now[0]} replicas, {now[1]}, lag {lag}, rates {rates}")
            before = now
        sentences = (f"{event['reason']}: {event['message']}" for event in self.events)
        return "\n".join([f"{self.workload.namespace}:", *lines, *sentences, ""])


class Watch:
    """Looks at all stories every few seconds; a context manager."""

    def __init__(self, kubectl: Client, stories: Mapping[str, Story]) -> None:
        self._kubectl = kubectl
        self._stories = {story.workload.namespace: story for story in stories.values()}
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def until(self, seconds: float) -> None:
        """Sleep until so many seconds after the beginning."""
        time.sleep(max(0.0, seconds - self.seconds()))

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            found = self._kubectl("get", "kcs,deployments", "-A", "-o", "json", check=False)
            if found.returncode == 0:
                self._note(json.loads(found.stdout)["items"], self.seconds())

    def _note(self, items: list[dict[str, Any]], seconds: float) -> None:
        by_kind = {(each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): each for each in items}
        for namespace, story in self._stories.items():
            deployment = by_kind.get(("Deployment", namespace, "orders-consumer"))
            scaler = by_kind.get(("KafkaConsumerScaler", namespace, "orders"))
            if deployment is not None and scaler is not None:
                story.looks.append(Look(seconds, deployment["spec"]["replicas"], scaler.get("status") or {}))


@dataclass(frozen=True)
class Downstream:
    """examples/downstream.py in a pod of the workload's namespace; `address` is reached from pods."""

    workload: Workload
    address: str

    def change(self, line: str) -> None:
        """Such as `seconds 0.12`, from now on and for all consumers."""
        code = f"import socket; s = socket.create_connection(('127.0.0.1', {DOWNSTREAM_PORT})); " \
               f"s.sendall(b'{line}\\n'); s.recv(1)"
        self.workload.kubectl("exec", "-n", self.workload.namespace, "deploy/downstream", "--", "python", "-c", code)


def start_downstream(workload: Workload, *words: str) -> Downstream:
    """What the consumers call for each record, with the options of examples/downstream.py."""
    command = ["python", "/opt/example/downstream.py", "--port", str(DOWNSTREAM_PORT), *words]
    labels = {"app": "downstream"}
    pod = {"containers": [{"name": "downstream", "image": workload.image, "imagePullPolicy": "IfNotPresent",
                           "command": command}], "terminationGracePeriodSeconds": 2}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    where = {"name": "downstream", "namespace": workload.namespace}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": where, "spec": spec}
    workload.kubectl("apply", "-f", "-", stdin=json.dumps(deployment))
    here = ("-n", workload.namespace)
    workload.kubectl("rollout", "status", "deployment/downstream", *here, "--timeout=90s")
    address = workload.kubectl("get", "pod", *here, "-l", "app=downstream", "-o", "jsonpath={.items[0].status.podIP}")
    return Downstream(workload, f"{address.stdout}:{DOWNSTREAM_PORT}")


@contextmanager
def workloads(kubectl: Client, made: Mapping[str, Workload]) -> Iterator[None]:
    """Their namespaces, and everything that is in them taken away at the end."""
    for workload in made.values():
        kubectl("create", "namespace", workload.namespace)
    try:
        yield
    finally:
        for workload in made.values():
            kubectl("delete", "kcs", "--all", "-n", workload.namespace, "--timeout=30s", check=False)
            kubectl("delete", "namespace", workload.namespace, "--wait=false")
            with suppress(KafkaException):  # it may not have been made yet
                workload.delete_topic()


def await_ready(kubectl: Client, workload: Workload) -> None:
    """Return when all consumers are there and the group has its members."""
    where = ("-n", workload.namespace)
    kubectl("rollout", "status", "deployment/orders-consumer", *where, "--timeout=90s")
    logs = ("logs", *where, "-l", "app=orders-consumer", "--tail=50")
    eventually(lambda: "assigned" in kubectl(*logs).stdout, 30, "a consumer with partitions")


def keep(told: Mapping[str, Story], recording: Callable[[str], str], folder: Path) -> None:
    """What each was told, and what `replay` needs to decide it again, in the folder that pytest keeps."""
    for name, story in told.items():
        story.events = story.workload.events()
        (folder / f"{name}.txt").write_text(story.told())
        (folder / f"{name}.jsonl").write_text(recording(story.workload.namespace))
        (folder / f"{name}.yaml").write_text(story.workload.kubectl(
            "get", "kcs", "orders", "-n", story.workload.namespace, "-o", "yaml").stdout)


@dataclass(frozen=True)
class Plot:
    """What is played by several workloads side by side.

    Args:
        rates: records/s of each partition, by the story's name.
        deploy: starts the consumers of all, and answers the service that will change.
        scale: applies their manifests.
        play: lets things happen, and returns at the end.
    """

    rates: Mapping[str, tuple[float, ...]]
    deploy: Callable[[dict[str, Workload]], Downstream]
    scale: Callable[[dict[str, Workload]], None]
    play: Callable[[Watch, dict[str, Story], Downstream, Client], None]


@contextmanager
def played(plot: Plot, environment: Environment, kubectl: Client, image: str) -> Iterator[dict[str, Story]]:
    """All stories of the plot at once, played to the end; what they are made of is there until the context ends."""
    run = uuid.uuid4().hex[:6]
    made = {name: Workload(environment, kubectl, f"t-{name}-{run}", image) for name in plot.rates}
    told = {name: Story(made[name], Flow(made[name].namespace, rates)) for name, rates in plot.rates.items()}
    with workloads(kubectl, made):
        for name, workload in made.items():
            workload.create_topic(len(plot.rates[name]))
        service = plot.deploy(made)
        for workload in made.values():
            await_ready(kubectl, workload)
        flows = [story.flow for story in told.values()]
        with Traffic(environment.kafka_bootstrap_servers, flows), Watch(kubectl, told) as watch:
            plot.scale(made)
            plot.play(watch, told, service, kubectl)
        yield told
