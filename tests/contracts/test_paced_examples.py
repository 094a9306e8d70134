"""PacedProducer, and the examples that follow the safe rate, on a real broker and by real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import aiohttp
import pytest
from confluent_kafka import Consumer, TopicPartition

from benchmarks.consumers import PARTITIONS, ROOT, topics
from kafka_consumer_scaler.pacing import PacedProducer, RateSource, WhenFull
from tests.pacing.endpoint import Endpoint, endpoint
from tests.ports import reserved_port
from tests.trials import awaited_in_one_of_several_trials
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster


@dataclass
class Scene:
    """A topic, an operator's endpoint, and programs that end with the test."""

    servers: str
    operator: Endpoint
    topic: str = field(default_factory=lambda: f"paced-{uuid.uuid4().hex[:10]}")
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, name: str, **variables: str) -> subprocess.Popen[str]:
        where = {"KAFKA_BOOTSTRAP_SERVERS": self.servers, "TOPIC": self.topic, "SAFE_RATE_URL": self.operator.url}
        self.running.append(subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / name)], env={**os.environ, **where, **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return self.running[-1]

    def stored(self) -> int:
        """Records in the topic."""
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": self.topic})
        ends = [reader.get_watermark_offsets(TopicPartition(self.topic, number), timeout=60)[1]
                for number in range(PARTITIONS)]
        reader.close()
        return sum(ends)

    def clear(self) -> None:
        for each in self.running:
            if each.poll() is None:
                each.kill()
            each.communicate()


@pytest.fixture
def scene(kafka_bootstrap_servers: str) -> Iterator[Scene]:
    with endpoint() as operator:
        one = Scene(kafka_bootstrap_servers, operator)
        with topics(one.servers, [one.topic]):
            yield one
            one.clear()


def ended(program: subprocess.Popen[str]) -> tuple[int, str]:
    """After SIGTERM: its exit code and what it said."""
    program.send_signal(signal.SIGTERM)
    said, words = program.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in words
    return program.returncode, said


# the producer


def test_the_broker_gets_the_rate_and_one_burst_and_every_record_that_was_taken(scene: Scene) -> None:
    scene.operator.says_rate(200.0)
    reports: Counter[bool] = Counter()
    with RateSource(scene.operator.url) as source:
        producer = PacedProducer({"bootstrap.servers": scene.servers, "linger.ms": 5}, source, burst_seconds=0.1)
        began = time.monotonic()
        while time.monotonic() - began < 3:
            producer.produce(scene.topic, b"x", on_delivery=lambda error, _: reports.update([error is None]))
        seconds = time.monotonic() - began
        assert producer.flush(PATIENCE_SECONDS) == 0
    assert reports == {True: scene.stored()}
    assert 0.2 * 200 * seconds < scene.stored() <= 200 * seconds + 20 + 1


def test_a_queue_that_the_broker_empties_takes_records_again(scene: Scene) -> None:
    scene.operator.says_rate(None)
    settings = {"bootstrap.servers": scene.servers, "queue.buffering.max.messages": 50, "linger.ms": 1}
    with RateSource(scene.operator.url) as source:
        waiting = PacedProducer(settings, source)
        assert all(waiting.produce(scene.topic, b"x") for _ in range(500))
        returning = PacedProducer(settings, source, when_full=WhenFull.RETURN)
        taken = [returning.produce(scene.topic, b"x") for _ in range(200)]
        assert waiting.flush(PATIENCE_SECONDS) == returning.flush(PATIENCE_SECONDS) == 0
    assert False in taken
    assert scene.stored() == 500 + taken.count(True)


# the batching producer


def test_the_batching_producer_follows_the_rate_and_says_where_it_comes_from(scene: Scene) -> None:
    scene.operator.says_rate(100.0, pollAfterSeconds=1)
    began = time.monotonic()
    program = scene.start("paced_producer.py", LINGER_MS="5")
    assert program.stdout is not None
    assert "published: 100 records/s: 5 consumers of 100/s" in program.stdout.readline()
    eventually(lambda: scene.stored() > 200)
    before = scene.stored()
    assert before <= 100 * (time.monotonic() - began) + 110
    scene.operator.says_rate(2000.0, pollAfterSeconds=1)
    eventually(lambda: scene.stored() > before + 2000)
    code, said = ended(program)
    assert code == 0
    assert "published: 2000 records/s" in said
    assert f"{scene.stored()} of {scene.stored()} records acknowledged" in said


def test_without_an_operator_it_sends_at_the_configured_rate(scene: Scene) -> None:
    scene.operator.code = 503
    program = scene.start("paced_producer.py", OTHERWISE="50", RECORDS="75", LINGER_MS="5")
    began = time.monotonic()
    said, words = program.communicate(timeout=PATIENCE_SECONDS)
    assert (program.returncode, "Traceback" in words) == (0, False)
    assert "configured: 50 records/s: the endpoint answered 503" in said
    assert time.monotonic() - began > 0.5
    assert scene.stored() == 75


def test_a_share_is_all_that_one_of_several_sends(scene: Scene) -> None:
    scene.operator.says_rate(400.0)
    program = scene.start("paced_producer.py", SHARE="0.25")
    assert program.stdout is not None
    assert "published: 100 records/s" in program.stdout.readline()


@pytest.mark.parametrize(("name", "variables", "line"), [
    ("paced_producer.py", {"SAFE_RATE_URL": ""}, "SAFE_RATE_URL is not set"),
    ("paced_producer.py", {"SAFE_RATE_URL": "file:///a"}, "SAFE_RATE_URL or SHARE: the URL must begin with http:// or "
                                                          "https://, not 'file:///a'"),
    ("http_ingest.py", {"SHARE": "2"}, "SAFE_RATE_URL or SHARE: the share must be above 0 and up to 1, not 2.0"),
    ("http_ingest.py", {"PORT": "70000"}, "PORT must be a number up to 65535, not 70000"),
])
def test_a_bad_environment_is_one_line_that_names_the_variable(name: str, variables: dict[str, str], line: str) -> None:
    where = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "TOPIC": "orders", "SAFE_RATE_URL": "http://localhost:1/"}
    done = subprocess.run([sys.executable, str(ROOT / "examples" / name)], env={**os.environ, **where, **variables},
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (2, f"{name.removesuffix('.py')}: {line}\n")


# the HTTP service


@dataclass
class Service:
    """http_ingest.py and its port."""

    program: subprocess.Popen[str]
    port: int

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """The status code, and what the answer's body and its headers say."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        answer = connection.getresponse()
        said = {**answer.headers, **json.load(answer)}
        connection.close()
        return answer.status, said

    def post(self, value: bytes, query: str = "") -> tuple[int, dict[str, Any]]:
        return self.ask("POST", f"/records{query}", value)

    def health(self) -> dict[str, Any]:
        return self.ask("GET", "/healthz")[1]

    def is_up(self) -> bool:
        try:
            return bool(self.health())
        except OSError:
            return False


def serving(scene: Scene, **variables: str) -> Service:
    port = reserved_port()
    service = Service(scene.start("http_ingest.py", PORT=str(port), LINGER_MS="5", **variables), port)
    eventually(service.is_up)
    return service


async def posted(port: int, seconds: float, at_once: int) -> tuple[Counter[int], set[str | None]]:
    """How often each code was answered to so many callers who ask without a pause, and what Retry-After said."""
    codes, advised = Counter[int](), set[str | None]()
    until = time.monotonic() + seconds

    async def ask(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < until:
            async with session.post(f"http://127.0.0.1:{port}/records", data=b"x") as answer:
                codes[answer.status] += 1
                if answer.status == 429:
                    advised.add(answer.headers.get("Retry-After"))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(ask(session) for _ in range(at_once)))
    return codes, advised


async def test_the_service_takes_what_the_rate_allows_and_turns_the_rest_away(scene: Scene) -> None:
    scene.operator.says_rate(10.0)
    service = await asyncio.to_thread(serving, scene)
    taken = 0

    async def takes_ten_a_second() -> None:
        nonlocal taken
        began = time.monotonic()
        codes, advised = await posted(service.port, seconds=2, at_once=4)
        seconds, taken = time.monotonic() - began, taken + codes[202]
        assert set(codes) == {202, 429}
        assert 8 * seconds <= codes[202] <= 10 * (seconds + 1) + 1
        assert advised == {"1"}

    await awaited_in_one_of_several_trials(takes_ten_a_second)
    code, said = await asyncio.to_thread(ended, service.program)
    assert code == 0
    assert "0 not sent" in said
    assert await asyncio.to_thread(scene.stored) == taken


def test_a_record_has_the_key_and_the_bytes_that_were_sent(scene: Scene) -> None:
    service = serving(scene, COMPRESSION="none")
    assert service.post(b"\x00\xff\n", "?key=a%20b")[0] == 202
    reader = Consumer({"bootstrap.servers": scene.servers, "group.id": scene.topic, "enable.auto.commit": False})
    reader.assign([TopicPartition(scene.topic, number, 0) for number in range(PARTITIONS)])
    (record,) = reader.consume(1, timeout=PATIENCE_SECONDS)
    reader.close()
    assert (record.key(), record.value()) == (b"a b", b"\x00\xff\n")
    eventually(lambda: service.health().get("acknowledged") == 1)


def test_what_is_not_a_record_is_refused_and_uses_nothing_up(scene: Scene) -> None:
    scene.operator.says_rate(0.0)
    service = serving(scene, RECORD_BYTES_MAX="10")
    code, headers = service.post(b"x" * 11)
    assert (code, headers["reason"]) == (413, "more than 10 bytes")
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as leaving:
        leaving.sendall(b"POST /records HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
    for method, path, refused in (("GET", "/", 404), ("GET", "/records", 405), ("POST", "/healthz", 405)):
        assert service.ask(method, path)[0] == refused
    assert service.post(b"x" * 10)[0] == 202, "the burst of one record is there still"
    code, headers = service.post(b"x")
    assert (code, headers["retry-after"]) == (429, "60")
    assert headers["reason"] == "the published rate is 0 records/s: 5 consumers of 100/s"
    assert service.health()["turned away"] == 1


def test_without_an_operator_the_service_takes_everything(scene: Scene) -> None:
    scene.operator.code = 404
    service = serving(scene)
    assert [service.post(b"x")[0] for _ in range(30)] == [202] * 30
    assert service.health()["origin"] == "unlimited"
