"""The last looks at each resource: bounded, forgotten in time, served, and enough to decide the same again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.api.snapshots import Look, looks_of
from kafka_consumer_scaler.cli.replay import verdict_line
from kafka_consumer_scaler.control.fleet import Fleet
from kafka_consumer_scaler.control.health import Health
from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Reading, Replicas, Snapshot, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.kafka.sample import GroupSample
from kafka_consumer_scaler.kube.target import Target
from tests.control.fakes import NoMetrics, Outside, reconciler, resolver, resource, sample
from tests.waiting import until
from tests.world import World, blind, without

SPEC: dict[str, Any] = {
    "target": {"lagPerReplica": 500}, "pollingIntervalSeconds": 5, "maxReplicas": 8,
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "cooldownSeconds": 30}},
}


@dataclass
class Moving(Outside):
    """An outside in which time passes while one works, as in life."""

    def now(self) -> float:
        self.time += 0.013
        return self.time


@dataclass
class Heard(NoMetrics):
    """The verdicts that the operator reports."""

    verdicts: list[Verdict] = field(default_factory=list)

    def observe_verdict(self, namespace: str, name: str, verdict: Verdict, policy: Policy) -> None:
        self.verdicts.append(verdict)


@dataclass
class Run:
    """One resource, its outside and its recording."""

    outside: Outside
    recorder: Recorder
    heard: Heard
    registry: Registry
    body: Reconciler

    @property
    def watched(self) -> Watched:
        return self.registry.all()[0]

    async def look(self, said: GroupSample, seconds: float = 5.0) -> None:
        self.outside.time += seconds
        assert self.watched.subject is not None
        await self.body.reconcile(self.watched, self.watched.subject, said)

    def looks(self) -> tuple[Look, ...]:
        return self.recorder.looks("u1")


def start(most: int, outside: Outside | None = None, **spec: Any) -> Run:
    outside, recorder, heard = outside or Outside(), Recorder(most), Heard()
    registry = Registry(outside, on_forget=lambda gone: recorder.forget(gone.uid))
    registry.put(resource(**{**SPEC, **spec}))
    return Run(outside, recorder, heard, registry, replace(reconciler(outside, registry, recorder), metrics=heard))


@pytest.mark.parametrize("number", ["-1", "10001", "many"])
@pytest.mark.parametrize("is_flag", [True, False])
def test_a_number_of_looks_that_makes_no_sense_is_bad_usage(
    number: str, is_flag: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_flag:
        monkeypatch.setenv("KCS_RECORD_SNAPSHOTS", number)
    try:
        code: Any = main(["run", *(["--record-snapshots", number] if is_flag else [])])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "--record-snapshots" in capsys.readouterr().err


async def test_nothing_is_kept_unless_asked_for() -> None:
    run = start(0)
    await run.look(sample(0))
    assert run.looks() == ()
    assert not run.recorder.is_on


async def test_the_newest_looks_are_kept() -> None:
    run = start(3)
    for lag in range(7):
        await run.look(sample(lag))
    assert [seen.snapshot.partitions for seen in run.looks()] == [sample(lag).partitions for lag in (4, 5, 6)]


async def test_only_the_first_line_carries_the_memory_that_it_was_decided_with() -> None:
    run = start(3)
    for _ in range(5):
        await run.look(sample(0))
    first, *others = [json.loads(line) for line in run.recorder.lines("u1")]
    assert first["memory"]["version"] == 1
    assert [other for other in others if "memory" in other] == []


async def test_the_looks_are_forgotten_with_the_resource() -> None:
    run = start(3)
    await run.look(sample(0))
    run.registry.drop("u1")
    assert run.looks() == ()


async def test_a_resource_that_is_dropped_while_it_is_looked_at_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(target: Target) -> Replicas | Unknown:
        run.registry.drop("u1")
        return Replicas(1, 1)

    run = start(3)
    monkeypatch.setattr(run.outside, "read", read)
    await run.look(sample(500))
    assert run.looks() == ()


async def test_another_group_begins_a_new_recording_and_another_limit_does_not() -> None:
    run = start(9)
    await run.look(sample(0))
    run.registry.put(resource(**SPEC | {"maxReplicas": 9}, generation=2))
    await run.look(sample(0))
    assert len(run.looks()) == 2
    run.registry.put(resource(**SPEC, generation=3, consumerGroup="others"))
    await run.look(sample(0))
    assert len(run.looks()) == 1


async def test_of_a_change_that_was_decided_twice_only_the_final_look_is_kept() -> None:
    run = start(9)
    await run.look(sample(0))
    run.outside.replicas = Replicas(3, 3)
    await run.look(sample(500, members=3))
    assert [seen.replicas for seen in run.looks()] == [Replicas(1, 1), Replicas(3, 3)]
    assert run.outside.writes == [(3, 4)]


async def test_a_decision_that_fails_is_recorded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Verdict:
        raise ZeroDivisionError

    run = start(9)
    monkeypatch.setattr("kafka_consumer_scaler.control.reconcile.decide", fails)
    with pytest.raises(ZeroDivisionError):
        await run.look(sample(0))
    assert len(run.looks()) == 1


async def test_what_was_carried_out_is_told_and_what_was_refused_is_not() -> None:
    run = start(9)
    run.outside.refusal = Unknown("out of reach", Reason.API_SERVER_UNREACHABLE)
    await run.look(sample(500))
    run.outside.refusal = None
    await run.look(sample(500))
    lines = [json.loads(line) for line in run.recorder.lines("u1")]
    assert lines[0]["scaled"] is None
    assert lines[1]["scaled"]["to"] == 4


def spoilt(number: int, snapshot: Snapshot) -> Snapshot:
    """In the first half a leader is silent now and then, or the brokers, or the coordinator."""
    if number > 75:
        return snapshot
    if number % 13 == 5:
        return without(2)(snapshot)
    if number % 17 in (7, 8):
        return blind(snapshot)
    if number % 29 == 11:
        return replace(snapshot, group=Unknown("the coordinator is silent", Reason.COORDINATOR_UNAVAILABLE))
    return snapshot


async def lived_through(run: Run) -> None:
    """A quarter of an hour with a surge, a lull, a refused write, a scaling by hand and a target that is away."""
    world = World(Policy(max_replicas=8), lambda at: 700.0 if 100 < at < 300 else 20.0, partitions=6)
    for number in range(180):
        world.replicas = world.ready = run.outside.replicas.spec if isinstance(run.outside.replicas, Replicas) else 1
        for _ in range(5):
            world.at += 1
            world._produce_and_consume()
        refused = Unknown("out of reach", Reason.API_SERVER_UNREACHABLE)
        run.outside.refusal = refused if number in (21, 22, 23) else None
        if number == 60:
            run.outside.replicas = Replicas(2, 2)
        kept = run.outside.replicas
        run.outside.replicas = refused if number in (40, 41) else kept
        seen = spoilt(number, world.snapshot())
        await run.look(GroupSample(seen.partitions, seen.group))
        run.outside.replicas = kept if number in (40, 41) else run.outside.replicas


async def short_and_changing(run: Run) -> None:
    """An uncommitted group, a partition that comes, partitions that go, a recreated topic."""
    first, second = TopicPartition("orders", 0), TopicPartition("old.orders", 3)
    for readings in (
        {first: Reading(900, Uncommitted(), 100)}, {first: Reading(1900, 900, 100), second: Reading(5000, 10, 0)},
        {first: Reading(2900, 900, 100), second: Reading(5000, 10, 0)}, {first: Reading(2900, 2900, 100)},
        {first: Reading(5, 5, 0)}, {first: Reading(3000, 5, 0)}, {},
    ):
        await run.look(GroupSample(readings, Group("Stable", "range")))


@pytest.mark.parametrize("story", [lived_through, short_and_changing])
async def test_what_was_decided_in_a_recorded_run_is_what_replay_answers(
    story: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(1000, Moving())
    run.registry.drop("u1")
    scales = [{"at": run.outside.time - 40, "before": 2, "after": 1}]
    run.registry.put({**resource(**SPEC), "status": {"memory": json.dumps({"version": 1, "scales": scales})}})
    await story(run)
    assert len(run.heard.verdicts) == len(run.looks())
    assert story is not lived_through or len(run.outside.writes) > 2, "a run in which nothing is scaled proves little"
    told = [verdict_line(*pair) for pair in zip(run.looks(), run.heard.verdicts, strict=True)]
    answered = replayed(tmp_path, run, capsys)
    for before, after in zip(told, answered, strict=True):
        if before["message"].startswith("Scaling failed"):
            before["message"] = after["message"]
        assert after == before


async def test_a_recording_that_has_dropped_its_beginning_starts_from_the_memory_of_its_first_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(3)
    await run.look(sample(500))
    for _ in range(4):
        await run.look(sample(900))
    assert len(run.looks()) == 3
    told = [type(verdict.decision).__name__ for verdict in run.heard.verdicts[-3:]]
    assert [line["decision"] for line in replayed(tmp_path, run, capsys)] == told


def replayed(folder: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    (folder / "scaler.yaml").write_text(json.dumps(run.watched.body))
    (folder / "looks.jsonl").write_text("".join(run.recorder.lines("u1")))
    assert main(["replay", "--scaler", str(folder / "scaler.yaml"), str(folder / "looks.jsonl")]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
async def served(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Run, str]]:
    """A run whose looks are served at an address."""
    run = start(request.param)
    fleet = Fleet(run.registry, run.outside, run.body, run.outside, run.heard, run.outside,
                  resolver(run.registry))
    health = Health(run.registry, fleet, run.outside, lambda: b"", run.recorder)
    runner = await health.serve(0)
    port = next(port for host, port, *_ in runner.addresses if host == "0.0.0.0")  # IPv6 has a port of its own
    try:
        yield run, f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def get(address: str) -> tuple[int, str, bytes]:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize("served", [5], indirect=True)
async def test_the_looks_are_served_as_json_lines(served: tuple[Run, str]) -> None:
    run, address = served
    for lag in (0, 500, 600):
        await run.look(sample(lag))
    status, kind, body = await get(f"{address}/debug/scalers/shop/orders/snapshots")
    assert (status, kind) == (200, "application/x-ndjson")
    assert [seen.snapshot for seen in looks_of(body.splitlines())] == [seen.snapshot for seen in run.looks()]


@pytest.mark.parametrize(("served", "name", "words"), [
    (5, "nobody", "no KafkaConsumerScaler shop/nobody is watched here"),
    (5, "%1b[31m", r"no KafkaConsumerScaler shop/\x1b[31m is watched here"),
    (0, "orders", "recording is off: run the operator with --record-snapshots N"),
], indirect=["served"])
async def test_what_is_not_there_is_told_in_one_line(served: tuple[Run, str], name: str, words: str) -> None:
    status, _, body = await get(f"{served[1]}/debug/scalers/shop/{name}/snapshots")
    assert status == 404
    assert body.decode().startswith(words)
    assert body.count(b"\n") == 1


@pytest.mark.parametrize("served", [500], indirect=True)
async def test_whoever_leaves_before_the_last_look_leaves_no_error_in_the_log(
    served: tuple[Run, str], caplog: pytest.LogCaptureFixture
) -> None:
    run, address = served
    for _ in range(100):
        await run.look(sample(500))
    before = asyncio.all_tasks()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(b"GET /debug/scalers/shop/orders/snapshots HTTP/1.1\r\nHost: operator\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.transport.abort()
    await until(lambda: asyncio.all_tasks() <= before)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
