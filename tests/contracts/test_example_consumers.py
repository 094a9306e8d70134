"""What the consumers and the producer of examples/ promise, as processes of their own on a real broker."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.consumers import PARTITIONS, ROOT, TIMES_AT_LEAST, Consumers, learn, program, topics
from tests.trials import in_one_of_several_trials
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster
SECONDS = 35.0
RATE, KEYS = 1200, 40
BATCHING, ASYNCHRONOUS = "batch_consumer.py", "async_consumer.py"
QUICK = {"WORK_SECONDS": "0.02", "BATCH_RECORDS": "100", "CONCURRENCY": "16", "COMMIT_INTERVAL": "0.2"}
OVERTAKEN = ["slow"] * 100 + [f"key-{number}" for number in range(300)]


class Line(NamedTuple):
    """A record that was done, as a consumer has written it down when it was."""

    partition: int
    offset: int
    key: str
    value: str


def done(file: Path) -> list[Line]:
    """All whole lines so far."""
    text = file.read_text() if file.exists() else ""
    rows = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [Line(int(partition), int(offset), key, value) for partition, offset, key, value in rows]


class Scene:
    """A topic, the group of the same name, and the examples that work on it."""

    def __init__(self, servers: str, folder: Path) -> None:
        self.servers, self.folder = servers, folder
        self.topic = f"example-{uuid.uuid4().hex[:10]}"
        self.running: list[subprocess.Popen[str]] = []

    def start(self, name: str, **variables: str) -> subprocess.Popen[str]:
        self.running.append(program(name, self.servers, self.topic, variables, subprocess.PIPE))
        return self.running[-1]

    def run(self, name: str, **variables: str) -> tuple[int, str]:
        """The exit code and what was said on stderr."""
        started = self.start(name, **variables)
        _, words = started.communicate(timeout=PATIENCE_SECONDS)
        return started.returncode, words

    def produce(self, keys: list[str], partition: int = 0) -> None:
        """A record for each key; its value is its number."""
        producer = Producer({"bootstrap.servers": self.servers})
        for number, key in enumerate(keys):
            producer.produce(self.topic, str(number), key, partition)
        assert producer.flush(PATIENCE_SECONDS) == 0

    def committed(self) -> dict[int, int]:
        """By partition, 0 where nothing is."""
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": self.topic})
        found = reader.committed([TopicPartition(self.topic, number) for number in range(PARTITIONS)], timeout=60)
        reader.close()
        return {each.partition: max(0, each.offset) for each in found}

    def ends(self) -> dict[int, int]:
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": self.topic})
        ends = {number: reader.get_watermark_offsets(TopicPartition(self.topic, number), timeout=60)[1]
                for number in range(PARTITIONS)}
        reader.close()
        return ends

    def clear(self) -> None:
        for each in self.running:
            if each.poll() is None:
                each.kill()
            each.communicate()


@pytest.fixture
def scene(kafka_bootstrap_servers: str, tmp_path: Path) -> Iterator[Scene]:
    one = Scene(kafka_bootstrap_servers, tmp_path)
    with topics(one.servers, [one.topic]):
        yield one
        one.clear()


def numbers(*found: list[Line]) -> set[int]:
    return {int(line.value) for lines in found for line in lines}


def skipped(lines: list[Line], committed: dict[int, int]) -> set[tuple[int, int]]:
    """Partition and offset of what is committed and was not done."""
    below = {(partition, offset) for partition, end in committed.items() for offset in range(end)}
    return below - {(line.partition, line.offset) for line in lines}


def test_the_operator_learns_that_batches_and_awaited_calls_are_worth_more_than_three_plain_consumers(
    kafka_bootstrap_servers: str,
) -> None:
    """Ratios of one run in which all three share the machine; absolute rates are the machine's."""
    def are_worth_more() -> None:
        found = Consumers(learn(kafka_bootstrap_servers, SECONDS))
        print(found.text())
        times = found.times()
        assert times["batching"] >= TIMES_AT_LEAST
        assert times["asynchronous"] >= TIMES_AT_LEAST
        assert found.is_good

    in_one_of_several_trials(are_worth_more)


