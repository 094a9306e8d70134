"""A producer that sends batches at the rate that the operator says the consumers can sustain.

Environment:
    KAFKA_BOOTSTRAP_SERVERS, TOPIC: where to send to (required).
    SAFE_RATE_URL: http://OPERATOR:8080/v1/safe-rate/NAMESPACE/NAME (required).
    SHARE: the part of the safe rate that is this program's; of four alike, each has 0.25 (default 1).
    OTHERWISE: records/s while no safe rate is known; 0 is no limit (default 0).
    RECORDS: how many; 0 is until a signal (default 0).
    RATE: records/s that it would send; 0 is as fast as it may (default 0). What it was held back from it makes up for.
    KEYS, RECORD_BYTES, LINGER_MS, BATCH_BYTES, COMPRESSION: as in batch_producer.py.

It prints a line whenever the rate changes, with where it comes from. It ends with 0 when the broker has acknowledged
all (also after SIGTERM or SIGINT), 1 when not, 2 for a bad environment. It needs kafka-consumer-scaler-pacing.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import common
from batch_producer import FLUSH_SECONDS, producer_settings

from kafka_consumer_scaler.pacing import Limit, PacedProducer, Rate, RateSource, SlowDown

WAIT_SECONDS, TICK_SECONDS = 0.25, 0.02


@dataclass
class Sender:
    """Sends when there is a token, and counts what the broker has acknowledged."""

    producer: PacedProducer
    source: RateSource
    topic: str
    records: int
    rate: float
    keys: int
    record_bytes: int
    sent: int = 0
    acknowledged: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    followed: Rate | None = None
    stopping: bool = False

    def run(self) -> None:
        """Send all, or until `stop`; then wait for what is under way. Raises OSError when some was not acknowledged."""
        began = time.monotonic()
        with self.source:
            while not self.stopping and not (self.records and self.sent >= self.records):
                self._tell(self.source.rate())
                if self.rate and self.sent >= (time.monotonic() - began) * self.rate:
                    self.producer.poll(TICK_SECONDS)
                else:
                    self._send()
        self.producer.flush(FLUSH_SECONDS)
        common.say(f"{self.acknowledged} of {self.sent} records acknowledged")
        if self.acknowledged < self.sent:
            told = ", ".join(f"{count} {why}" for why, count in self.failures.items()) or "no answer in time"
            raise OSError(f"{self.sent - self.acknowledged} records not acknowledged: {told}")

    def stop(self, *_: object) -> None:
        self.stopping = True

    def _send(self) -> None:
        """Waits for its turn, a moment at a time: between two it looks whether it is to stop.

        A record that has to wait is where your own program would slow down its source: read less, or tell its caller.
        """
        key, value = str(self.sent % self.keys), f"{self.sent:<{self.record_bytes}}"
        try:
            self.producer.produce(self.topic, value, key, on_delivery=self._delivered)
            self.producer.poll(0)
            self.sent += 1
        except SlowDown:
            return

    def _tell(self, rate: Rate) -> None:
        if self.followed is None or (rate.limit, rate.origin) != (self.followed.limit, self.followed.origin):
            common.say(f"{rate.origin}: {rate.limit.records:g} records/s: {rate.reason}")
        self.followed = rate

    def _delivered(self, error: Any, _: object) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.failures[error.str()] += 1


def source_of(env: common.Environment) -> RateSource:
    """The rate as the environment says. Raises ValueError with one line."""
    url, share, otherwise = (
        common.required(env, "SAFE_RATE_URL"), common.number(env, "SHARE", 1), common.number(env, "OTHERWISE", 0))
    try:
        return RateSource(url, otherwise=Limit(records=otherwise) if otherwise else Limit(), share=share)
    except ValueError as error:
        raise ValueError(f"SAFE_RATE_URL or SHARE: {error}") from None


def make(env: common.Environment) -> Callable[[], None]:
    """The producer as the environment wants it. Raises ValueError or KafkaException for what it cannot be."""
    topic, records = common.required(env, "TOPIC"), common.whole(env, "RECORDS", 0, least=0)
    rate, keys = common.number(env, "RATE", 0), common.whole(env, "KEYS", 100)
    record_bytes, source = common.whole(env, "RECORD_BYTES", 100), source_of(env)
    producer = PacedProducer(producer_settings(env), source, timeout_seconds=WAIT_SECONDS)
    sender = Sender(producer, source, topic, records, rate, keys, record_bytes)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, sender.stop)
    return sender.run


if __name__ == "__main__":
    raise SystemExit(common.main("paced_producer", make))
