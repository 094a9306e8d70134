"""The polling process dies, hangs, floods, leaks and outlives nobody: shown with real processes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import polling_process, supervised_child
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.polling_process import COMMAND, PollingProcess
from kafka_consumer_scaler.kafka.recycling import MIB, Recycling, resident_bytes
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from tests.ports import refusing
from tests.waiting import until

QUERIES = [GroupQuery(f"nobody-{uuid.uuid4().hex}"), GroupQuery(f"nothing-{uuid.uuid4().hex}")]


@pytest.fixture
def nobody() -> Iterator[Connection]:
    """A broker's address where nobody listens."""
    with refusing() as port:
        yield Connection(f"127.0.0.1:{port}")


@asynccontextmanager
async def running(
    command: Sequence[str] = COMMAND, hang_seconds: float = 60, recycling: Recycling | None = None
) -> AsyncIterator[PollingProcess]:
    process = PollingProcess(command, hang_seconds, recycling)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


def reasons(samples: Sequence[GroupSample]) -> set[Reason]:
    assert all(isinstance(sample.partitions, Unknown) for sample in samples), samples
    return {sample.partitions.reason for sample in samples if isinstance(sample.partitions, Unknown)}


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before or while it is read
        return False


def threads_of(pid: int | None) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def works(process: PollingProcess) -> None:
    """Return once the child has a client, with its threads."""
    await until(lambda: threads_of(process.pid) > 4)


def why(samples: Sequence[GroupSample]) -> str:
    return samples[0].partitions.why if isinstance(samples[0].partitions, Unknown) else ""


async def test_an_unreachable_cluster_is_told_within_the_deadline_with_its_cause(nobody: Connection) -> None:
    """One that hangs is given up a minute later. The cause is known once the client has tried to connect."""
    async with running() as process:
        began = time.monotonic()
        samples = await process.poll(nobody, QUERIES, 2)
        assert time.monotonic() - began < 30
        for _ in range(10):
            assert len(samples) == 2
            assert reasons(samples) == {Reason.BROKERS_UNREACHABLE}
            if "Connection refused" in why(samples):
                break
            samples = await process.poll(nobody, QUERIES, 2)
    assert "Connection refused" in why(samples)


@pytest.mark.cluster
async def test_a_silent_cluster_delays_no_other(nobody: Connection, kafka_bootstrap_servers: str) -> None:
    there = Connection(kafka_bootstrap_servers)
    async with running() as process:
        slow = asyncio.create_task(process.poll(nobody, QUERIES, 60))
        await process.poll(there, QUERIES, 30)
        assert reasons(await process.poll(there, QUERIES, 30)) == {Reason.NO_COMMITTED_OFFSETS}
        assert not slow.done()


async def test_a_killed_child_makes_polls_unknown_and_comes_back(nobody: Connection) -> None:
    async with running() as process:
        first = process.pid
        assert first is not None
        polls = [asyncio.create_task(process.poll(nobody, QUERIES, 60)) for _ in range(3)]
        await works(process)
        os.kill(first, signal.SIGKILL)
        for poll in polls:
            assert reasons(await asyncio.wait_for(poll, 30)) == {Reason.POLLING_PROCESS_DIED}
        assert reasons(await process.poll(nobody, QUERIES, 2)) == {Reason.POLLING_PROCESS_DIED}
        await until(lambda: process.pid is not None)
        assert process.pid != first
        assert process.restarts == 1
        assert reasons(await process.poll(nobody, QUERIES, 2)) == {Reason.BROKERS_UNREACHABLE}


async def test_a_child_that_does_not_answer_is_killed_and_replaced(nobody: Connection) -> None:
    async with running(hang_seconds=0.5) as process:
        hung = process.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        assert reasons(await process.poll(nobody, QUERIES, 0.5)) == {Reason.POLLING_PROCESS_DIED}
        await until(lambda: not is_alive(hung))
        await until(lambda: process.restarts == 1)
        await until(lambda: process.pid not in {None, hung})


