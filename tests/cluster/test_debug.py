"""What the operator recorded on real parts, replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafka_consumer_scaler.__main__ import main
from tests.cluster.workload import Workload, eventually

pytestmark = pytest.mark.cluster


def replayed(folder: Path, workload: Workload, looks: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    (folder / "scaler.yaml").write_text(json.dumps(workload.get()))
    (folder / "looks.jsonl").write_text(looks)
    assert main(["replay", "--scaler", str(folder / "scaler.yaml"), str(folder / "looks.jsonl")]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_the_operator_recorded_is_decided_again_word_for_word(
    workload: Workload, recording: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.scaler()
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, what="up")
    eventually(lambda: workload.replicas() == 1, what="down")
    eventually(lambda: any(text.startswith("Scaled down") for text in workload.changes()), what="said to be down")
    told, announced = workload.status()["lastDecision"], workload.changes()
    looks = recording(workload.namespace)
    verdicts = replayed(tmp_path, workload, looks, capsys)
    assert len(verdicts) == looks.count("\n") > 20
    carried = [one["scaled"]["to"] for one in map(json.loads, looks.splitlines()) if one["scaled"]]
    assert [verdict["replicas"] for verdict in verdicts if verdict["decision"] == "ScaleTo"] == carried
    messages = [verdict["message"] for verdict in verdicts]
    assert [message for message in announced if message not in messages] == []
    assert told in messages
