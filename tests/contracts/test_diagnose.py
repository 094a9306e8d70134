"""`diagnose` as its users run it, on groups of a real broker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from tests.contracts.test_lag_source import Cluster, fresh
from tests.trials import in_one_of_several_trials
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster
COMMAND = (sys.executable, "-m", "kafka_consumer_scaler", "diagnose")


class Broker(Cluster):
    """A broker that forgets the groups of these tests."""

    def __init__(self, servers: str) -> None:
        super().__init__(servers)
        self._groups: list[str] = []

    def group(self, what: str) -> str:
        """A name for a group of its own."""
        self._groups.append(fresh(what))
        return self._groups[-1]

    def clear(self) -> None:
        for future in self.admin.delete_consumer_groups(self._groups).values():
            future.exception()
        super().clear()


@pytest.fixture(scope="module")
def broker(kafka_bootstrap_servers: str) -> Iterator[Broker]:
    broker = Broker(kafka_bootstrap_servers)
    yield broker
    broker.clear()


@contextmanager
def in_background(step: Callable[[], None]) -> Iterator[None]:
    """Takes one step after the other in a thread of its own, until the block ends."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            step()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def producing(broker: Broker, topic: str, partitions: int, per_second: int) -> Iterator[None]:
    """So many records/s on each partition, however long a step takes."""
    producer, begun, made = Producer({"bootstrap.servers": broker.servers, "linger.ms": 5}), time.monotonic(), 0

    def step() -> None:
        nonlocal made
        due = round(per_second * (time.monotonic() - begun))
        for _ in range(due - made):
            for partition in range(partitions):
                producer.produce(topic, "some order", partition=partition)
        made = due
        producer.flush(60)
        time.sleep(0.1)

    with in_background(step):
        yield


class Worker:
    """A member of the group that takes its time over each record, and commits every half second.

    Its consumer belongs to its thread alone: `partitions` and `committed` tell the others how far it is.
    """

    def __init__(self, broker: Broker, group: str, topic: str, seconds_a_record: float) -> None:
        self.partitions = self.committed = 0
        self._done, self._commit_at, self._seconds = 0, time.monotonic(), seconds_a_record
        self._consumer = broker.consumer(group)
        self._consumer.subscribe([topic], on_assign=self._assigned)

    def step(self) -> None:
        if self._consumer.poll(0.1) is not None:
            time.sleep(self._seconds)
            self._done += 1
        if self._done > self.committed and time.monotonic() - self._commit_at >= 0.5:
            self._consumer.commit(asynchronous=False)
            self.committed, self._commit_at = self._done, time.monotonic()

    def close(self) -> None:
        self._consumer.close()

    def _assigned(self, _: Consumer, partitions: list[Any]) -> None:
        self.partitions = len(partitions)


@contextmanager
def member(broker: Broker, group: str, topic: str, seconds_a_record: float) -> Iterator[Worker]:
    worker = Worker(broker, group, topic, seconds_a_record)
    try:
        with in_background(worker.step):
            yield worker
    finally:
        worker.close()


