"""What the operator learns of the example consumers: one call downstream for a record, for a batch, or many at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from benchmarks.cluster import BenchmarkFailed, wait_until
from benchmarks.report import RESULTS, machine
from benchmarks.section import Section
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Mode, OffsetReset, Policy
from kafka_consumer_scaler.core.snapshot import Replicas, Snapshot
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.lag_source import GroupQuery, LagSource
from kafka_consumer_scaler.kafka.sample import GroupSample
from kafka_consumer_scaler.simulation.report import markdown
from tests.environment import Environment
from tests.environment.progress import Progress

ROOT: Final = Path(__file__).parents[1]
LEARNED: Final = Section(ROOT / "docs" / "consumers.md", "consumers")
BATCHES: Final = Section(LEARNED.page, "batches")
PARTITIONS, ARRIVAL = 4, 100
SECONDS = 75.0
"""Long enough to be busy for a window, after which a capacity counts as learned."""
JOIN_SECONDS, READY_SECONDS = 15.0, 30.0
TIMES_AT_LEAST = 3.0
LINGERS_MS, BATCHED_RATE = (0, 5, 50, 500), 400


@dataclass(frozen=True)
class Kind:
    """An example, what it is given, and the records/s that it cannot exceed by its settings."""

    name: str
    program: str
    settings: Mapping[str, str]
    most: float


CALL = {"WORK_SECONDS": "0.01", "COMMIT_INTERVAL": "1"}
KINDS: Final = (
    Kind("plain", "consumer.py", CALL, 100),
    Kind("batching", "batch_consumer.py", {**CALL, "BATCH_RECORDS": "500", "RECORD_SECONDS": "0.0005"}, 2000),
    Kind("asynchronous", "async_consumer.py", {**CALL, "CONCURRENCY": "16"}, 1600),
)


@dataclass
class Watched:
    """One group under the operator's eye: what it saw, remembers and believes."""

    kind: Kind
    name: str
    history: History = field(default_factory=History)
    memory: Memory = field(default_factory=Memory)

    def policy(self) -> Policy:
        return Policy(PARTITIONS, polling_interval_seconds=1, offset_reset=OffsetReset.EARLIEST, mode=Mode.ADVISORY)

    def query(self) -> GroupQuery:
        return GroupQuery(self.name, topics=(self.name,), offset_reset=OffsetReset.EARLIEST)

    def look(self, sample: GroupSample, at: float) -> None:
        """As the operator does at each poll; with Advisory nothing is ever carried out."""
        self.history = self.history.append(Snapshot(at, sample.partitions, sample.group, sample.details))
        self.memory = decide(self.policy(), self.history, Replicas(1, 1), self.memory, at).memory

    def learned(self) -> Learned:
        """Raises BenchmarkFailed while nothing is known from a busy consumer."""
        found = self.memory.capacity
        if found is None or not (found.learned or found.busy):
            raise BenchmarkFailed(f"{self.kind.program}: no capacity was learned, only {found}")
        return Learned(self.kind.name, self.kind.program, found.per_consumer, found.learned)


@dataclass(frozen=True)
class Learned:
    """The records/s of one consumer, as the operator has learned them; `is_sure` after a busy window."""

    name: str
    program: str
    capacity: float
    is_sure: bool


@dataclass(frozen=True)
class Batch:
    """What a producer puts into one batch of one partition, on average."""

    records: int
    stored_bytes: int

    @property
    def bytes_each(self) -> float:
        return self.stored_bytes / max(1, self.records)


def learn(servers: str, seconds: float, kinds: Sequence[Kind] = KINDS) -> dict[str, Learned]:
    """All of them at once, each with its own topic and a backlog that outlasts the look; polled every second.

    Raises BenchmarkFailed, and KafkaException when there is no broker.
    """
    groups = [Watched(kind, f"example-{kind.name}-{uuid.uuid4().hex[:8]}") for kind in kinds]
    with topics(servers, [group.name for group in groups]), ExitStack() as running:
        for group in groups:
            records = round(group.kind.most * (seconds + JOIN_SECONDS))
            finish(program("batch_producer.py", servers, group.name, {"RATE": "0", "RECORDS": str(records)}))
        for group in groups:
            going_on = program("batch_producer.py", servers, group.name, {"RATE": str(ARRIVAL)})
            consumer = program(group.kind.program, servers, group.name, group.kind.settings)
            running.callback(stop, [going_on, consumer])
        _watch(servers, groups, seconds + JOIN_SECONDS / 2)
    return {group.kind.name: group.learned() for group in groups}


def _watch(servers: str, groups: Sequence[Watched], seconds: float) -> None:
    source, began = LagSource(Connection(servers)), time.monotonic()
    for tick in range(round(seconds)):
        time.sleep(max(0.0, began + tick - time.monotonic()))
        samples = source.poll([group.query() for group in groups], deadline_seconds=5)
        for group, sample in zip(groups, samples, strict=True):
            group.look(sample, time.time())


def batches(servers: str) -> dict[int, Batch]:
    """Producers of the same records that wait for so many milliseconds, all at once. Raises BenchmarkFailed."""
    names = {linger: f"example-linger-{linger}-{uuid.uuid4().hex[:8]}" for linger in LINGERS_MS}
    with topics(servers, list(names.values())):
        how = {"RATE": str(BATCHED_RATE), "RECORDS": str(12 * BATCHED_RATE)}
        running = {
            linger: program("batch_producer.py", servers, name, how | {"LINGER_MS": str(linger)}, subprocess.PIPE)
            for linger, name in names.items()
        }
        return {linger: _batch(finish(each)) for linger, each in running.items()}