@pytest.mark.parametrize("name", [BATCHING, ASYNCHRONOUS])
def test_no_record_is_lost_when_a_second_consumer_joins_and_the_first_is_told_to_stop(name: str, scene: Scene) -> None:
    """More is produced than one can do, so that both are at work when the first is told."""
    one, two = scene.folder / "one", scene.folder / "two"
    producer = scene.start("batch_producer.py", RATE=str(RATE), KEYS=str(KEYS))
    first = scene.start(name, OUTPUT=str(one), **QUICK)
    eventually(lambda: len(done(one)) > 300)
    second = scene.start(name, OUTPUT=str(two), **QUICK)
    eventually(lambda: len(done(two)) > 100)
    first.terminate()
    assert first.wait(PATIENCE_SECONDS) == 0
    producer.terminate()
    assert producer.wait(PATIENCE_SECONDS) == 0
    ends = scene.ends()
    assert numbers(done(one)) - numbers(done(two)), "the first did its part"
    eventually(lambda: scene.committed() == ends)
    second.terminate()
    assert second.wait(PATIENCE_SECONDS) == 0
    assert set(range(sum(ends.values()))) - numbers(done(one), done(two)) == set()
    assert is_in_order(done(one))


def is_in_order(lines: list[Line]) -> bool:
    """Whether a consumer that has got no partition back did the records of each key in their order, and none twice."""
    by_key = defaultdict[str, list[int]](list)
    for line in lines:
        by_key[line.key].append(int(line.value))
    return len(by_key) > 1 and all(values == sorted(set(values)) for values in by_key.values())


@pytest.mark.parametrize("name", [BATCHING, ASYNCHRONOUS])
def test_a_consumer_that_is_told_to_stop_commits_all_that_it_has_done_and_no_more(name: str, scene: Scene) -> None:
    """What later records have overtaken is finished first: it is all committed."""
    output = scene.folder / "output"
    scene.produce(OVERTAKEN)
    consumer = scene.start(name, OUTPUT=str(output), **{**QUICK, "BATCH_RECORDS": "30", "COMMIT_INTERVAL": "60"})
    eventually(lambda: len(done(output)) > 310)
    consumer.terminate()
    assert consumer.wait(PATIENCE_SECONDS) == 0
    assert len(done(output)) == scene.committed()[0] > 310
    assert skipped(done(output), scene.committed()) == set()


def test_work_that_does_not_end_in_time_is_abandoned_and_not_committed(scene: Scene) -> None:
    output = scene.folder / "output"
    scene.produce(["a", "b", "b", "c"])
    consumer = scene.start(ASYNCHRONOUS, OUTPUT=str(output), WORK_SECONDS="30")
    assert consumer.stdout is not None
    assert "assigned [0, 1, 2, 3]" in consumer.stdout.readline()
    time.sleep(1)  # the records are in work by now, which does not show; told before, it would have nothing to abandon
    consumer.terminate()
    assert consumer.wait(PATIENCE_SECONDS) == 0
    assert done(output) == []
    assert sum(scene.committed().values()) == 0


@pytest.mark.parametrize("name", [BATCHING, ASYNCHRONOUS])
def test_a_consumer_that_is_killed_has_committed_nothing_that_it_has_not_done(name: str, scene: Scene) -> None:
    """The records of one key take ten seconds, one after the other, while hundreds of later ones overtake them."""
    output = scene.folder / "output"
    scene.produce(OVERTAKEN)
    consumer = scene.start(name, OUTPUT=str(output), **{**QUICK, "BATCH_RECORDS": "30", "WORK_SECONDS": "0.1"})
    eventually(lambda: len(done(output)) > 310)
    eventually(lambda: scene.committed()[0] > 0)
    consumer.send_signal(signal.SIGKILL)
    consumer.wait()
    lines, committed = done(output), scene.committed()
    assert skipped(lines, committed) == set()
    assert 0 < committed[0] < len(lines) + 1
    if name == ASYNCHRONOUS:
        assert committed[0] < 100 < max(line.offset for line in lines), "later records had overtaken"


