"""A producer whose rate goes in steps, evenly over the partitions of a topic.

    producer.py --bootstrap-servers localhost:9092 --topic orders --steps 100:60,500:120,100:120

sends 100 records/s for 60 s, then 500 for 120 s, then 100 for 120 s. It prints CSV, one line for each interval:
seconds since the start, records acknowledged by the broker, and their rate (records/s) since the line before.
It ends with 0 when all were acknowledged (also after SIGTERM or SIGINT), 1 when some were not, 2 for bad usage.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException, Producer

TICK_SECONDS = 0.01


@dataclass(frozen=True)
class Step:
    """A rate (records/s) and how long it holds (seconds)."""

    rate: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Step:
        """Raises ValueError unless the text is RATE:SECONDS."""
        rate, colon, seconds = text.partition(":")
        step = cls(float(rate), float(seconds)) if colon else cls(-1, 0)
        if not (0 <= step.rate <= 1e6 and 0 < step.seconds <= 1e6):
            raise ValueError(text)
        return step


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps of `100:60,500:120`. Raises ArgumentTypeError with the part that is wrong."""
    steps = []
    for part in text.split(","):
        try:
            steps.append(Step.parse(part))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not RATE:SECONDS, such as 100:60") from None
    return tuple(steps)


def due(steps: Sequence[Step], elapsed: float) -> int:
    """Records that should be sent `elapsed` seconds after the start.

    >>> [due((Step(100, 60), Step(500, 10)), seconds) for seconds in (0, 30, 60, 61, 99)]
    [0, 3000, 6000, 6500, 11000]
    """
    total = 0.0
    for step in steps:
        total += step.rate * min(step.seconds, max(0.0, elapsed))
        elapsed -= step.seconds
    return round(total)


@dataclass
class Sender:
    """Sends to the partitions in turn and counts what the broker has acknowledged."""

    producer: Producer
    topic: str
    partitions: int
    value: bytes
    sent: int = 0
    acknowledged: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def send_until(self, total: int) -> None:
        """Send until `total` records are handed over, or for as long as the local queue has room."""
        while self.sent < total:
            key, partition = str(self.sent), self.sent % self.partitions
            try:
                self.producer.produce(self.topic, self.value, key, partition, on_delivery=self._delivered)
            except BufferError:
                return
            self.sent += 1

    def _delivered(self, error: Any, _: object) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.failures[error.str()] = self.failures.get(error.str(), 0) + 1


@dataclass
class Report:
    """CSV on standard output."""

    interval: float
    _at: float = 0.0
    _total: int = 0

    def start(self) -> None:
        print("seconds,sent_total,rate", flush=True)

    def when_due(self, elapsed: float, total: int, *, last: bool = False) -> None:
        if elapsed - self._at >= self.interval or (last and elapsed > self._at):
            rate = (total - self._total) / (elapsed - self._at)
            print(f"{elapsed:.2f},{total},{rate:.1f}", flush=True)
            self._at, self._total = elapsed, total


def run(sender: Sender, steps: Sequence[Step], report: Report, stopping: list[int]) -> None:
    """Follow the steps until their end or a signal, then wait for what is under way."""
    start, length = time.monotonic(), sum(step.seconds for step in steps)
    report.start()
    while not stopping and (elapsed := time.monotonic() - start) < length:
        sender.send_until(due(steps, elapsed))
        sender.producer.poll(TICK_SECONDS if sender.sent else 0)
        report.when_due(elapsed, sender.acknowledged)
        time.sleep(max(0.0, start + elapsed + TICK_SECONDS - time.monotonic()))
    if not stopping:
        sender.send_until(due(steps, length))
    sender.producer.flush(30)
    report.when_due(time.monotonic() - start, sender.acknowledged, last=True)


def partitions_of(producer: Producer, topic: str) -> int:
    """Raises KafkaException when no broker answers, LookupError when there is no such topic."""
    metadata = producer.list_topics(topic, timeout=15).topics[topic]
    if metadata.error is not None or not metadata.partitions:
        raise LookupError(f"topic {topic}: {metadata.error.str() if metadata.error else 'has no partitions'}")
    return len(metadata.partitions)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Produce records at rates that change in steps.")
    parser.add_argument("--bootstrap-servers", required=True, help="host:port, comma separated")
    parser.add_argument("--topic", required=True, help="it must exist")
    parser.add_argument("--steps", required=True, type=parse_steps, help="RATE:SECONDS,... such as 100:60,500:120")
    parser.add_argument("--record-bytes", type=int, default=100, help="size of a value (default 100)")
    parser.add_argument("--report-seconds", type=float, default=1.0, help="between two lines (default 1)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Produce; answers the exit code."""
    options = arguments(argv)
    quiet = {"log_level": 2}  # what fails is reported once, at the end
    producer = Producer({"bootstrap.servers": options.bootstrap_servers, "linger.ms": 20, "acks": "all", **quiet})
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stopping.append(received))
    try:
        partitions = partitions_of(producer, options.topic)
    except KafkaException as error:
        print(f"producer: {error.args[0].str()}", file=sys.stderr)
        return 1
    except LookupError as error:
        print(f"producer: {error}", file=sys.stderr)
        return 1
    sender = Sender(producer, options.topic, partitions, b"x" * options.record_bytes)
    run(sender, options.steps, Report(options.report_seconds), stopping)
    if sender.acknowledged < sender.sent:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sender.failures.items()) or "no answer in time"
        print(f"producer: {sender.sent - sender.acknowledged} records not acknowledged: {reasons}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