async def test_a_child_that_dies_at_once_is_restarted_ever_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each child writes down when it began: the next one begins a pause after its end at the earliest."""
    monkeypatch.setattr(polling_process, "FIRST_PAUSE_SECONDS", 0.2)
    file = tmp_path / "begun"
    begins = f"import time; print(time.monotonic(), file=open({str(file)!r}, 'a'))"
    async with running((sys.executable, "-I", "-S", "-c", begins)) as process:
        await until(lambda: process.restarts >= 4)
    begun = [float(line) for line in file.read_text().split()]
    apart = [later - earlier for earlier, later in pairwise(begun)]
    assert all(seconds >= pause for seconds, pause in zip(apart, (0.2, 0.4, 0.8), strict=False)), apart
    assert len(apart) >= 3


async def test_signals_for_the_whole_process_group_do_not_end_the_child(nobody: Connection) -> None:
    async with running() as process:
        assert process.pid is not None
        assert reasons(await process.poll(nobody, QUERIES, 1)) == {Reason.BROKERS_UNREACHABLE}
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGTERM)
        assert reasons(await process.poll(nobody, QUERIES, 1)) == {Reason.BROKERS_UNREACHABLE}


async def test_stopping_ends_the_child_even_while_it_polls(
    nobody: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised_child, "STOP_SECONDS", 60.0)
    process = PollingProcess()
    await process.start()
    child = process._child
    assert child is not None
    poll = asyncio.create_task(process.poll(nobody, QUERIES, 60))
    await works(process)
    await process.stop()
    assert not is_alive(child.pid)
    assert child.status == 0, "it ended by itself"
    assert reasons(await poll) == {Reason.POLLING_PROCESS_DIED}


OPERATOR = """
import asyncio
from kafka_consumer_scaler.kafka.polling_process import PollingProcess

