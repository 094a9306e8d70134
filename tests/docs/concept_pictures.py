"""The pictures of docs/concepts.md: `python -m tests.docs.concept_pictures` draws them anew.

What they show is computed: the run by the simulator with the operator's own `decide`, the shares by core/assignment.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.objective import DOWN_SHARE, UP_SHARE
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.run import Record, run
from kafka_consumer_scaler.simulation.spec import PlantSpec
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs" / "pictures"
SETTINGS: Final = {"font.size": 10.0, "axes.spines.top": False, "axes.spines.right": False}
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
"""Colours of the palette of Okabe and Ito."""
POLICY: Final = Policy(max_replicas=12)
ARRIVAL: Final = (70.0,) * 300 + (350.0,) * 600 + (70.0,) * 1500
"""Records/s, a value a second: a step up fivefold for ten minutes."""


def lag_and_age() -> Figure:
    """One partition of which 100 records/s, then 250 arrive, while its consumer does 150."""
    seconds = np.arange(0, 121)
    end = np.where(seconds < 30, 100 * seconds, 3000 + 250 * (seconds - 30))
    done = np.where(seconds < 30, 100 * seconds, 3000 + 150 * (seconds - 30))
    now, then = 100, int(np.searchsorted(end, done[100]))
    figure = Figure(figsize=(8.5, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(seconds, end, color=ORANGE, lw=2, label="end offset: what was produced")
    axes.plot(seconds, done, color=BLUE, lw=2, label="committed offset: what was processed")
    _arrow(axes, (now, done[now]), (now, end[now]))
    _arrow(axes, (then, done[now]), (now, done[now]))
    axes.text(now + 1.5, (end[now] + done[now]) / 2, f"lag:\n{end[now] - done[now]:,} records", va="center")
    axes.text(then - 2, done[now], f"age of the oldest record: {now - then} s", va="center", ha="right")
    axes.set(xlabel="seconds", ylabel="offset", xlim=(0, 120), ylim=(0, None))
    axes.legend(frameon=False, loc="upper left")
    return figure


def useful_replicas() -> Figure:
    """Ten partitions over 1 to 12 replicas."""
    spread, numbers = Spread((10,)), range(1, 13)
    colours = [BLUE if n in spread.steps(12) else GREY if n > spread.useful_replicas else "#A6C8DD" for n in numbers]
    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    axes = figure.subplots()
    bars = axes.bar(list(numbers), [spread.busiest(n) for n in numbers], color=colours)
    axes.bar_label(bars, fontsize=9)
    axes.set(xlabel="replicas", ylabel="partitions of the busiest", xticks=list(numbers), ylim=(0, 11))
    words = {BLUE: "faster than one replica less", "#A6C8DD": "no faster: never asked for",
             GREY: "replicas without a partition"}
    handles = [axes.bar([0], [0], color=colour)[0] for colour in words]
    axes.legend(handles, words.values(), frameon=False, loc="upper right")
    axes.set_xlim(0.4, 12.6)
    return figure


def played() -> Record:
    """The run of the third picture: 12 partitions, 100 records/s a consumer, one replica, the default resource."""
    return run(PlantSpec(), ARRIVAL, KafkaConsumerScaler(POLICY), seed=1)


def objective() -> Figure:
    """Arrival and capacity, the age of the oldest record with its lines, and the replicas of that run."""
    record, figure = played(), Figure(figsize=(8.5, 7), layout="constrained")
    arrival, age, replicas = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 2))
    minutes = np.arange(len(record.arrival)) / 60
    arrival.fill_between(minutes, record.arrival, color="#CCCCCC", label="arrival")
    arrival.plot(minutes, record.ready * 100.0, color=GREEN, lw=1.5, label="capacity of the ready replicas")
    arrival.set(ylabel="records/s", ylim=(0, None))
    arrival.legend(frameon=False, loc="upper right")
    _age(age, minutes, record)
    replicas.step(minutes, record.replicas, where="post", color=BLUE, lw=2)
    for at, before, after in record.scales:
        replicas.annotate(f"{before} to {after}", (at / 60, max(before, after)), (at / 60, max(before, after) + 0.8),
                          fontsize=9, ha="center")
    replicas.set(ylabel="replicas", xlabel="minutes", ylim=(0, record.replicas.max() + 2.5), xlim=(0, minutes[-1]))
    return figure


def _age(axes: Any, minutes: Any, record: Record) -> None:
    axes.plot(minutes, record.lag_seconds, color=BLUE, lw=1.5)
    lines = {1.0: "objective: target.lagSeconds", UP_SHARE: "up, if it would pass this before help could come",
             DOWN_SHARE: "down, if fewer replicas stay below this at the highest arrival of the window"}
    for share, words in lines.items():
        seconds = share * POLICY.lag_seconds
        axes.axhline(seconds, color=ORANGE if share == 1 else GREY, lw=1.2, ls="-" if share == 1 else "--")
        axes.text(minutes[-1], seconds + 0.8, f"{seconds:.0f} s: {words}", ha="right", va="bottom", fontsize=9)
    axes.set(ylabel="age of the oldest record, s", ylim=(0, 70))


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "<->", "color": "black", "shrinkA": 0, "shrinkB": 0})


PICTURES: Final[Mapping[str, Callable[[], Figure]]] = {
    "lag-and-age.png": lag_and_age, "useful-replicas.png": useful_replicas, "objective.png": objective}


def draw(folder: Path) -> None:
    """Write them all."""
    with mpl.rc_context(SETTINGS):
        for name, picture in PICTURES.items():
            picture().savefig(folder / name, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    draw(FOLDER)
