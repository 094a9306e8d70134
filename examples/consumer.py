"""A consumer with a set time of work per record: at least once, commits on an interval and when it loses partitions.

Environment:
    KAFKA_BOOTSTRAP_SERVERS, TOPIC, GROUP: where to read from (required).
    WORK_SECONDS: work per record, done by sleeping; 0.01 makes 100 records/s (default 0.01).
    DOWNSTREAM: host:port of a service that is called for each record, such as downstream.py (default none).
    COMMIT_INTERVAL: seconds between commits (default 5).
    REPORT_INTERVAL: seconds between lines of output (default 5).
    STUCK_PARTITION: number of a partition whose records are read and never done (default none).
    ASSIGNOR: partition.assignment.strategy (default cooperative-sticky).
    OFFSET_RESET: auto.offset.reset (default earliest).

It ends with 0 after SIGTERM or SIGINT, 1 after a fatal error of Kafka, 2 for a bad environment. After a signal the last
commit usually takes milliseconds; without a broker it would take a session timeout, so SIGALRM ends it after 5 s.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

# Between two polls lies at most this much work: a rebalance or a signal waits no longer.
BATCH_SECONDS = 0.25
# Sleeping overshoots; what was overslept is caught up, unless the consumer was idle for longer than this.
CATCH_UP_SECONDS = 0.05
CLOSE_SECONDS = 5


@dataclass(frozen=True)
class Settings:
    """What the environment asks for; intervals in seconds."""

    bootstrap_servers: str
    topic: str
    group: str
    work_seconds: float = 0.01
    downstream: str = ""
    commit_interval: float = 5
    report_interval: float = 5
    stuck_partition: int | None = None
    assignor: str = "cooperative-sticky"
    offset_reset: str = "earliest"

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Raises ValueError with one line that names the variable."""
        return cls(
            bootstrap_servers=_required(env, "KAFKA_BOOTSTRAP_SERVERS"),
            topic=_required(env, "TOPIC"),
            group=_required(env, "GROUP"),
            work_seconds=_seconds(env, "WORK_SECONDS", cls.work_seconds),
            downstream=_address(env, "DOWNSTREAM"),
            commit_interval=_seconds(env, "COMMIT_INTERVAL", cls.commit_interval),
            report_interval=_seconds(env, "REPORT_INTERVAL", cls.report_interval),
            stuck_partition=_number(env, "STUCK_PARTITION"),
            assignor=env.get("ASSIGNOR", cls.assignor),
            offset_reset=env.get("OFFSET_RESET", cls.offset_reset),
        )

    @property
    def batch_records(self) -> int:
        """Records asked for at once: at most 1000, at least one."""
        return min(1000, max(1, int(BATCH_SECONDS / self.work_seconds))) if self.work_seconds else 1000

    def as_librdkafka(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "group.id": self.group,
            "client.id": os.environ.get("HOSTNAME", "consumer"),
            "partition.assignment.strategy": self.assignor,
            "auto.offset.reset": self.offset_reset,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }


def _required(env: Mapping[str, str], name: str) -> str:
    if not env.get(name):
        raise ValueError(f"{name} is not set")
    return env[name]


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise ValueError(f"{name} must be seconds between 0 and 3600, not {text!r}")
    return seconds


def _number(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name, "")
    if text and not text.isdecimal():
        raise ValueError(f"{name} must be a partition's number, not {text!r}")
    return int(text) if text else None


def _address(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "")
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal()):
        raise ValueError(f"{name} must be host:port, not {text!r}")
    return text


class Downstream:
    """A service that does its part of the work on each record. Raises OSError while it is not there."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = socket.create_connection((host, int(port)), timeout=30)

    def call(self) -> None:
        self._connection.sendall(b"\n")
        if not self._connection.recv(1):
            raise ConnectionError("the downstream service has closed the connection")


class Worker:
    """Reads, works, stores the offset of each record when its work is done, commits what is stored."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.downstream = Downstream(settings.downstream) if settings.downstream else None
        self.consumer = Consumer(settings.as_librdkafka())
        self.stopping = False
        self.records = 0
        self._busy_until = 0.0
        self._next_commit = self._next_report = self._reported_at = time.monotonic()
        self._reported = 0

    def run(self) -> None:
        """Work until `stop`; then commit and leave the group at once."""
        self.consumer.subscribe([self.settings.topic], on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self.stopping:
                self._work(self.consumer.consume(self.settings.batch_records, timeout=0.1))
                self._commit_when_due()
                self._report_when_due()
        finally:
            self._commit(asynchronous=False)
            self.consumer.close()
            say(f"left the group {self.settings.group} after {self.records} records")

    def stop(self, *_: object) -> None:
        self.stopping = True
        signal.alarm(CLOSE_SECONDS)

    def _work(self, batch: list[Any]) -> None:
        for record in batch:
            if self.stopping:
                return
            if record.error() is not None:
                complain(record.error())
                continue
            if record.partition() == self.settings.stuck_partition:
                continue
            if self.downstream:
                self.downstream.call()
                self._busy_until = time.monotonic()
            self._busy_until = max(self._busy_until, time.monotonic() - CATCH_UP_SECONDS) + self.settings.work_seconds
            time.sleep(max(0.0, self._busy_until - time.monotonic()))
            self._done(record)

    def _done(self, record: Any) -> None:
        self.records += 1
        try:
            self.consumer.store_offsets(record)
        except KafkaException as error:  # the partition was lost meanwhile: its new owner works on the record again
            say(f"not stored: {error.args[0].str()}")

    def _assigned(self, _: Consumer, partitions: list[Any]) -> None:
        say(f"assigned {numbers(partitions)}")

    def _revoked(self, _: Consumer, partitions: list[Any]) -> None:
        self._commit(asynchronous=False)
        say(f"revoked {numbers(partitions)}")

    def _commit_when_due(self) -> None:
        if time.monotonic() >= self._next_commit:
            self._next_commit = time.monotonic() + self.settings.commit_interval
            self._commit(asynchronous=True)

    def _commit(self, *, asynchronous: bool) -> None:
        try:
            self.consumer.commit(asynchronous=asynchronous)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                say(f"not committed: {error.args[0].str()}")

    def _report_when_due(self) -> None:
        now = time.monotonic()
        if now >= self._next_report:
            elapsed = now - self._reported_at
            rate = (self.records - self._reported) / elapsed if elapsed else 0.0
            held = len(self.consumer.assignment())
            say(f"{rate:.1f} records/s, {self.records} in all, {held} partitions")
            self._reported, self._reported_at = self.records, now
            self._next_report = now + self.settings.report_interval


def complain(error: KafkaError) -> None:
    """Print an error that librdkafka recovers from by itself. Raises KafkaException for those it does not."""
    if error.fatal():
        raise KafkaException(error)
    say(f"error: {error.str()}")


def numbers(partitions: list[Any]) -> str:
    listed = ",".join(str(number) for number in sorted(partition.partition for partition in partitions))
    return f"{len(partitions)} partitions: {listed or 'none'}"


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main() -> int:
    """Run one consumer until it is told to stop; answers the exit code."""
    try:
        worker = Worker(Settings.from_environment(os.environ))
    except ValueError as error:
        print(f"consumer: {error}", file=sys.stderr)
        return 2
    except KafkaException as error:  # a setting that librdkafka refuses
        print(f"consumer: {error.args[0].str()}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"consumer: {error}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    try:
        worker.run()
    except KafkaException as error:
        print(f"consumer: {error.args[0].str()}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"consumer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
