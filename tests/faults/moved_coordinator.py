"""Three brokers whose group coordinators move while the groups are polled: python -m tests.faults.moved_coordinator.

Prints one line for each poll: the seconds since the move, and why groups were not known, if so. It ends
once all groups were known, or after a minute. Root on Linux; it runs in namespaces of its own, which end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from functools import partial
from operator import ne
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.sample import GroupQuery
from tests.environment.plan import is_ready
from tests.environment.progress import Progress
from tests.faults import brokers, parts
from tests.faults.brokers import OFFSETS_TOPIC
from tests.faults.kafka_faults import move_leaders
from tests.faults.layout import BROKERS, DIRECT_SERVERS, HOST, Layout, direct_port
from tests.faults.programs import await_that
from tests.faults.spaces import bring_up_loopback, enter

INSIDE = "KAFKA_CONSUMER_SCALER_MOVED_COORDINATOR_INSIDE"
GROUPS = ("orders", "payments", "refunds")
START_SECONDS, LOOK_SECONDS, INTERVAL_SECONDS, DEADLINE_SECONDS = 180.0, 60.0, 1.0, 5.0
RESIGN_SECONDS = 3.0
"""The one before knows of it when it has read the metadata."""


def main() -> int:
    """Run it; answers the exit code."""
    if not os.environ.get(INSIDE):
        return enter(__spec__.name, (), {INSIDE: "1"})
    bring_up_loopback()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        asyncio.run(_look_on(_started(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _started(folder: Path) -> brokers.Admin:
    layout = Layout(folder, parts.build(Progress()))
    (folder / "logs").mkdir()
    for program in brokers.programs(layout).values():
        program.start()
    for number in BROKERS:
        await_that(partial(is_ready, f"tcp:{HOST}:{direct_port(number)}"), f"broker {number}", START_SECONDS)
    admin = brokers.Admin()
    await_that(admin.is_whole, "brokers in sync", START_SECONDS)
    admin.make_topics({"orders": 1})
    await_that(admin.is_whole, "brokers in sync", START_SECONDS)
    for group in GROUPS:
        await_that(partial(_has_committed, group), f"a commit of {group}", START_SECONDS)
    await_that(admin.is_whole, "brokers in sync", START_SECONDS)
    return admin


def _has_committed(group: str) -> bool:
    consumer = Consumer({"bootstrap.servers": DIRECT_SERVERS, "group.id": group, "enable.auto.commit": False})
    try:
        consumer.commit(offsets=[TopicPartition("orders", 0, 0)], asynchronous=False)
    except KafkaException:  # the coordinator is made with the first commit ever
        return False
    finally:
        consumer.close()
    return True


async def _look_on(admin: brokers.Admin) -> None:
    process = PollingProcess()
    await process.start()
    try:
        while await _unknown(process):
            await asyncio.sleep(INTERVAL_SECONDS)
        await asyncio.to_thread(_move, admin)
        moved = time.monotonic()
        unknown = ["not looked at yet"]
        while unknown and time.monotonic() - moved < LOOK_SECONDS:
            unknown = await _unknown(process)
            print(f"{time.monotonic() - moved:.1f} {'; '.join(unknown) or 'known'}", flush=True)
            await asyncio.sleep(INTERVAL_SECONDS)
    finally:
        await process.stop()


def _move(admin: brokers.Admin) -> None:
    """Return once each group has another coordinator and the one before knows it."""
    before = [admin.coordinator(group) for group in GROUPS]
    move_leaders(admin, OFFSETS_TOPIC, 1, lambda: await_that(admin.is_whole, "brokers in sync", START_SECONDS))
    await_that(lambda: all(map(ne, before, _coordinators(admin))), "all coordinators moved", START_SECONDS)
    time.sleep(RESIGN_SECONDS)


def _coordinators(admin: brokers.Admin) -> list[int]:
    with contextlib.suppress(KafkaException):
        return [admin.coordinator(group) for group in GROUPS]
    return []


async def _unknown(process: PollingProcess) -> list[str]:
    """Why members or offsets of groups are not known. A request without an answer would have the client replaced."""
    queries = [GroupQuery(group, ("orders",)) for group in GROUPS]
    samples = await process.poll(Connection(DIRECT_SERVERS), queries, DEADLINE_SECONDS)
    said = [one for sample in samples for one in (sample.group, sample.partitions)]
    return [one.why for one in said if isinstance(one, Unknown)]


if __name__ == "__main__":
    sys.exit(main())
