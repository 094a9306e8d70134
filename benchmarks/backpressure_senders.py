"""Those that want to send twice what is sustainable, each in a thread, and what they see of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import aiohttp
from confluent_kafka import Producer

from benchmarks import backpressure_scene as scene
from benchmarks.backpressure_figures import Seen
from kafka_consumer_scaler.pacing import PacedProducer, RateSource, WhenFull
from tests.environment.model import REPOSITORY
from tests.faults.layout import DIRECT_SERVERS, HOST, Layout
from tests.faults.programs import Program, WorldFailed, await_that

TICK_SECONDS, LINGER_MS = 0.25, 250
"""Few and fuller batches: what a request costs the brokers is not what is measured."""
INGEST_PORT = 8000
START_SECONDS, ANSWER_SECONDS = 60.0, 5.0
REQUESTS_AT_ONCE = 8
CLIENT: Final = {"bootstrap.servers": DIRECT_SERVERS, "client.id": scene.CLIENT_ID, "log_level": 0,
                 "statistics.interval.ms": 1000}
"""All else is as librdkafka has it; the statistics are how the throttle time is seen."""
NONE: Final[Mapping[str, Any]] = {}
FILLING: Final = os.urandom(scene.RECORD_BYTES - 8)


def record(number: int) -> bytes:
    """A value that begins with its number."""
    return number.to_bytes(8) + FILLING


def keys() -> tuple[str, ...]:
    """One key for each partition, as librdkafka spreads keys: `crc32(key) % partitions`."""
    found: dict[int, str] = {}
    for number in range(1000):
        found.setdefault(zlib.crc32(str(number).encode()) % scene.PARTITIONS, str(number))
    return tuple(found[partition] for partition in range(scene.PARTITIONS))


class Pulse:
    """Records are wanted evenly, whatever becomes of them."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.asked = 0

    def due(self) -> range:
        """The numbers of the records that are due and were not asked for before."""
        before, self.asked = self.asked, int((time.monotonic() - self._began) * scene.ASKED)
        return range(before, self.asked)


class Sender:
    """Sends from `start` to `stop`. `promised` are the numbers of the records that it was told are taken care of."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.promised: set[int] = set()
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def stop(self) -> None:
        """No more is asked for."""
        self.stopping.set()
        self._thread.join(START_SECONDS)

    def run(self) -> None:
        """Until it is stopping."""
        raise NotImplementedError

    def seen(self) -> Seen:
        """What it has seen so far."""
        raise NotImplementedError


class Direct(Sender):
    """A producer in this process: confluent_kafka's, or a PacedProducer that returns False when there is no room."""

    def __init__(self, topic: str, source: RateSource | None = None, more: Mapping[str, Any] = NONE) -> None:
        super().__init__()
        self._topic, self._source, self._throttled = topic, source, 0.0
        settings = {**CLIENT, **more, "stats_cb": self._told}
        self._producer: Any = Producer(settings)
        if source is not None:
            self._producer = PacedProducer(settings, source, when_full=WhenFull.RETURN)

    def run(self) -> None:
        if self._source is not None:
            self._source.start()
        pulse = Pulse()
        while not self.stopping.wait(TICK_SECONDS):
            for number in pulse.due():
                self._send(number)
            self._producer.poll(0)
            self.counts["asked"] = pulse.asked
        if self._source is not None:
            self._source.close()

    def seen(self) -> Seen:
        counts = self.counts
        return Seen(counts["asked"], counts["turned away"], counts["acknowledged"], dict(self.failures),
                    len(self._producer), self._throttled)

    def _send(self, number: int) -> None:
        try:
            is_taken = self._producer.produce(self._topic, record(number), partition=number % scene.PARTITIONS,
                                              on_delivery=self._delivered) is not False
        except BufferError:
            self.failures["BufferError"] += 1
            return
        self.counts["turned away"] += not is_taken

    def _delivered(self, error: Any, message: Any) -> None:
        if error is None:
            self.counts["acknowledged"] += 1
            self.promised.add(int.from_bytes(message.value()[:8]))
        else:
            self.failures[error.name()] += 1

    def _told(self, statistics: str) -> None:
        """Milliseconds, over the last second, of each broker: the worst of them counts."""
        brokers = json.loads(statistics)["brokers"].values()
        self._throttled = max((each["throttle"]["max"] for each in brokers if each["nodeid"] >= 0), default=0) / 1000


class Entry(Sender):
    """Clients of examples/http_ingest.py that never wait, whatever Retry-After says; the program ends with this one."""

    def __init__(self, topic: str, url: str, layout: Layout) -> None:
        super().__init__()
        variables = {"KAFKA_BOOTSTRAP_SERVERS": DIRECT_SERVERS, "TOPIC": topic, "SAFE_RATE_URL": url,
                     "PORT": str(INGEST_PORT), "COMPRESSION": "none", "LINGER_MS": str(LINGER_MS),
                     "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "operator"), str(REPOSITORY)))}
        argv = (sys.executable, str(REPOSITORY / "examples" / "http_ingest.py"))
        self._program = Program("http-ingest", argv, layout.log("http-ingest"), variables)
        self._keys = keys()

    def start(self) -> None:
        """Once the service is there. Raises WorldFailed."""
        self._program.start()
        await_that(lambda: self._health() is not None, "http_ingest.py", START_SECONDS)
        super().start()

    def stop(self) -> None:
        """The service sends what it has taken."""
        super().stop()
        self._program.kill(15)

    def run(self) -> None:
        asyncio.run(self._drive())

    def seen(self) -> Seen:
        counts, health = self.counts, self._health() or {}
        return Seen(counts["asked"], counts["HTTP 429"], health.get("acknowledged", 0), dict(self.failures),
                    health.get("queued", 0), 0.0)

    def _health(self) -> dict[str, Any] | None:
        connection = HTTPConnection(HOST, INGEST_PORT, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/healthz")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    async def _drive(self) -> None:
        pulse, running = Pulse(), set[asyncio.Task[None]]()
        connector = aiohttp.TCPConnector(limit=REQUESTS_AT_ONCE)
        async with aiohttp.ClientSession(f"http://{HOST}:{INGEST_PORT}", connector=connector) as session:
            while not self.stopping.is_set():
                for number in pulse.due():
                    task = asyncio.create_task(self._post(session, number))
                    running.add(task)
                    task.add_done_callback(running.discard)
                self.counts["asked"] = pulse.asked
                await asyncio.sleep(TICK_SECONDS / 5)
            await asyncio.gather(*running)

    async def _post(self, session: aiohttp.ClientSession, number: int) -> None:
        key = {"key": self._keys[number % scene.PARTITIONS]}
        try:
            async with session.post("/records", params=key, data=record(number)) as answer:
                self._answered(number, answer)
        except aiohttp.ClientError as error:
            self.failures[type(error).__name__] += 1

    def _answered(self, number: int, answer: aiohttp.ClientResponse) -> None:
        self.counts[f"HTTP {answer.status}"] += 1
        if answer.status == 202:
            self.promised.add(number)
        elif answer.status != 429:
            self.failures[f"HTTP {answer.status}"] += 1


def sender(name: str, url: str, layout: Layout) -> Sender:
    """The sender of a run, which follows the safe rate at this address if it follows one."""
    match name:
        case scene.QUOTAS:
            return Direct(name)
        case scene.SETTINGS:
            return Direct(name, more=scene.GUIDED)
        case scene.PACED:
            return Direct(name, RateSource(url))
        case scene.ENTRY:
            return Entry(name, url, layout)
    raise WorldFailed(f"no run {name}")
