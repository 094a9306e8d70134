"""Records at steady rates, each partition at its own, for as long as a test lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import Producer

TICK_SECONDS, STALL_SECONDS = 0.05, 1.0
"""What a machine that stood still for longer did not produce is not caught up: it would be a spike of its own."""


@dataclass
class Flow:
    """What arrives in one topic: records/s by partition."""

    topic: str
    rates: tuple[float, ...]
    _owed: list[float] = field(default_factory=list)

    def due(self, seconds: float) -> list[int]:
        """The partition of each record that `seconds` more have brought."""
        owed = self._owed or [0.0] * len(self.rates)
        owed = [before + rate * seconds for before, rate in zip(owed, self.rates, strict=True)]
        self._owed = [left % 1 for left in owed]
        return [partition for partition, left in enumerate(owed) for _ in range(int(left))]


class Traffic:
    """A thread that produces all flows; a context manager. A flow's rates may be set while it runs."""

    def __init__(self, bootstrap_servers: str, flows: Sequence[Flow]) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 50})
        self._flows = flows
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._producer.flush(180)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stopping.wait(TICK_SECONDS):
            now = time.monotonic()
            for flow in self._flows:
                for partition in flow.due(min(now - last, STALL_SECONDS)):
                    self._producer.produce(flow.topic, b"record", partition=partition)
            self._producer.poll(0)
            last = now
