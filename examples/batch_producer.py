"""A producer that sends many records with one request, and knows of each whether the broker has it.

Environment:
    KAFKA_BOOTSTRAP_SERVERS, TOPIC: where to send to (required).
    RECORDS: how many; 0 is until a signal (default 0).
    RATE: records/s; 0 is as fast as the broker takes them (default 1000).
    KEYS: how many keys they have, in turn; the key tells the partition (default 100).
    RECORD_BYTES: size of a value, which begins with the record's number (default 100).
    LINGER_MS: how long a batch waits to become full (default 50).
    BATCH_BYTES: most bytes of a batch of one partition (default 131072).
    COMPRESSION: none, gzip, snappy, lz4 or zstd; of whole batches, so fuller ones become smaller (default lz4).

It ends with 0 when the broker has acknowledged all (also after SIGTERM or SIGINT), 1 when not, 2 for a bad environment.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import common
from confluent_kafka import Producer

TICK_SECONDS, FLUSH_SECONDS, TOLD_MS = 0.02, 30, 5000


def producer_settings(env: common.Environment) -> dict[str, Any]:
    """For librdkafka. Idempotence makes its retries neither double nor reorder records."""
    return {
        "bootstrap.servers": common.required(env, "KAFKA_BOOTSTRAP_SERVERS"),
        "linger.ms": common.number(env, "LINGER_MS", 50),
        "batch.size": common.whole(env, "BATCH_BYTES", 131072),
        "compression.type": env.get("COMPRESSION", "lz4"),
        "enable.idempotence": True,
        "acks": "all",
        "statistics.interval.ms": TOLD_MS,
        "stats_cb": tell,
    }


def tell(statistics: str) -> None:
    """How full the batches are: near 1 record, a longer linger saves requests."""
    for name, topic in json.loads(statistics)["topics"].items():
        if topic["batchcnt"]["cnt"]:
            common.say(f"{name}: {topic['batchcnt']['avg']} records in {topic['batchsize']['avg']} bytes a batch")


@dataclass
class Sender:
    """Sends at a rate and counts what the broker has acknowledged."""

    producer: Any
    topic: str
    records: int
    rate: float
    keys: int
    record_bytes: int
    sent: int = 0
    acknowledged: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    stopping: bool = False

    def run(self) -> None:
        """Send all, or until `stop`; then wait for what is under way. Raises OSError when some was not acknowledged."""
        began = time.monotonic()
        while not self.stopping and not self._is_over():
            due = round((time.monotonic() - began) * self.rate) if self.rate else self.sent + 10_000
            self._send_until(min(due, self.records or due))
            self.producer.poll(TICK_SECONDS if self.rate else 0)
        self.producer.flush(FLUSH_SECONDS)
        common.say(f"{self.acknowledged} of {self.sent} records acknowledged")
        if self.acknowledged < self.sent:
            told = ", ".join(f"{count} {why}" for why, count in self.failures.items()) or "no answer in time"
            raise OSError(f"{self.sent - self.acknowledged} records not acknowledged: {told}")

    def stop(self, *_: object) -> None:
        self.stopping = True

    def _is_over(self) -> bool:
        return bool(self.records) and self.sent >= self.records

    def _send_until(self, due: int) -> None:
        """A full local queue is back-pressure: the broker takes less than we send, so wait for its reports."""
        while self.sent < due and not self.stopping:
            key, value = str(self.sent % self.keys), f"{self.sent:<{self.record_bytes}}"
            try:
                self.producer.produce(self.topic, value, key, on_delivery=self._delivered)
            except BufferError:
                self.producer.poll(TICK_SECONDS)
                continue
            self.sent += 1

    def _delivered(self, error: Any, _: object) -> None:
        """Called from `poll` and `flush`, once for each record: here is where to keep what was not delivered."""
        if error is None:
            self.acknowledged += 1
        else:
            self.failures[error.str()] += 1


def make(env: common.Environment) -> Callable[[], None]:
    """The producer as the environment wants it. Raises ValueError or KafkaException for what it cannot be."""
    topic, records = common.required(env, "TOPIC"), common.whole(env, "RECORDS", 0, least=0)
    rate, keys = common.number(env, "RATE", 1000), common.whole(env, "KEYS", 100)
    record_bytes = common.whole(env, "RECORD_BYTES", 100)
    sender = Sender(Producer(producer_settings(env)), topic, records, rate, keys, record_bytes)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, sender.stop)
    return sender.run


if __name__ == "__main__":
    raise SystemExit(common.main("batch_producer", make))