def diagnose(servers: str, group: str, *words: str) -> subprocess.CompletedProcess[str]:
    whole = [*COMMAND, "--bootstrap-servers", servers, "--group", group, *words]
    return subprocess.run(whole, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def overrun(broker: Broker) -> Iterator[tuple[str, str]]:
    """A group of two members that get 100 records/s each and do at most 20: its name, and its topic."""
    topic, group = broker.topic(partitions=2), broker.group("overrun")
    with ExitStack() as stack:
        members = [stack.enter_context(member(broker, group, topic, 0.05)) for _ in range(2)]
        eventually(lambda: all(one.partitions == 1 for one in members))
        stack.enter_context(producing(broker, topic, 2, 100))
        eventually(lambda: all(one.committed > 0 for one in members))
        yield group, topic


@pytest.fixture(scope="module", autouse=True)
def deserted(broker: Broker) -> Iterator[Future[subprocess.CompletedProcess[str]]]:
    """The diagnosis of a group with lag and without members, which takes half a minute beside the other tests."""
    topic, group = broker.topic(), broker.group("deserted")
    broker.produce(topic, 20)
    broker.commit(group, topic, 5)
    with ThreadPoolExecutor() as beside:
        yield beside.submit(diagnose, broker.servers, group, "--for", "31s", "--output", "json")


def test_a_healthy_idle_group_is_within_its_objective(broker: Broker) -> None:
    topic, group = broker.topic(partitions=2), broker.group("idle")
    broker.produce(topic, 5)
    with member(broker, group, topic, 0.0) as one:
        eventually(lambda: one.partitions == 2 and one.committed == 5)
        done = diagnose(broker.servers, group, "--for", "4s", "--every", "1s")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Group {group}: CaughtUp, within the objective of 60 s" in done.stdout
    assert f"{topic} (2 partitions, 0 behind)" in done.stdout
    assert "Findings" not in done.stdout


def test_a_growing_backlog_of_slow_members_is_told_in_numbers_and_as_json_the_same(
    broker: Broker, overrun: tuple[str, str]
) -> None:
    in_one_of_several_trials(lambda: shown_in_both_forms(broker, *overrun))


def shown_in_both_forms(broker: Broker, group: str, topic: str) -> None:
    words = ["--for", "12s", "--every", "1s", "--lag-seconds", "3", "--output"]
    with ThreadPoolExecutor() as both:
        asked = [both.submit(diagnose, broker.servers, group, *words, form) for form in ("text", "json")]
    text, plain = (one.result() for one in asked)
    assert (text.returncode, text.stderr, plain.returncode, plain.stderr) == (3, "", 3, "")
    assert_text(text.stdout, group, topic)
    assert_object(json.loads(plain.stdout), group, topic)


def assert_text(shown: str, group: str, topic: str) -> None:
    assert shown.startswith(f"Group {group}: Behind, over the objective of 3 s\n")
    assert f"{topic} (2 partitions, " in shown
    [lag] = [line for line in shown.splitlines() if line.split()[:1] == ["lag"]]
    assert int(lag.split()[1].replace(",", "")) > 500
    assert "- AtPartitionLimit: " in shown


def assert_object(found: dict[str, Any], group: str, topic: str) -> None:
    assert (found["version"], found["group"], found["backlog"]) == (1, group, "Behind")
    assert found["withinObjective"] is False
    assert found["watched"]["polls"] >= 8, "one every 2 s would be 7"
    assert found["watched"]["seconds"] >= 12
    assert [(one["name"], one["partitions"], one["lag"]) for one in found["topics"]] == [(topic, 2, found["lag"])]
    assert found["lag"] > 500
    assert found["lagSeconds"] > 3
    assert 105 < found["arrival"] < 210, "of one partition alone it would be 100"
    assert 10 < found["capacityPerConsumer"] < 25
    assert (found["members"], found["idleMembers"], found["assignor"]) == (2, 0, "range")
    assert found["recommendation"]["now"] == 2
    assert [one["name"] for one in found["findings"]] == ["AtPartitionLimit"]
    assert found["explanation"]["why"]


def test_a_missing_group_is_a_failure_of_one_line(broker: Broker) -> None:
    topic, group = broker.topic(), fresh("missing")
    for words in ([], ["--topic", topic]):
        done = diagnose(broker.servers, group, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"kafka-consumer-scaler diagnose: group {group} does not exist")
        assert done.stderr.count("\n") == 1


def test_a_missing_topic_is_a_failure_that_names_it(broker: Broker) -> None:
    done = diagnose(broker.servers, fresh("any"), "--topic", "no-such-topic-here")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no-such-topic-here" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broker_that_cannot_be_reached_is_a_failure_within_the_deadline() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        servers = f"127.0.0.1:{nobody.getsockname()[1]}"
        done = diagnose(servers, "any", "--for", "1h")  # which is given up long before the hour is over
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no broker of {servers} answered" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interrupt_ends_it_with_what_is_known_and_leaves_no_process(
    broker: Broker, overrun: tuple[str, str]
) -> None:
    """Nothing shows from outside how often it has polled: one that was interrupted too early is given longer."""
    for seconds in (5, 15, 45, 135):
        if interrupted_after(seconds, broker, overrun[0])["watched"]["polls"] >= 3:
            return
    raise AssertionError("fewer than three polls in two minutes")


def interrupted_after(seconds: float, broker: Broker, group: str) -> dict[str, Any]:
    words = ["--bootstrap-servers", broker.servers, "--group", group, "--for", "1h", "--every", "1s", "-o", "json"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *words], stdout=pipe, stderr=pipe, text=True) as process:
        try:
            eventually(lambda: children_of(process.pid) != [])
            time.sleep(seconds)
            children = children_of(process.pid)
            process.send_signal(signal.SIGINT)
            said, complained = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert len(children) == 1
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
    found: dict[str, Any] = json.loads(said or '{"watched": {"polls": 0}}')
    if found["watched"]["polls"] < 3:
        return found
    assert (process.returncode in {0, 3}, complained) == (True, "")
    assert found["watched"]["interrupted"] is True
    assert any(note.startswith("interrupted after ") for note in found["notes"])
    return found


def children_of(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def test_a_group_without_members_and_with_lag_is_found(
    deserted: Future[subprocess.CompletedProcess[str]]
) -> None:
    done = deserted.result()
    assert (done.returncode, done.stderr) == (3, "")
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["findings"]] == ["NoMembers"]
    assert (found["lag"], found["members"], found["state"]) == (15, 0, "Empty")
