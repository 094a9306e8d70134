"""`diagnose` on made-up samples: what it takes, what it answers, and in which words."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.cli.diagnose import Asked, duration, progress, reported, watch_group
from kafka_consumer_scaler.cli.watching import Watch, workload_of
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, TopicPartition, Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample

ROOT = Path(__file__).parents[2]
NEEDED = ["diagnose", "--bootstrap-servers", "kafka:9092", "--group", "orders"]
T0 = 1_700_000_000.0
HOSTILE = "orders\x1b[2J\n[red]rich[/red]\u202e"
KEYS = ["version", "group", "bootstrapServers", "watched", "objective", "withinObjective", "backlog", "topics",
        "partitions", "lag", "lagSeconds", "arrival", "drain", "capacityPerConsumer", "capacityKnownBy",
        "commitIntervalSeconds", "state", "assignor", "members", "idleMembers", "findings", "explanation",
        "recommendation", "message", "notes", "unknown"]

Sampler = Callable[[float], GroupSample]


class ClockOfItsOwn:
    """Time passes while somebody sleeps, and a little while Kafka is asked."""

    def __init__(self) -> None:
        self.at = T0

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def group_of(count: int, partitions: int = 4, state: str = "Stable", assignor: str = "range") -> Group:
    names = [TopicPartition("orders", number) for number in range(partitions)]
    return Group(state, assignor, tuple(Member(f"m{one}", frozenset(names[one::count])) for one in range(count)))


def flow(arrival: float, drain: float, lag: int = 0, members: int = 2, topic: str = "orders",
         group: Group | Unknown | None = None) -> Sampler:
    """Four partitions, each with these rates in records/s and so much lag at the start."""

    def sample(seconds: float) -> GroupSample:
        end, done = 10_000 + lag + int(arrival * seconds), 10_000 + int(drain * seconds)
        readings: dict[TopicPartition, Reading | Unknown] = {
            TopicPartition(topic, number): Reading(end, min(end, done)) for number in range(4)}
        return GroupSample(readings, group_of(members) if group is None else group)

    return sample


def asked(seconds: int = 60, every: int = 5, threads: int = 1, as_json: bool = True, **others: Any) -> Asked:
    policy = Policy(max_replicas=1, mode=Mode.ADVISORY, consumer_threads=threads, polling_interval_seconds=every)
    query = GroupQuery(others.get("group", "orders"), others.get("topics", ()))
    return Asked(Connection("kafka:9092"), query, policy, seconds, every, as_json)


def watch(sampler: Sampler, wanted: Asked, poll_seconds: float = 0.01) -> Watch:
    clock = ClockOfItsOwn()

    async def poll() -> GroupSample:
        clock.at += poll_seconds
        return sampler(clock.at - T0)

    return asyncio.run(watch_group(wanted, poll, clock, lambda watch: None))


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """Diagnoses a flow; the exit code and the object."""

    def answers(sampler: Sampler, **others: Any) -> tuple[int, dict[str, Any]]:
        wanted = asked(**others)
        code = reported(wanted, watch(sampler, wanted))
        return code, json.loads(capsys.readouterr().out)

    return answers


def in_turn(*samplers: Sampler) -> Sampler:
    """One sampler after the other, the last one for ever."""
    row: Iterator[Sampler] = iter(samplers)
    last = [samplers[-1]]

    def sample(seconds: float) -> GroupSample:
        return next(row, last[0])(seconds)

    return sample


def silent(why: str = "no broker answered", reason: Reason = Reason.BROKERS_UNREACHABLE) -> Sampler:
    return lambda seconds: GroupSample.unknown(Unknown(why, reason))


DURATIONS = [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("24h", 86_400), ("1", 1)]


@pytest.mark.parametrize(("word", "seconds"), DURATIONS)
def test_a_duration_is_seconds_minutes_or_hours(word: str, seconds: int) -> None:
    assert duration(word) == seconds


BAD_WORDS = [
    pytest.param([*NEEDED, "--for", word], "--for", id=f"for {word!r}")
    for word in ("", "0", "0s", "-5", "1.5", "5d", "25h", "1e3", "five", "5 s", "٣", "9999999", "\x1b[2J")
] + [
    pytest.param([*NEEDED, "--every", "0"], "--every", id="every"),
    pytest.param(["diagnose", "--group", "orders"], "--bootstrap-servers", id="no brokers"),
    pytest.param(["diagnose", "--bootstrap-servers", "kafka:9092"], "--group", id="no group"),
    pytest.param([*NEEDED, "--bootstrap-servers", "kafka"], "kafka is no comma-separated list", id="no port"),
    pytest.param([*NEEDED, "--bootstrap-servers", "http://kafka:9092"], "host:port", id="a URL"),
    pytest.param([*NEEDED, "--bootstrap-servers", "file:///etc/passwd"], "host:port", id="a file"),
    pytest.param([*NEEDED, "--group", " "], "--group", id="a blank group"),
    pytest.param([*NEEDED, "--topic", "a b"], "'a b' is no name of a topic", id="a topic"),
    pytest.param([*NEEDED, "--topic-pattern", "("], "is not a regular expression", id="a pattern"),
    pytest.param([*NEEDED, "--topic", "a", "--topic-pattern", "a"], "not allowed with", id="topic and pattern"),
    pytest.param([*NEEDED, "--lag-seconds", "0"], "--lag-seconds", id="no objective"),
    pytest.param([*NEEDED, "--lag-seconds", "nan"], "--lag-seconds", id="nan"),
    pytest.param([*NEEDED, "--lag-seconds", "soon"], "--lag-seconds", id="soon"),
    pytest.param([*NEEDED, "--consumer-threads", "0"], "--consumer-threads", id="no threads"),
    pytest.param([*NEEDED, "--consumer-threads", "two"], "--consumer-threads", id="two"),
    pytest.param([*NEEDED, "--offset-reset", "middle"], "--offset-reset", id="reset"),
    pytest.param([*NEEDED, "--isolation-level", "x"], "--isolation-level", id="level"),
    pytest.param([*NEEDED, "-o", "yaml"], "-o", id="output"),
]


@pytest.mark.parametrize(("words", "named"), BAD_WORDS)
def test_bad_words_are_bad_usage_and_named(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert named in shown.err.splitlines()[-1]
    assert "\x1b" not in shown.err
    assert shown.out == ""


def test_an_idle_group_is_within_its_objective(answer: Any) -> None:
    code, found = answer(flow(0, 0))
    assert (code, found["backlog"], found["findings"]) == (0, "CaughtUp", [])
    assert (found["lag"], found["lagSeconds"], found["withinObjective"]) == (0, 0.0, True)
    assert "nothing arrives" in found["recommendation"]["sentence"]


def test_a_group_that_keeps_up_is_within_its_objective(answer: Any) -> None:
    code, found = answer(flow(50, 50))
    assert (code, found["arrival"], found["drain"]) == (0, pytest.approx(200, rel=0.01), pytest.approx(200, rel=0.01))


def test_a_group_over_its_objective_is_told_with_every_key(answer: Any) -> None:
    code, found = answer(flow(50, 10, lag=20_000))
    assert list(found) == KEYS
    assert (code, found["backlog"], found["withinObjective"]) == (3, "Behind", False)
    assert found["lagSeconds"] > 60
    assert (found["capacityPerConsumer"], found["capacityKnownBy"]) == (pytest.approx(20, rel=0.05), "measured")
    assert (found["members"], found["recommendation"]["now"], found["recommendation"]["replicas"]) == (2, 2, 4)
    assert found["recommendation"]["sentence"].startswith("With 4 replicas of this consumer (now 2) the group would")
    assert found["explanation"]["why"]
    assert "spec." not in json.dumps(found["explanation"]), "there is no resource whose spec could be changed"


def test_the_watch_covers_the_time_asked_for_so_that_the_drain_is_known(answer: Any) -> None:
    _, found = answer(flow(50, 10, lag=20_000), seconds=60, every=5)
    assert 60 <= found["watched"]["seconds"] < 61
    assert found["watched"]["polls"] == 13
    assert "drain" not in found["unknown"]


def test_there_are_two_polls_however_short_the_watch(answer: Any) -> None:
    _, found = answer(flow(50, 50), seconds=1, every=30)
    assert (found["watched"]["polls"], found["watched"]["seconds"]) == (2, pytest.approx(30, abs=0.1))


def test_a_poll_that_takes_longer_than_the_interval_leaves_times_out() -> None:
    wanted = asked(seconds=40, every=5)
    assert watch(flow(50, 50), wanted, poll_seconds=7).polls == 5


WORKLOADS = [
    (1, 3, 12, 3, 1), (2, 6, 12, 3, 2), (2, 5, 12, 5, 1), (2, 6, 4, 2, 2), (1, 13, 12, 12, 1), (3, 0, 12, 1, 3),
]


@pytest.mark.parametrize(("threads", "members", "useful", "replicas", "each"), WORKLOADS)
def test_members_stand_for_replicas(threads: int, members: int, useful: int, replicas: int, each: int) -> None:
    wish = Policy(max_replicas=1, consumer_threads=threads)
    policy, found = workload_of(wish, group_of(members), useful)
    assert (found, policy.consumer_threads) == (Replicas(replicas, replicas), each)


@pytest.mark.parametrize(("members", "threads"), [(1, 2), (3, 2), (4, 3), (7, 1), (9, 1), (6, 2)])
def test_no_number_of_members_is_taken_for_replicas_that_do_not_join(answer: Any, members: int, threads: int) -> None:
    """Also not after the ten minutes in which missing consumers are complained about."""
    code, found = answer(flow(50, 50, members=members), threads=threads, seconds=900, every=15)
    assert (code, found["findings"]) == (0, [])


def test_members_that_come_and_go_are_not_taken_for_replicas_that_do_not_join(answer: Any) -> None:
    row = [flow(50, 50, members=count) for count in (4, 4, 2, 3, 1, 2, 2)]
    _, found = answer(in_turn(*row), seconds=600, every=15)
    assert "ReplicasNotJoining" not in [one["name"] for one in found["findings"]]


def test_members_that_are_no_multiple_of_the_threads_are_noted(answer: Any) -> None:
    _, found = answer(flow(50, 50, members=3), threads=2)
    assert found["recommendation"]["consumerThreads"] == 1
    assert "no multiple of 2 consumer threads" in found["notes"][0]


def test_a_group_with_lag_and_no_members_is_found(answer: Any) -> None:
    code, found = answer(flow(10, 0, lag=100, group=Group("Empty")))
    assert (code, [one["name"] for one in found["findings"]]) == (3, ["NoMembers"])
    assert found["recommendation"]["sentence"] == "Nothing can be recommended before the group has a member."


def test_a_group_that_cannot_be_described_is_judged_by_its_lag_alone(answer: Any) -> None:
    refused = Unknown("group orders: not authorized", Reason.NOT_AUTHORIZED)
    code, found = answer(flow(50, 50, group=refused))
    assert (code, found["members"], found["recommendation"]["replicas"]) == (0, None, None)
    assert found["unknown"]["members"] == refused.why
    assert refused.why in found["recommendation"]["sentence"]


@pytest.mark.parametrize(("seconds", "missed"), [
    (60, "RetentionRisk (takes 120 s), HungTransaction (takes 180 s), ProducerSpike and SlowConsumers (take 120 s of "
         "the group caught up)"),
    (150, "HungTransaction (takes 180 s)"),
    (330, None),
])
def test_what_takes_longer_than_was_watched_is_noted(answer: Any, seconds: int, missed: str | None) -> None:
    _, found = answer(flow(50, 50), seconds=seconds)
    assert found["notes"] == ([] if missed is None else
                              [f"not watched for long enough to find {missed}: see --for"])


def test_a_failed_poll_is_noted_and_does_not_spoil_the_rest(answer: Any) -> None:
    row = [*[flow(50, 50)] * 12, silent("the broker\x1b went away")]
    code, found = answer(in_turn(*row))
    assert (code, found["watched"]["failedPolls"], found["lag"]) == (0, 1, 0)
    assert found["notes"][:-1] == [r"1 of 13 polls failed, the last one because: the broker\x1b went away"]


HOPELESS = [
    pytest.param(silent(), "no broker answered", id="no broker"),
    pytest.param(silent("group orders: not authorized", Reason.NOT_AUTHORIZED), "not authorized", id="no permission"),
    pytest.param(silent("no such group, and no topics are declared", Reason.NO_COMMITTED_OFFSETS),
                 "no such group, and no --topic was given", id="no group"),
    pytest.param(silent("group orders is a share group, which is not served yet", Reason.GROUP_TYPE_NOT_SUPPORTED),
                 "group orders is a share group", id="a share group"),
    pytest.param(flow(0, 0, group=Group("Dead")), "group orders does not exist", id="a dead group"),
]


@pytest.mark.parametrize(("sampler", "why"), HOPELESS)
def test_what_the_next_poll_would_say_again_fails_at_once_in_one_line(
    sampler: Sampler, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = asked(seconds=3600)
    seen = watch(sampler, wanted)
    assert seen.polls == 1
    assert reported(wanted, seen) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert why in shown.err


def test_a_coordinator_that_moves_is_asked_again(answer: Any) -> None:
    moving = silent("its coordinator did not answer in time", Reason.COORDINATOR_UNAVAILABLE)
    code, found = answer(in_turn(moving, flow(50, 50)))
    assert (code, found["watched"]["failedPolls"]) == (0, 1)


def test_a_coordinator_that_never_comes_back_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = asked(seconds=20)
    seen = watch(silent("its coordinator did not answer", Reason.COORDINATOR_UNAVAILABLE), wanted)
    assert (seen.polls, reported(wanted, seen)) == (5, 1)
    assert "its coordinator did not answer" in capsys.readouterr().err


def interrupted_after(polls: int, sampler: Sampler) -> Watch:
    clock = ClockOfItsOwn()

    async def poll() -> GroupSample:
        clock.at += 1
        if clock.at - T0 > polls:
            raise asyncio.CancelledError
        return sampler(clock.at - T0)

    async def no_sleep(seconds: float) -> None: ...

    clock.sleep = no_sleep  # type: ignore[method-assign]
    return asyncio.run(watch_group(asked(seconds=3600), poll, clock, lambda watch: None))


def test_an_interrupt_tells_what_is_known_by_then(capsys: pytest.CaptureFixture[str]) -> None:
    seen = interrupted_after(5, flow(50, 50))
    assert (seen.polls, reported(asked(), seen)) == (5, 0)
    found = json.loads(capsys.readouterr().out)
    assert (found["watched"]["interrupted"], found["notes"][0]) == (True, "interrupted after 4 s")


@pytest.mark.parametrize(("polls", "why"), [(0, "interrupted before Kafka had answered"), (1, "only one sample")])
def test_an_interrupt_before_anything_can_be_judged_is_a_failure(
    polls: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reported(asked(), interrupted_after(polls, flow(50, 10, lag=500))) == 1
    shown = capsys.readouterr().err
    assert why in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_hostile_names_reach_a_terminal_escaped(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Group(HOSTILE, HOSTILE, (Member(HOSTILE, frozenset({TopicPartition(HOSTILE, 0)})),))
    wanted = asked(group=HOSTILE, as_json=as_json)
    assert reported(wanted, watch(flow(50, 10, lag=20_000, topic=HOSTILE, group=hostile), wanted)) == 3
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]rich[/red]" in shown
    if as_json:
        assert json.loads(shown)["group"] == HOSTILE


def test_the_text_says_what_the_object_says(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = asked(as_json=False)
    assert reported(wanted, watch(flow(50, 10, lag=20_000), wanted)) == 3
    shown = capsys.readouterr().out
    first, *rows = shown.splitlines()
    assert first == "Group orders: Behind, over the objective of 60 s"
    told = {" ".join(row[2:25].split()): row[25:].strip() for row in rows[:10]}
    assert told["topics"] == "orders (4 partitions, 89,600 behind)"
    assert told["lag"] == "89,600 records on 4 partitions"
    assert told["arrival"] == "200/s"
    assert told["capacity per consumer"] == "20/s (measured while they were busy)"
    assert told["members"] == "2; the group is Stable"
    assert told["watched"] == "60 s, 13 polls of kafka:9092"
    assert "Recommendation\n  - With 4 replicas of this consumer (now 2)" in shown


def test_members_without_a_partition_take_nothing_from_the_others(answer: Any) -> None:
    """Four busy members of 50 records/s get 50 each, beside three spare ones: all is well."""
    code, found = answer(flow(50, 50, lag=500, members=7), seconds=200)
    assert (code, found["findings"], found["idleMembers"]) == (0, [], 3)
    assert (found["recommendation"]["now"], found["recommendation"]["replicas"]) == (4, 4)


def test_the_page_tells_of_every_key_in_its_order() -> None:
    rows = (ROOT / "docs/diagnose.md").read_text().split("## The object\n", 1)[1]
    cells = re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == KEYS


class Screen(io.StringIO):
    """What is a terminal, and keeps what was written to it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("screen", "shown"), [(Screen, r"watching orders\x1b"), (io.StringIO, "")])
def test_a_terminal_sees_how_far_it_is_and_a_pipe_does_not(
    screen: type[io.StringIO], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = screen()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    with progress(asked(group="orders\x1b")) as tell:
        tell(watch(flow(50, 50), asked()))
    assert shown in stderr.getvalue()
    assert bool(stderr.getvalue()) == bool(shown)
