"""`replay` through the real command: looks written by hand, and the verdicts that they get."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafka_consumer_scaler.__main__ import main

SCALER: dict[str, Any] = {
    "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
    "kind": "KafkaConsumerScaler",
    "metadata": {"name": "orders", "namespace": "shop"},
    "spec": {
        "scaleTargetRef": {"name": "orders-consumer"}, "kafka": {"bootstrapServers": "kafka:9092"},
        "consumerGroup": "orders", "maxReplicas": 12, "target": {"lagPerReplica": 100},
    },
}
KEYS = ["at", "decision", "replicas", "reason", "backlog", "lag", "lagSeconds", "arrival", "drain",
        "capacityPerConsumer", "findings", "trail", "message"]
EXAMPLE = {
    "at": 12.0,
    "partitions": {"orders/0": {"start": 0, "end": 100, "committed": 40}},
    "group": {"state": "Stable", "assignor": "range", "members": [{"id": "m1", "partitions": ["orders/0"]}]},
    "replicas": {"spec": 2, "ready": 2},
}


def look(at: float, lag: int, replicas: int = 1, partitions: int = 4, **others: Any) -> dict[str, Any]:
    """A stable group of as many members as replicas, with so much lag in all, evenly spread."""
    names = [f"orders/{number}" for number in range(partitions)]
    offsets = {name: {"start": 0, "end": 10_000, "committed": 10_000 - lag // partitions} for name in names}
    members = [{"id": f"m{one}", "partitions": names[one::replicas]} for one in range(replicas)]
    return {
        "at": at, "partitions": offsets, "replicas": {"spec": replicas, "ready": replicas},
        "group": {"state": "Stable", "assignor": "range", "members": members}, **others,
    }  # fmt: skip


@pytest.fixture
def scaler(tmp_path: Path) -> Path:
    path = tmp_path / "scaler.yaml"
    path.write_text(yaml.safe_dump(SCALER))
    return path


@pytest.fixture
def replay(scaler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Replays looks and answers the verdicts."""

    def answers(*looks: dict[str, Any]) -> list[dict[str, Any]]:
        path = tmp_path / "looks.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in looks))
        assert main(["replay", "--scaler", str(scaler), str(path)]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return answers


def command(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "kafka_consumer_scaler", "replay", *words]
    return subprocess.run(whole, input=stdin, capture_output=True, text=True, timeout=60)


def test_each_look_gets_one_line_with_every_field(scaler: Path) -> None:
    done = command("--scaler", str(scaler), "-", stdin=f"{json.dumps(EXAMPLE)}\n\n{json.dumps(EXAMPLE | {'at': 27})}\n")
    assert (done.returncode, done.stderr) == (0, "")
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(verdict) for verdict in verdicts] == [KEYS, KEYS]
    assert [verdict["at"] for verdict in verdicts] == [12.0, 27.0]
    assert [verdict["lag"] for verdict in verdicts] == [60, 60]


def test_a_backlog_is_scaled_up_to_the_partitions(replay: Any) -> None:
    (verdict,) = replay(look(0, lag=2000))
    assert (verdict["decision"], verdict["replicas"], verdict["reason"]) == ("ScaleTo", 4, "ScaledUp")
    assert verdict["lag"] == 2000
    assert verdict["trail"][0].startswith("4 (")
    assert "from 1 to 4" in verdict["message"]


def test_a_group_that_has_caught_up_is_held(replay: Any) -> None:
    *_, verdict = replay(look(0, lag=0), look(15, lag=0))
    assert (verdict["decision"], verdict["replicas"], verdict["backlog"]) == ("Hold", 1, "CaughtUp")


def test_what_is_unknown_is_null_and_nothing_is_changed(replay: Any) -> None:
    partial = look(15, lag=2000, replicas=2)
    del partial["partitions"]["orders/2"]
    silence = {"unknown": "no broker answers", "reason": "BrokersUnreachable"}
    blind = {**look(30, lag=0, replicas=2), "partitions": silence}
    homeless = {**look(45, lag=2000), "replicas": None}
    _, *verdicts = replay(look(0, lag=0, replicas=2), partial, blind, homeless)
    assert [verdict["decision"] for verdict in verdicts] == ["Abstain"] * 3
    assert [verdict["replicas"] for verdict in verdicts] == [2, 2, None]
    assert [verdict["lag"] for verdict in verdicts[:2]] == [None, None]
    assert "orders/2" in verdicts[0]["message"]
    assert (verdicts[1]["reason"], verdicts[1]["backlog"]) == ("BrokersUnreachable", "Unknown")


CARRIED_OUT = [
    pytest.param({}, 2, "CoolingDown", id="the next look has the replicas"),
    pytest.param({}, 1, "ScaledUp", id="the next look has others"),
    pytest.param({"scaled": None}, 2, "ScaledUp", id="someone else did it"),
    pytest.param({"scaled": {"at": 1.0, "to": 2}}, 2, "CoolingDown", id="it was told"),
    pytest.param({"scaled": {"at": 1.0, "to": 3}}, 2, "ScaledUp", id="another change was told"),
]


