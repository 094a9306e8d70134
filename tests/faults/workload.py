"""The workload controller that the harness plays: as many real consumers as each Deployment asks for."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException

from tests.faults.api import Api, Refused
from tests.faults.layout import DIRECT_SERVERS
from tests.faults.shop import CONSUMER_CAPACITY, DEPLOYMENTS

LOOK_SECONDS = 0.4
START_SECONDS = 0.5
"""A pod needs a moment until it works."""

SETTINGS = {
    "bootstrap.servers": DIRECT_SERVERS, "auto.offset.reset": "earliest", "auto.commit.interval.ms": 1000,
    "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000, "reconnect.backoff.max.ms": 1000, "log_level": 0,
    "topic.metadata.refresh.interval.ms": 5000, "fetch.queue.backoff.ms": 50, "queued.max.messages.kbytes": 1024,
    "partition.assignment.strategy": "cooperative-sticky",
}  # fmt: skip


class Worker:
    """One consumer of a group in a thread of its own, that does so many records/s and no more."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Until it has left the group."""
        return self._thread.is_alive()

    def end(self) -> None:
        """Let it leave the group, in its own time."""
        self._ending.set()

    def _run(self) -> None:
        self._ending.wait(START_SECONDS)
        consumer = Consumer({**SETTINGS, "group.id": self._group})
        consumer.subscribe([self._group])
        due = time.monotonic()
        while not self._ending.is_set():
            with suppress(KafkaException, RuntimeError):
                message = consumer.poll(0.2)
                if message is None or message.error():
                    due = time.monotonic()
                    continue
                due = max(due, time.monotonic() - 0.2) + 1 / CONSUMER_CAPACITY
                self._ending.wait(max(0.0, due - time.monotonic()))
        consumer.close()


@dataclass
class Workload:
    """Looks at all Deployments a few times a second, obeys them, and writes their status."""

    api: Api
    groups: dict[str, str]
    _workers: dict[str, list[Worker]] = field(default_factory=dict)
    _seen: list[tuple[float, str, int]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """From now on, until `stop`."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """All consumers leave."""
        self._stopping.set()
        for workers in self._workers.values():
            for worker in workers:
                worker.end()

    def seen(self) -> list[tuple[float, str, int]]:
        """(time, Deployment, replicas asked for), one for each change that was seen."""
        return list(self._seen)

    def replicas(self, name: str) -> int | None:
        """The last number that was seen to be asked for."""
        return next((number for _, each, number in reversed(self._seen) if each == name), None)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            with suppress(OSError, Refused):
                for deployment in self.api.call("GET", DEPLOYMENTS)["items"]:
                    self._obey(deployment)

    def _obey(self, deployment: dict[str, Any]) -> None:
        name, wanted = deployment["metadata"]["name"], int(deployment["spec"].get("replicas") or 0)
        if self.replicas(name) != wanted:
            self._seen.append((time.time(), name, wanted))
        workers = [each for each in self._workers.get(name, []) if each.is_alive] if name in self.groups else []
        staying = [each for each in workers if not each._ending.is_set()]
        for worker in staying[wanted:]:
            worker.end()
        if name in self.groups:
            workers += [Worker(self.groups[name]) for _ in range(wanted - len(staying))]
            self._workers[name] = workers
        self._report(deployment, len(workers) if name in self.groups else wanted)

    def _report(self, deployment: dict[str, Any], existing: int) -> None:
        metadata = deployment["metadata"]
        status = {"replicas": existing, "readyReplicas": existing, "updatedReplicas": existing,
                  "availableReplicas": existing, "observedGeneration": metadata["generation"]}
        if {key: deployment.get("status", {}).get(key, 0) for key in status} != status:
            self.api.patch(f"{DEPLOYMENTS}/{metadata['name']}/status", {"status": status})
