"""What is said and written about a run."""

from __future__ import annotations

import csv
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tests.demo import picture
from tests.demo.failure import DemoFailed
from tests.demo.report import figures, require_story, write_csv
from tests.demo.show import Lines, cells
from tests.demo.timeline import Row

START = Row(6.0, 70.0, 70.0, 100, 1.0, 1, 1, "")
BEHIND = replace(START, seconds=50.0, lag=600, lag_seconds=2.0)
UP = replace(START, seconds=54.0, lag=1600, lag_seconds=5.0, replicas_spec=4, decision="Scaled up from 1 to 4: lag")
DOWN = replace(START, seconds=300.0, lag=20, lag_seconds=0.5, replicas_spec=1, decision="Scaled down from 4 to 1: lag")


def test_the_csv_has_one_line_for_each_row_under_the_names_of_its_columns(tmp_path: Path) -> None:
    write_csv([START, UP], tmp_path / "demo.csv")
    with (tmp_path / "demo.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = "seconds arrival drain lag lag_seconds replicas_spec replicas_ready decision"
    assert list(lines[0]) == names.split()
    assert lines[1]["lag"] == "1600"
    assert lines[1]["decision"] == UP.decision


def test_the_figures_tell_the_first_scale_up_the_objective_lag_changes_and_replica_seconds() -> None:
    assert figures([START, BEHIND, UP, DOWN]) == [
        "first scale-up: 20 s after the load's step, with the oldest record at 2 s",
        "oldest record: 5 s (objective 60 s, 0 s over it); largest lag: 1,600 records; at the end: 20",
        "replicas: 1 -> 4 -> 1; changes: 2, reversals of direction: 1",
        "replica-seconds: 1,032 in 294 s",
    ]


def test_time_over_the_objective_is_told() -> None:
    late = replace(UP, lag_seconds=61.0)
    assert "oldest record: 61 s (objective 60 s, 4 s over it)" in figures([START, BEHIND, late, DOWN])[1]


def test_a_run_without_a_scale_up_has_failed() -> None:
    with pytest.raises(DemoFailed, match="never scaled up"):
        require_story([START, BEHIND, DOWN])


def test_a_run_that_stays_scaled_up_has_failed() -> None:
    with pytest.raises(DemoFailed, match="never scaled down again"):
        require_story([START, BEHIND, UP])


def test_a_run_that_goes_up_and_down_again_has_not_failed() -> None:
    require_story([START, BEHIND, UP, DOWN])
    assert DOWN.replicas_ready == 1


def test_large_lags_are_grouped_and_times_are_minutes_and_seconds() -> None:
    shown = dict(cells(replace(UP, seconds=61.2, lag=14742, lag_seconds=29.4), 345))
    assert (shown["elapsed"], shown["lag"], shown["lag seconds"]) == ("01:01 of 05:45", "14,742", "29")


def test_plain_lines_come_every_ten_seconds_and_decisions_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(345) as lines:
        for tick in range(25):
            lines.show(replace(START, seconds=float(tick), decision="Scaled up from 1 to 2: lag" if tick == 13 else ""))
    printed = capsys.readouterr().out.splitlines()
    assert [line[:16] for line in printed] == [
        "elapsed 00:00 of",
        "elapsed 00:10 of",
        "00:13  Scaled up",
        "elapsed 00:20 of",
    ]


def test_the_picture_is_a_png_with_room_for_every_sentence(tmp_path: Path) -> None:
    sizes = {}
    for name, rows in {"one": [START, UP], "two": [START, UP, DOWN]}.items():
        picture.draw(rows, tmp_path / f"{name}.png", "a title")
        content = (tmp_path / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        sizes[name] = struct.unpack(">II", content[16:24])
    assert sizes["one"][0] == sizes["two"][0] == 1100
    assert sizes["one"][1] < sizes["two"][1]
