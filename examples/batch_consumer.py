"""A consumer that does many records with one call downstream, and commits after it. At least once.

Environment:
    KAFKA_BOOTSTRAP_SERVERS, TOPIC, GROUP: where to read from (required).
    BATCH_RECORDS: most records of a batch (default 500).
    BATCH_SECONDS: how long a batch waits to become full (default 0.25).
    WORK_SECONDS: what the call takes whatever it carries, done by sleeping (default 0.01).
    RECORD_SECONDS: what each of its records adds to that (default 0.0005).
    OUTPUT: a file that gets a line `partition offset key value` for each record done (default none).
    ASSIGNOR, OFFSET_RESET: as in consumer.py.

500 records of 0.5 ms in a call of 10 ms are 0.26 s, so up to 1900 records/s, where a call for each makes 95.

It ends with 0 after SIGTERM or SIGINT, 1 after a fatal error, 2 for a bad environment. After a signal it finishes its
batch, commits and leaves; without a broker that would take a session timeout, so SIGALRM ends it after 10 s.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import common
from confluent_kafka import Consumer

CLOSE_SECONDS = 10


@dataclass(frozen=True)
class Downstream:
    """A database with a call for many rows, such as INSERT or COPY. Put your own here; it may raise."""

    call_seconds: float
    record_seconds: float
    output: common.Output

    def write(self, records: list[Any]) -> None:
        time.sleep(self.call_seconds + len(records) * self.record_seconds)
        self.output.write(records)


@dataclass
class Worker:
    """Takes a batch, writes it, commits it, and only then takes the next."""

    consumer: Any
    topic: str
    downstream: Downstream
    batch_records: int
    batch_seconds: float
    stopping: bool = False
    records: int = 0

    def run(self) -> None:
        """Work until `stop`. A batch that cannot be written ends it, uncommitted: whoever comes next does it again."""
        self.consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self.stopping:
                taken = self.consumer.consume(self.batch_records, timeout=self.batch_seconds)
                if batch := [record for record in taken if common.usable(record)]:
                    self.downstream.write(batch)
                    self._done(batch)
        finally:
            self.consumer.close()
            common.say(f"left the group after {self.records} records")

    def stop(self, *_: object) -> None:
        self.stopping = True
        signal.alarm(CLOSE_SECONDS)

    def _done(self, batch: list[Any]) -> None:
        """Rebalances come within `consume` alone: whatever is written is committed before a partition is given away."""
        self.records += len(batch)
        common.store(self.consumer, self.topic, {record.partition(): record.offset() + 1 for record in batch})
        common.commit(self.consumer)

    def _assigned(self, _: Any, partitions: list[Any]) -> None:
        common.say_partitions("assigned", partitions)

    def _revoked(self, _: Any, partitions: list[Any]) -> None:
        common.commit(self.consumer)
        common.say_partitions("revoked", partitions)


def make(env: common.Environment) -> Callable[[], None]:
    """The consumer as the environment wants it. Raises ValueError, OSError or KafkaException for what it cannot be."""
    seconds = common.number(env, "WORK_SECONDS", 0.01), common.number(env, "RECORD_SECONDS", 0.0005)
    downstream = Downstream(*seconds, common.Output(env.get("OUTPUT", "")))
    topic, records = common.required(env, "TOPIC"), common.whole(env, "BATCH_RECORDS", 500)
    batch_seconds = common.number(env, "BATCH_SECONDS", 0.25)
    worker = Worker(Consumer(common.consumer_settings(env)), topic, downstream, records, batch_seconds)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, worker.stop)
    return worker.run


if __name__ == "__main__":
    raise SystemExit(common.main("batch_consumer", make))