@pytest.mark.parametrize(("told", "replicas", "reason"), CARRIED_OUT)
def test_a_change_starts_the_cooldown_if_the_file_shows_that_it_was_carried_out(
    replay: Any, told: dict[str, Any], replicas: int, reason: str
) -> None:
    first, second = replay(look(0, lag=200, **told), look(15, lag=2000, replicas=replicas))
    assert (first["decision"], first["replicas"]) == ("ScaleTo", 2)
    assert second["reason"] == reason


def test_the_cooldown_starts_when_the_change_was_carried_out(replay: Any) -> None:
    told: dict[str, Any] = {"scaled": {"at": 14.0, "to": 2}}
    _, early, late = replay(look(0, 200, **told), look(35, 2000, replicas=2), look(45, 2000, replicas=2))
    assert (early["reason"], late["decision"]) == ("CoolingDown", "ScaleTo")


def test_the_memory_of_the_first_look_is_where_it_starts_and_no_other_is_read(replay: Any) -> None:
    memory = {"version": 1, "scales": [{"at": 95.0, "before": 1, "after": 2}]}
    held, free = replay(look(100, 2000, replicas=2, memory=memory), look(126, 2000, replicas=2, memory=memory | {
        "scales": [{"at": 125.0, "before": 1, "after": 2}]}))
    assert (held["decision"], held["reason"]) == ("Hold", "CoolingDown")
    assert (free["decision"], free["replicas"]) == ("ScaleTo", 4)


def test_the_decision_is_made_when_it_was_made(replay: Any) -> None:
    memory = {"version": 1, "scales": [{"at": 95.0, "before": 1, "after": 2}]}
    early, late = (replay(look(100, 2000, replicas=2, memory=memory, decidedAt=at))[0] for at in (124, 126))
    assert [early["decision"], late["decision"]] == ["Hold", "ScaleTo"]
    assert early["at"] == late["at"] == 100.0


def test_the_scaler_may_be_one_of_several_documents_or_what_kubectl_shows(scaler: Path, replay: Any) -> None:
    live = {**SCALER, "status": {"backlog": "Behind"}, "metadata": {**SCALER["metadata"], "uid": "u1", "generation": 3}}
    scaler.write_text(yaml.safe_dump_all([{"kind": "Deployment"}, None, live]))
    assert replay(look(0, lag=2000))[0]["replicas"] == 4


BAD_SCALERS = [
    ("", "there is no KafkaConsumerScaler in it"),
    ("kind: Deployment", "there is no KafkaConsumerScaler in it"),
    ("a: [", "not YAML"),
    ("a: 2026-13-45", "not YAML"),
    ("\x00", "not YAML"),
    (yaml.safe_dump_all([SCALER, SCALER]), "one KafkaConsumerScaler is needed, and there are 2"),
    (yaml.safe_dump(SCALER | {"apiVersion": "v2"}), "apiVersion: v2 is not kafka-consumer-scaler.dev/v1alpha1"),
    (yaml.safe_dump(SCALER | {"spec": {**SCALER["spec"], "maxReplica": 1}}), "spec.maxReplica: unknown field"),
    (yaml.safe_dump(SCALER | {"spec": {**SCALER["spec"], "minReplicas": 99}}), "minReplicas"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD_SCALERS)
def test_a_bad_scaler_is_bad_usage_and_one_line(
    scaler: Path, text: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scaler.write_text(text)
    assert main(["replay", "--scaler", str(scaler), "/dev/null"]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert "scaler.yaml: " in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(("given", "looks"), [("nowhere.yaml", "/dev/null"), ("", "nowhere.jsonl"), ("", ".")])
def test_a_file_that_cannot_be_opened_is_bad_usage_and_one_line(
    scaler: Path, given: str, looks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--scaler", given or str(scaler), looks]) == 2
    shown = capsys.readouterr().err
    assert (given or looks) in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["x.jsonl"], ["--scaler", "x.yaml"]])
def test_bad_words_are_bad_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", *words])
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_bad_line_ends_it_after_the_verdicts_before(scaler: Path) -> None:
    done = command("--scaler", str(scaler), "-", stdin=f'{json.dumps(EXAMPLE)}\n{{"at": 13, "\\u001b[2J": 1}}\n')
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert done.stderr == r"kafka-consumer-scaler replay: -: line 2: \x1b[2J: unknown field" + "\n"


def test_reading_that_fails_midway_is_a_failure_and_no_bad_usage(
    scaler: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--scaler", str(scaler), "/proc/self/mem"]) == 1
    assert "Input/output error" in capsys.readouterr().err


def test_verdicts_come_as_looks_come_and_a_reader_that_leaves_is_no_traceback(scaler: Path) -> None:
    words = [sys.executable, "-m", "kafka_consumer_scaler", "replay", "--scaler", str(scaler), "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        print(json.dumps(EXAMPLE), file=process.stdin, flush=True)
        assert json.loads(process.stdout.readline())["at"] == 12.0
        process.stdout.close()
        print(json.dumps(EXAMPLE | {"at": 13.0}), file=process.stdin, flush=True)
        assert process.wait(60) == 1
        assert process.stderr.read() == ""
