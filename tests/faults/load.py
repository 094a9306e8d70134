"""The producer: so many records/s to each topic, evenly over its partitions, changed while it runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from confluent_kafka import Producer

from tests.faults.layout import DIRECT_SERVERS
from tests.faults.shop import Group

TICK_SECONDS = 0.1
PAYLOAD = b"x" * 40


@dataclass
class Load:
    """Runs in a thread from `start` to `stop`."""

    groups: tuple[Group, ...]
    changes: list[tuple[float, str, float]] = field(default_factory=list)
    _rates: dict[str, float] = field(default_factory=dict)
    _sent: dict[str, int] = field(default_factory=dict)
    _owed: dict[str, float] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Nothing is sent before a rate is set."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """No more records."""
        self._stopping.set()

    def set(self, name: str, rate: float) -> None:
        """Records/s from now on."""
        self._rates[name] = rate
        self.changes.append((time.time(), name, rate))

    def rate(self, name: str) -> float:
        """Records/s now."""
        return self._rates.get(name, 0.0)

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": DIRECT_SERVERS, "linger.ms": 20, "acks": "all", "log_level": 0,
                             "message.timeout.ms": 60000, "reconnect.backoff.max.ms": 1000})
        before = time.monotonic()
        while not self._stopping.wait(TICK_SECONDS):
            now = time.monotonic()
            for group in self.groups:
                self._send(producer, group, now - before)
            before = now
            producer.poll(0)

    def _send(self, producer: Producer, group: Group, seconds: float) -> None:
        self._owed[group.name] = self._owed.get(group.name, 0.0) + self.rate(group.name) * seconds
        while self._owed[group.name] >= 1:
            self._owed[group.name] -= 1
            number = self._sent.get(group.name, 0)
            self._sent[group.name] = number + 1
            producer.produce(group.name, PAYLOAD, partition=number % group.partitions)