async def main():
    process = PollingProcess()
    await process.start()
    print(process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_child_ends_when_its_operator_is_killed() -> None:
    operator = await asyncio.create_subprocess_exec(sys.executable, "-c", OPERATOR, stdout=asyncio.subprocess.PIPE)
    assert operator.stdout is not None
    child = int(await operator.stdout.readline())
    assert is_alive(child)
    operator.kill()
    await operator.wait()
    await until(lambda: not is_alive(child))


async def test_a_request_for_ten_thousand_groups_passes(nobody: Connection) -> None:
    queries = [GroupQuery(f"group-{number}" + "x" * 100) for number in range(10_000)]
    async with running() as process:
        samples = await process.poll(nobody, queries, 1)
    assert len(samples) == 10_000
    assert reasons(samples) == {Reason.BROKERS_UNREACHABLE}


ANSWERS_TEN_THOUSAND_PARTITIONS = """
import os, sys
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition
from kafka_consumer_scaler.kafka.polling_child import Answers, messages
from kafka_consumer_scaler.kafka.sample import GroupSample

readings = {TopicPartition("orders", number): Reading(2**62, number) for number in range(10_000)}
for message in messages(sys.stdin.buffer):
    Answers(sys.stdout.buffer).send(message["id"], [GroupSample(readings, Group("Stable"))])
"""


async def test_an_answer_with_ten_thousand_partitions_passes(nobody: Connection) -> None:
    async with running((sys.executable, "-c", ANSWERS_TEN_THOUSAND_PARTITIONS)) as process:
        [sample] = await process.poll(nobody, QUERIES[:1], 60)
    assert not isinstance(sample.partitions, Unknown)
    assert len(sample.partitions) == 10_000


async def test_what_the_child_says_on_stderr_is_logged_but_a_flood_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """All that it said has been read once its end is known."""
    flood = "import sys; [print('line', n, file=sys.stderr) for n in range(1000)]"
    with caplog.at_level(logging.WARNING, logger="kafka_consumer_scaler.kafka"):
        async with running((sys.executable, "-c", flood)):
            await until(lambda: any("ended with status" in message for message in caplog.messages))
    lines = [message for message in caplog.messages if message.startswith("polling process: line")]
    assert lines[:60] == [f"polling process: line {number}" for number in range(60)]
    assert len(lines) <= 120, "the next child, or another minute, may begin with some"


async def test_a_forgotten_cluster_loses_its_client_and_may_come_back(nobody: Connection) -> None:
    async with running() as process:
        await process.poll(nobody, QUERIES, 1)
        assert threads_of(process.pid) > 4
        process.forget(nobody)
        await until(lambda: threads_of(process.pid) == 1)
        assert reasons(await process.poll(nobody, QUERIES, 1)) == {Reason.BROKERS_UNREACHABLE}


LEAKS = """
import sys, time
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition
from kafka_consumer_scaler.kafka.polling_child import Answers, messages
from kafka_consumer_scaler.kafka.sample import GroupSample

leaked, size, pause = [], int(sys.argv[1]), float(sys.argv[2])
sample = GroupSample({TopicPartition("orders", 0): Reading(9, 7)}, Group("Stable"))
for message in messages(sys.stdin.buffer):
    leaked.append(b"x" * size)
    time.sleep(pause)
    Answers(sys.stdout.buffer).send(message["id"], [sample] * len(message["queries"]))
"""
QUICK = Recycling(look_seconds=0.05, settled_seconds=0.5, growth=1.0, margin_bytes=32 * MIB)


def leaking(size: int, pause: float = 0.0) -> tuple[str, ...]:
    return (sys.executable, "-c", LEAKS, str(size), str(pause))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory")
async def test_a_child_that_leaks_is_replaced_and_no_sample_is_lost(
    nobody: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[asyncio.Task[list[GroupSample]]] = []
    async with running(leaking(2 * MIB, pause=0.02), recycling=QUICK) as process:
        first = process.pid
        assert first is not None
        while process.recycles == 0:
            assert len(asked) < 1000
            asked += [asyncio.create_task(process.poll(nobody, QUERIES, 60)) for _ in range(2)]
            await asyncio.sleep(0.03)
        asked.append(asyncio.create_task(process.poll(nobody, QUERIES, 60)))
        samples = [sample for poll in asked for sample in await poll]
        assert process.pid != first
        await until(lambda: not is_alive(first))
        assert (process.restarts, process.recycles) == (0, 1)
    assert {type(sample.partitions) for sample in samples} == {dict}
    [line] = [message for message in caplog.messages if "grown" in message]
    assert line.endswith("MiB: another one takes its place")
    assert not [message for message in caplog.messages if "ended with status" in message]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory")
async def test_a_child_is_replaced_for_a_leak_at_most_once_an_hour(
    nobody: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each child may have 32 MiB more than when it was first measured, and the second one has far more."""
    measured: list[int | Unknown] = []

    def measure(pid: int) -> int | Unknown:
        measured.append(resident_bytes(pid))
        return measured[-1]

    monkeypatch.setattr(polling_process, "resident_bytes", measure)
    async with running(leaking(4 * MIB), recycling=replace(QUICK, settled_seconds=0)) as process:
        first = process.pid
        while process.recycles == 0:
            await process.poll(nobody, QUERIES, 60)
        assert process.pid not in {None, first}
        for _ in range(60):
            await process.poll(nobody, QUERIES, 60)
        before = len(measured)
        await until(lambda: len(measured) >= before + 3)
        assert process.recycles == 1


async def test_stopping_ends_a_child_that_was_replaced_and_still_polls(
    nobody: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised_child, "STOP_SECONDS", 0.2)
    law = Recycling(look_seconds=0.02, settled_seconds=0, growth=0.0, margin_bytes=0)
    process = PollingProcess(leaking(0, pause=60.0), recycling=law)
    await process.start()
    first, poll = process.pid, asyncio.create_task(process.poll(nobody, QUERIES, 30))
    assert first is not None
    await until(lambda: process.recycles == 1)
    assert is_alive(first)
    await process.stop()
    assert not is_alive(first)
    assert reasons(await poll) == {Reason.POLLING_PROCESS_DIED}


async def test_a_poll_that_is_cancelled_at_the_moment_of_its_answer_is_cancelled() -> None:
    """Else a worker that is told to end goes on polling, and the operator never stops."""
    child = await supervised_child.Child.started(COMMAND)
    asked = asyncio.create_task(child.ask({"queries": []}, 30))
    await until(lambda: bool(child._pending))
    (answer,) = child._pending.values()
    answer.set_result([])
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await child.end()
