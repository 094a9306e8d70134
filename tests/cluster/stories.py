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

from tests.cluster.decided import Poll, polls_of
from tests.cluster.traffic import Flow, Traffic
from tests.cluster.workload import Client, Workload
from tests.environment import Environment
from tests.waiting import PATIENCE, eventually

LOOK_SECONDS = 2.0
RECORDED_EVERY_SECONDS = 5.0
"""The operator's pod starts a Python each time its recording is read."""
DOWNSTREAM_PORT = 7000


@dataclass(frozen=True)
class Look:
    """What a user would see at a time, seconds since the watching began."""

    seconds: float
    replicas: int
    status: Mapping[str, Any]


@dataclass
class Story:
    """One workload, what is produced for it, what was seen, and each poll of it once it is over.

    `began_at` is when its trouble was there, in seconds since the epoch, as the times of polls are.
    """

    workload: Workload
    flow: Flow
    began_at: float = 0.0
    looks: list[Look] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    polls: list[Poll] = field(default_factory=list)

    @property
    def backlog(self) -> str:
        """As it is shown now; empty before it is shown."""
        return str(self.looks[-1].status.get("backlog", "")) if self.looks else ""

    @property
    def replicas(self) -> list[int]:
        """Replicas asked for, without repetitions."""
        return [number for number, _ in groupby(look.replicas for look in self.looks)]

    @property
    def reasons(self) -> list[str]:
        """The events' reasons, oldest first."""
        return [event["reason"] for event in self.events]

    @property
    def changes(self) -> list[str]:
        """The sentences of the scale events, oldest first."""
        return [event["message"] for event in self.events if event["reason"] in ("ScaledUp", "ScaledDown")]

    def backlogs(self) -> set[str]:
        """Every state of the backlog that was shown."""
        return {look.status["backlog"] for look in self.looks if "backlog" in look.status}

    def conditions(self, kind: str) -> set[tuple[str, str]]:
        """Every status and reason that a condition had."""
        shown = [each for look in self.looks for each in look.status.get("conditions", ()) if each["type"] == kind]
        return {(each["status"], each["reason"]) for each in shown}

    def shows(self, reason: str) -> bool:
        """Whether a true condition had that reason: a finding, or what limits scaling."""
        shown = [each for look in self.looks for each in look.status.get("conditions", ())]
        return any((each["status"], each["reason"]) == ("True", reason) for each in shown)

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

    def __init__(self, stories: Mapping[str, Story]) -> None:
        self._stories = list(stories.values())
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
            for story in self._stories:
                with suppress(AssertionError):  # it is not there yet
                    status, replicas = story.workload.status(), story.workload.replicas()
                    story.looks.append(Look(self.seconds(), replicas, status))


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
    workload.kubectl("rollout", "status", "deployment/downstream", *here, PATIENCE)
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
            kubectl("delete", "kcs", "--all", "-n", workload.namespace, PATIENCE, check=False)
            kubectl("delete", "namespace", workload.namespace, "--wait=false")
            with suppress(KafkaException):  # it may not have been made yet
                workload.delete_topic()


def await_ready(kubectl: Client, workload: Workload) -> None:
    """Return when all consumers are there and the group has its members."""
    where = ("-n", workload.namespace)
    kubectl("rollout", "status", "deployment/orders-consumer", *where, PATIENCE)
    logs = ("logs", *where, "-l", "app=orders-consumer", "--tail=50")
    eventually(lambda: "assigned" in kubectl(*logs).stdout, what="a consumer with partitions")


def keep(told: Mapping[str, Story], recording: Callable[[str], str], folder: Path) -> None:
    """What each was told, and what `replay` needs to decide it again, in the folder that pytest keeps."""
    for name, story in told.items():
        story.events, recorded = story.workload.events(), recording(story.workload.namespace)
        (folder / f"{name}.txt").write_text(story.told())
        (folder / f"{name}.jsonl").write_text(recorded)
        story.polls = polls_of(story.workload, recorded)
        (folder / f"{name}.yaml").write_text(story.workload.kubectl(
            "get", "kcs", "orders", "-n", story.workload.namespace, "-o", "yaml").stdout)


Polls = Callable[[Story], list[Poll]]


def recorded(story: Story, recording: Callable[[str], str]) -> list[Poll]:
    """The polls of a story up to now."""
    time.sleep(RECORDED_EVERY_SECONDS)
    return polls_of(story.workload, recording(story.workload.namespace))


@dataclass(frozen=True)
class Plot:
    """What is played by several workloads side by side.

    Args:
        rates: records/s of each partition, by the story's name.
        deploy: starts the consumers of all, and answers the service that will change.
        scale: applies their manifests.
        play: lets things happen, and returns at the end; asked with what shows the polls of a story up to now.
    """

    rates: Mapping[str, tuple[float, ...]]
    deploy: Callable[[dict[str, Workload]], Downstream]
    scale: Callable[[dict[str, Workload]], None]
    play: Callable[[Watch, dict[str, Story], Downstream, Polls], None]


@contextmanager
def played(
    plot: Plot, environment: Environment, kubectl: Client, image: str, recording: Callable[[str], str]
) -> Iterator[dict[str, Story]]:
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
        with Traffic(environment.kafka_bootstrap_servers, flows), Watch(told) as watch:
            plot.scale(made)
            plot.play(watch, told, service, lambda story: recorded(story, recording))
        yield told
