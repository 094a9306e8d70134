"""Looking on at a run about once a second: the topic, the group, the sender, the safe rate, and the quota."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_STORED, Consumer, KafkaException, TopicPartition

from benchmarks import backpressure_scene as scene
from benchmarks.backpressure_figures import Moment, Told
from benchmarks.backpressure_senders import Sender
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import quotas
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Entity
from tests.demo.timeline import Sample
from tests.faults.api import Api, Refused
from tests.faults.layout import DIRECT_SERVERS
from tests.faults.programs import WorldFailed
from tests.faults.shop import SCALERS
from tests.faults.workload import Workload

EVERY_SECONDS, QUOTA_SECONDS, SAY_SECONDS = 1.0, 3.0, 10.0
ANSWER_SECONDS, BLIND_SECONDS, READ_SECONDS = 5.0, 20.0, 90.0
PRODUCER = Entity(client_id=scene.CLIENT_ID)
NOTHING = Told(None, None, False, "")


@dataclass
class Onlooker:
    """Sees one run; `url` is where the safe rate is told."""

    name: str
    api: Api
    workload: Workload
    url: str
    moments: list[Moment] = field(default_factory=list)
    _quota: int | None = None
    _quota_at: float = -math.inf

    def __post_init__(self) -> None:
        self._reader = Consumer({"bootstrap.servers": DIRECT_SERVERS, "group.id": self.name, "log_level": 2})

    def watch(self, sender: Sender, seconds: float, say: Callable[[str], None]) -> None:
        """From now on, for so long. Raises WorldFailed when nothing is seen for BLIND_SECONDS."""
        began = seen_at = tick = time.monotonic()
        said_at = began
        while time.monotonic() < began + seconds:
            with suppress(KafkaException):
                self.moments.append(self._moment(began, sender))
                seen_at = time.monotonic()
            if time.monotonic() > seen_at + BLIND_SECONDS:
                raise WorldFailed(f"{self.name}: nothing seen for {BLIND_SECONDS:.0f} s")
            if self.moments and time.monotonic() >= said_at:
                said_at += SAY_SECONDS
                say(spoken(self.moments[-1]))
            tick = max(tick + EVERY_SECONDS, time.monotonic())
            time.sleep(max(0.0, tick - time.monotonic()))

    def _moment(self, began: float, sender: Sender) -> Moment:
        committed = self._offsets(OFFSET_STORED)
        ends = self._offsets(OFFSET_END)
        at = time.monotonic() - began
        seen, status = sender.seen(), self._status()
        replicas = self.workload.replicas(self.name) or 0
        sample = Sample(at, ends, committed, replicas, replicas, str(status.get("lastDecision", "")))
        sustained = status.get("safeRate", {}).get("sustainedRecordsPerSecond")
        return Moment(sample, seen, told(self.url, sustained), self._held(at))

    def _held(self, at: float) -> int | None:
        """What one broker is told; asked for only every QUOTA_SECONDS, as each time costs connections."""
        if self.name in scene.HELD and at >= self._quota_at + QUOTA_SECONDS:
            self._quota, self._quota_at = quota(), at
        return self._quota

    def _offsets(self, which: int) -> tuple[int, ...]:
        """By partition, 0 where none is. Committed ones are to be read first, so that no lag is below 0."""
        asked = [TopicPartition(self.name, partition, which) for partition in range(scene.PARTITIONS)]
        read = self._reader.committed if which == OFFSET_STORED else self._reader.offsets_for_times
        return tuple(max(0, each.offset) for each in read(asked, timeout=ANSWER_SECONDS))

    def _status(self) -> dict[str, Any]:
        with suppress(OSError, Refused):
            return dict(self.api.call("GET", f"{SCALERS}/{self.name}").get("status") or {})
        return {}


def stored(topic: str) -> Counter[int]:
    """How many times each number is in the topic. Raises WorldFailed when it cannot be read to its ends."""
    reader = Consumer({"bootstrap.servers": DIRECT_SERVERS, "group.id": f"{topic}-count", "log_level": 2})
    left: dict[int, int] = {}
    for partition in range(scene.PARTITIONS):
        left[partition] = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=READ_SECONDS)[1]
    reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
    found, until = Counter[int](), time.monotonic() + READ_SECONDS
    while any(left.values()):
        if time.monotonic() > until:
            raise WorldFailed(f"{topic}: {sum(left.values())} records not read within {READ_SECONDS:.0f} s")
        for record in reader.consume(1000, timeout=1.0):
            if record.error() is None and left[record.partition()]:
                left[record.partition()] -= 1
                found[int.from_bytes(record.value()[:8])] += 1
    reader.close()
    return found


def told(url: str, sustained: float | None) -> Told:
    """What the operator tells at this address."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, HTTPException, ValueError):
        return NOTHING
    finally:
        connection.close()
    if answer.status != 200:
        return Told(None, None, False, said.get("reason", ""))
    return Told(said["recordsPerSecond"], sustained, not said["isLowerBound"], said["reason"])


def quota() -> int | None:
    """What one broker is told of our producers, bytes/s; None when it is told nothing."""
    found = quotas.describe(Connection(DIRECT_SERVERS), [PRODUCER], time.monotonic() + ANSWER_SECONDS)
    if isinstance(found, Unknown):
        print(f"the quota is not known: {found.why}", file=sys.stderr)
        return None
    return found.standings[PRODUCER].own


def spoken(moment: Moment) -> str:
    """One line of progress."""
    sample, seen = moment.sample, moment.seen
    return (f"{sample.seconds:4.0f} s: {seen.asked} asked for, {sum(sample.ends)} arrived, {sum(sample.committed)} "
            f"processed, {sample.replicas_spec} replicas, told {moment.told.records}, quota {moment.quota}, "
            f"{seen.queued} queued, {seen.turned_away} turned away, throttled {seen.throttled:g} s "
            f"{dict(seen.failures) or ''}")
