"""Pictures of simulated runs: what arrived, how old the oldest record was, how many replicas that took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from kafka_consumer_scaler.simulation.compare import FLINK, KEDA, KEDA_DEFAULT, ORACLE, OURS, STATIC, Comparison
from kafka_consumer_scaler.simulation.run import Record

GREY: Final = "#555555"
SETTINGS: Final = {"font.size": 10.0, "axes.spines.top": False, "axes.spines.right": False, "path.simplify": True}


@dataclass(frozen=True, slots=True)
class Pen:
    """How one policy is drawn: colours of the palette of Okabe and Ito, and a line style of its own."""

    colour: str
    style: Any
    width: float
    layer: int


PENS: Final[Mapping[str, Pen]] = {
    OURS: Pen("#0072B2", "-", 2.4, 9),
    KEDA: Pen("#D55E00", "-", 1.4, 6),
    KEDA_DEFAULT: Pen("#CC79A7", "-", 1.2, 5),
    FLINK: Pen("#009E73", (0, (5, 1.5)), 1.4, 4),
    STATIC: Pen("#666666", (0, (1, 1)), 1.6, 6),
    ORACLE: Pen("#000000", (0, (4, 1.5, 1, 1.5)), 1.2, 7),
}
PLAIN: Final = Pen("#E69F00", "-", 1.2, 5)
"""The pen of a policy that has none of its own."""


def draw(comparison: Comparison, file: Path) -> None:
    """Write the PNG of one workload: arrival and capacity, lag, replicas. The same runs give the same bytes."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(12, 8.5), layout="constrained")
        arrival, lag, replicas = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 3))
        scale = _time_scale(len(comparison.workload.arrival))
        _arrival(arrival, comparison, scale.seconds)
        records = {comparison.label(name): each.record for name, each in comparison.runs.items()}
        _lag(lag, records, comparison.policy.lag_seconds, scale.seconds)
        _replicas(replicas, records, scale.seconds)
        replicas.set_xlabel(f"{scale.unit} since the run began")
        arrival.set_title(f"{comparison.workload.name}, seed {comparison.workload.seed}", loc="left")
        figure.legend(*lag.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        _save(figure, file)


@dataclass(frozen=True, slots=True)
class Panel:
    """One workload of an overview: its records by policy."""

    name: str
    arrival: Sequence[float]
    records: Mapping[str, Record]
    objective_seconds: float


def draw_overview(panels: Sequence[Panel], file: Path, columns: int = 4) -> None:
    """Write the PNG of many workloads: for each a small pair of panels, lag above replicas."""
    rows = ceil(len(panels) / columns)
    with mpl.rc_context({**SETTINGS, "font.size": 9.0}):
        figure = Figure(figsize=(4.2 * columns, 3.4 * rows + 0.6), layout="constrained")
        grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2.0, 1.4] * rows)
        pairs = [(grid[2 * row][column], grid[2 * row + 1][column]) for row in range(rows) for column in range(columns)]
        for number, (lag, replicas) in enumerate(pairs):
            if number < len(panels):
                _pair(lag, replicas, panels[number], labelled=number % columns == 0)
            else:
                lag.set_axis_off()
                replicas.set_axis_off()
        figure.legend(*pairs[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False)
        _save(figure, file)


def _pair(lag: Any, replicas: Any, panel: Panel, labelled: bool) -> None:
    scale = _time_scale(len(panel.arrival))
    _lag(lag, panel.records, panel.objective_seconds, scale.seconds)
    lag.set_ylabel("lag, seconds")
    _replicas(replicas, panel.records, scale.seconds)
    lag.set_title(panel.name, loc="left", fontweight="bold")
    lag.tick_params(labelbottom=False)
    lag.sharex(replicas)
    replicas.set_xlabel(scale.unit, labelpad=1)
    if not labelled:
        lag.set_ylabel("")
        replicas.set_ylabel("")


@dataclass(frozen=True, slots=True)
class _Time:
    seconds: Any
    unit: str


def _time_scale(seconds: int) -> _Time:
    at = np.arange(seconds)
    if seconds <= 600:
        return _Time(at, "seconds")
    return _Time(at / 60, "minutes") if seconds <= 6 * 3600 else _Time(at / 3600, "hours")


def _arrival(panel: Any, comparison: Comparison, at: Any) -> None:
    panel.fill_between(at, comparison.workload.arrival, color="#DDDDDD", linewidth=0)
    panel.plot(at, comparison.workload.arrival, color=GREY, linewidth=0.9)
    for name, each in comparison.runs.items():
        pen = _pen(name)
        bought = each.record.ready * comparison.workload.plant.capacity
        width = 1.4 if name == OURS else 0.7
        panel.plot(at, bought, color=pen.colour, linestyle=pen.style, linewidth=width, zorder=pen.layer)
    panel.set_ylabel("records/s: arrival (grey)\nand capacity bought")
    _frame(panel, at)


def _lag(panel: Any, records: Mapping[str, Record], objective_seconds: float, at: Any) -> None:
    for name, record in records.items():
        _line(panel, name, at, record.lag_seconds)
    label = f"objective {objective_seconds:g} s"
    panel.axhline(objective_seconds, color=PLAIN.colour, linewidth=1.6, label=label, zorder=2)
    panel.set_ylabel("lag, seconds")
    highest = max(float(np.max(record.lag_seconds)) for record in records.values())
    if highest > 6 * objective_seconds:
        _bend(panel, objective_seconds, highest)
    else:
        panel.set_ylim(0, max(highest, objective_seconds) * 1.08)
    _frame(panel, at)


def _bend(panel: Any, objective_seconds: float, highest: float) -> None:
    """Linear up to the objective and logarithmic above, so that one bad policy does not flatten the others."""
    panel.set_yscale("symlog", linthresh=objective_seconds, linscale=1.0, base=10)
    steps = [0, objective_seconds / 2, objective_seconds]
    while steps[-1] * 4 < highest:
        steps.append(steps[-1] * 4)
    panel.set_yticks(steps, labels=[f"{step:g}" for step in steps])
    panel.minorticks_off()
    panel.set_ylabel("lag, seconds\n(logarithmic above the objective)")
    panel.set_ylim(0, highest * 1.3)


def _replicas(panel: Any, records: Mapping[str, Record], at: Any) -> None:
    for name, record in records.items():
        _line(panel, name, at, record.replicas, steps=True)
    panel.set_ylabel("replicas")
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.set_ylim(0, max(int(np.max(record.replicas)) for record in records.values()) + 0.8)
    _frame(panel, at)


def _line(panel: Any, name: str, at: Any, values: Any, steps: bool = False) -> None:
    pen = _pen(name)
    panel.plot(at, values, label=name, color=pen.colour, linestyle=pen.style, linewidth=pen.width, zorder=pen.layer,
               drawstyle="steps-post" if steps else "default")


def _frame(panel: Any, at: Any) -> None:
    panel.set_xlim(at[0], max(at[-1], at[0] + 1e-9))
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.25)


def _pen(name: str) -> Pen:
    """By the first word: `keda (500)` is drawn as `keda`."""
    return PENS.get(name.partition(" ")[0], PLAIN)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=100, format="png", metadata={"Software": None})
