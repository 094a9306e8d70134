"""The example of docs/replay.md is what the command answers, and its tables name every field."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.api.snapshot_schema import Line
from tests.docs.pages import page

PAGE = page("docs/replay.md")


def answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    (manifest,), looks = PAGE.blocks("yaml"), PAGE.blocks("json")[0]
    scaler, snapshots = folder / "scaler.yaml", folder / "snapshots.jsonl"
    scaler.write_text(manifest)
    snapshots.write_text(looks)
    assert main(["replay", "--scaler", str(scaler), str(snapshots)]) == 0
    return capsys.readouterr().out


def test_the_answers_shown_are_the_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered = answers(tmp_path, capsys)
    assert answered == PAGE.blocks("json")[1], f"the page is to show:\n{answered}"


def fields(heading: str) -> list[str]:
    """The words in the first column of the table below the heading."""
    section = PAGE.text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_every_field_of_a_look_is_told_of() -> None:
    assert sorted(fields("A look")) == sorted(str(field.alias) for field in Line.model_fields.values())


def test_every_field_of_a_verdict_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fields("A verdict") == list(json.loads(answers(tmp_path, capsys).splitlines()[0]))