def _batch(said: str) -> Batch:
    """Of the last line that tells of them."""
    found = re.findall(r"(\d+) records in (\d+) bytes a batch", said)
    if not found:
        raise BenchmarkFailed("the producer told nothing of its batches")
    return Batch(*map(int, found[-1]))


def program(name: str, servers: str, topic: str, variables: Mapping[str, str],
            stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """An example as a process of its own that ends with this one; the group is named as the topic is."""
    tie = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    where = {"KAFKA_BOOTSTRAP_SERVERS": servers, "TOPIC": topic, "GROUP": topic}
    return subprocess.Popen(
        [*tie, sys.executable, str(ROOT / "examples" / name)], env={**os.environ, **where, **variables}, text=True,
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def stop(running: Iterable[subprocess.Popen[str]]) -> None:
    """SIGTERM to each, and wait. Raises BenchmarkFailed with its own words when one had failed."""
    ended = list(running)
    for each in ended:
        each.terminate()
    for each in ended:
        finish(each)


def finish(running: subprocess.Popen[str]) -> str:
    """Wait for its end and answer what it said. Raises BenchmarkFailed with its own words when it failed."""
    try:
        said, words = running.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        running.kill()
        raise BenchmarkFailed(f"{running.args!r} did not end") from None
    if running.returncode:
        raise BenchmarkFailed(words.strip() or f"{running.args!r} ended with status {running.returncode}")
    return said


@contextmanager
def topics(servers: str, names: Sequence[str]) -> Iterator[None]:
    """A topic for each, removed afterwards with the group of the same name."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 2})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(30)
    try:
        wait_until(lambda: _unled(admin, names), READY_SECONDS)
        yield
    finally:
        for future in [*admin.delete_topics(list(names)).values(), *admin.delete_consumer_groups(list(names)).values()]:
            future.exception(30)


def _unled(admin: AdminClient, names: Sequence[str]) -> str:
    """Why not all partitions can be read yet, by their leaders' own word, or nothing."""
    asked = {TopicPartition(name, number): OffsetSpec.latest() for name in names for number in range(PARTITIONS)}
    told = [future.exception(READY_SECONDS) for future in admin.list_offsets(asked, request_timeout=10).values()]
    return next((str(problem) for problem in told if problem), "")


@dataclass(frozen=True)
class Consumers:
    """The learned capacities of one run: to print, to write, and whether each beats the plain one by enough."""

    learned: Mapping[str, Learned]
    batches: Mapping[int, Batch] = field(default_factory=dict)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: str = field(default_factory=machine)

    @property
    def is_good(self) -> bool:
        return all(times >= TIMES_AT_LEAST for name, times in self.times().items() if name != "plain")

    def times(self) -> dict[str, float]:
        """Each capacity as so many times the plain one's."""
        return {name: each.capacity / self.learned["plain"].capacity for name, each in self.learned.items()}

    def table(self) -> str:
        """The capacities as Markdown."""
        return markdown(
            ("consumer", "program", "records/s, as the operator learned them", "times the plain one"),
            [(name, f"`{each.program}`", f"{each.capacity:,.0f}", f"{self.times()[name]:.1f}")
             for name, each in self.learned.items()])  # fmt: skip

    def table_of_batches(self) -> str:
        """What producers put into a batch, as Markdown."""
        return markdown(
            ("`linger.ms`", "records in a batch", "bytes of a record as it is sent"),
            [(str(linger), str(each.records), f"{each.bytes_each:.0f}") for linger, each in self.batches.items()])

    def text(self) -> str:
        """The tables for a terminal, and whether the goal is met."""
        goal = f"goal {'met' if self.is_good else 'MISSED'}: at least {TIMES_AT_LEAST:g} times the plain one"
        return "\n\n".join([f"consumers ({self.machine})", self.table(), self.table_of_batches(), goal])

    def write(self) -> Path:
        """Write benchmarks/results/consumers.json and the tables of docs/consumers.md; answers the JSON's path."""
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / "consumers.json"
        values = {"benchmark": "consumers", "at": self.at, "machine": self.machine, "times": self.times(),
                  "learned": {name: asdict(each) for name, each in self.learned.items()},
                  "batches": {linger: asdict(each) for linger, each in self.batches.items()}}  # fmt: skip
        file.write_text(json.dumps(values, indent=2) + "\n")
        LEARNED.write(f"Learned on {self.at[:10]} ({self.machine}), all three at once:\n\n{self.table()}")
        BATCHES.write(self.table_of_batches())
        return file


def run(environment: Environment, progress: Progress) -> Consumers:
    """Batches of producers, then all three consumers at once. Raises BenchmarkFailed."""
    try:
        with progress.step("producers that wait for their batches"):
            found = batches(environment.kafka_bootstrap_servers)
        with progress.step(f"three consumers, for {SECONDS:.0f} seconds"):
            return Consumers(learn(environment.kafka_bootstrap_servers, SECONDS), found)
    except KafkaException as problem:
        raise BenchmarkFailed(problem.args[0].str()) from None
