"""Pictures: written, of the same bytes for the same runs, and drawn for every policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation import compare, plots
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.workload import Workload

POLICY = Policy(max_replicas=4)
PNG = b"\x89PNG\r\n\x1a\n"


def compared(name: str = "small", peak: float = 250.0) -> compare.Comparison:
    load = Workload(name, 1, (50.0,) * 60 + (peak,) * 120, PlantSpec())
    return compare.compare(load, POLICY, ["keda-default", "static"])


def panel(one: compare.Comparison) -> plots.Panel:
    records = {name: run.record for name, run in one.runs.items()}
    return plots.Panel(one.workload.name, one.workload.arrival, records, POLICY.lag_seconds)


def test_every_policy_has_a_pen_of_its_own() -> None:
    assert list(plots.PENS) == [compare.OURS, *compare.RIVALS]
    assert len({pen.colour for pen in plots.PENS.values()}) == len(plots.PENS)
    assert max(plots.PENS.values(), key=lambda pen: (pen.width, pen.layer)) is plots.PENS[compare.OURS]


@pytest.mark.parametrize("peak", [250.0, 9000.0])
def test_the_same_runs_are_drawn_with_the_same_bytes(tmp_path: Path, peak: float) -> None:
    files = [tmp_path / "1.png", tmp_path / "2.png"]
    for file in files:
        plots.draw(compared(peak=peak), file)
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(PNG)
    assert first == second


def test_a_picture_tells_neither_date_nor_version(tmp_path: Path) -> None:
    plots.draw(compared(), tmp_path / "1.png")
    drawn = (tmp_path / "1.png").read_bytes()
    assert b"tEXt" not in drawn
    assert b"tIME" not in drawn


@pytest.mark.parametrize("families", [1, 3, 5])
def test_an_overview_has_room_for_any_number_of_families(tmp_path: Path, families: int) -> None:
    one = panel(compared())
    plots.draw_overview([one] * families, tmp_path / "all.png", columns=2)
    assert (tmp_path / "all.png").read_bytes().startswith(PNG)