def test_work_that_takes_longer_than_a_poll_is_waited_for_with_partitions_paused(scene: Scene) -> None:
    output = scene.folder / "output"
    scene.produce([f"key-{number}" for number in range(10)])
    slow = {"WORK_SECONDS": "0.8", "IN_FLIGHT": "2", "CONCURRENCY": "2", "COMMIT_INTERVAL": "0.2"}
    consumer = scene.start(ASYNCHRONOUS, OUTPUT=str(output), **slow)
    eventually(lambda: len(done(output)) == 10)
    consumer.terminate()
    assert consumer.wait(PATIENCE_SECONDS) == 0
    assert sorted(line.offset for line in done(output)) == list(range(10))
    assert scene.committed()[0] == 10


@pytest.mark.parametrize("name", [BATCHING, ASYNCHRONOUS])
def test_what_could_not_be_done_downstream_is_not_committed_and_ends_the_consumer_with_one_line(
    name: str, scene: Scene
) -> None:
    scene.produce(["a", "b", "b", "c"])
    code, words = scene.run(name, OUTPUT="/dev/full", **QUICK)
    assert (code, words) == (1, f"{name.removesuffix('.py')}: [Errno 28] No space left on device\n")
    assert sum(scene.committed().values()) == 0


def test_the_producer_that_is_told_to_stop_sends_what_it_still_holds(scene: Scene) -> None:
    producer = scene.start("batch_producer.py", RATE="400", LINGER_MS="900", COMPRESSION="zstd", KEYS="7")
    eventually(lambda: sum(scene.ends().values()) > 100)
    producer.terminate()
    assert producer.wait(PATIENCE_SECONDS) == 0
    values = values_of(scene)
    assert sorted(values) == list(range(len(values)))


def values_of(scene: Scene) -> list[int]:
    reader = Consumer({"bootstrap.servers": scene.servers, "group.id": scene.topic, "enable.auto.commit": False})
    reader.assign([TopicPartition(scene.topic, number, 0) for number in range(PARTITIONS)])
    total, found = sum(scene.ends().values()), list[int]()
    while len(found) < total:
        found += [int(record.value()) for record in reader.consume(1000, timeout=1)]
    reader.close()
    return found


@pytest.mark.parametrize(("name", "variables", "line"), [
    (BATCHING, {"BATCH_RECORDS": "0"}, "BATCH_RECORDS must be a number between 1 and 1000000, not '0'"),
    (BATCHING, {"GROUP": ""}, "GROUP is not set"),
    (ASYNCHRONOUS, {"CONCURRENCY": "1.5"}, "CONCURRENCY must be a whole number, not '1.5'"),
    (ASYNCHRONOUS, {"WORK_SECONDS": "nan"}, "WORK_SECONDS must be a number between 0 and 1000000, not 'nan'"),
    (ASYNCHRONOUS, {"OUTPUT": "/no/such/file"}, "[Errno 2] No such file or directory: '/no/such/file'"),
    ("batch_producer.py", {"RATE": "fast"}, "RATE must be a number between 0 and 1000000, not 'fast'"),
])  # fmt: skip
def test_a_bad_environment_is_one_line_that_names_the_variable(name: str, variables: dict[str, str], line: str) -> None:
    where = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "TOPIC": "orders", "GROUP": "orders"}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], env={**where, **variables},
        capture_output=True, text=True, timeout=PATIENCE_SECONDS)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, f"{name.removesuffix('.py')}: {line}\n")


def test_a_setting_that_the_client_refuses_is_one_line() -> None:
    where = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "TOPIC": "orders", "COMPRESSION": "zip"}
    ended = subprocess.run([sys.executable, str(ROOT / "examples" / "batch_producer.py")],
                           env=where, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert ended.returncode == 2
    assert ended.stderr.startswith("batch_producer: ")
    assert "compression" in ended.stderr
    assert ended.stderr.count("\n") == 1
