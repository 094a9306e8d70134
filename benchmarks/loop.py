"""The whole loop: loads that no number of replicas holds, with producers held to the safe rate and without."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.report import Goal, Result
from benchmarks.section import Section
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.overloads import FLOOR_BYTES, MAX_REPLICAS, OVERLOADS, RECORD_BYTES
from kafka_consumer_scaler.simulation.plots import SETTINGS
from kafka_consumer_scaler.simulation.upstream import Course, play

SEEDS: Final = 20
DOCS: Final = Path(__file__).parents[1] / "docs"
SECTION: Final = Section(DOCS / "benchmarks.md", "loop")
PICTURE: Final = DOCS / "pictures" / "loop.png"
PICTURED: Final = "steady-overload"
OBJECTIVE: Final = Policy(max_replicas=MAX_REPLICAS).lag_seconds
MINUTES_MAX: Final = {"retention-overload": 35.0, "bound-downstream": 12.0}
"""In which the group is to be back under the objective; else 7."""
Say = Callable[[str], None]
Courses = Mapping[str, list[tuple[Course, Course]]]


@dataclass(frozen=True)
class Row:
    """What one load came to over all seeds, the worst of each: with the loop, and lost and late without it."""

    name: str
    lost: float
    minutes_over: float
    late_again: int
    used: float
    changes: int
    refused: float
    lost_without: float
    minutes_over_without: float

    def cells(self) -> list[str]:
        return [f"`{self.name}`", f"{self.lost_without:,.0f}", f"{self.lost:,.0f}", f"{self.minutes_over_without:.0f}",
                f"{self.minutes_over:.1f}", f"{self.late_again}", f"{self.used:.3f}", f"{self.changes}",
                f"{self.refused:.0%}"]


HEADING: Final = ["load", "lost without", "lost", "minutes over 60 s without", "minutes until under 60 s",
                  "seconds over it later", "used", "changes of the rate", "refused"]


def run(seeds: int = SEEDS, say: Say = print) -> Result:
    """Play all loads; with at least `SEEDS` seeds also the page and the picture are made anew."""
    jobs = [(name, seed) for name in OVERLOADS for seed in range(1, seeds + 1)]
    courses: dict[str, list[tuple[Course, Course]]] = {name: [] for name in OVERLOADS}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for (name, seed), pair in zip(jobs, pool.map(_both, *zip(*jobs, strict=True)), strict=True):
            courses[name].append(pair)
            say(f"{name}, seed {seed}")
    result = _result([_row(name, pairs) for name, pairs in courses.items()], seeds)
    if seeds >= SEEDS:
        SECTION.write(_page(result, seeds))
        draw(*courses[PICTURED][0])
        say(f"written: {SECTION.page}, {PICTURE}")
    return result


def _both(name: str, seed: int) -> tuple[Course, Course]:
    overload = OVERLOADS[name](seed)
    return play(overload, with_loop=True), play(overload, with_loop=False)


def _row(name: str, pairs: list[tuple[Course, Course]]) -> Row:
    held, free = [each for each, _ in pairs], [each for _, each in pairs]
    most = MINUTES_MAX.get(name, 7.0)
    return Row(
        name,
        lost=max(each.lost for each in held),
        minutes_over=max(_back_after(each) for each in held) / 60,
        late_again=max(each.seconds_over(OBJECTIVE, _first_over(each) + round(60 * most)) for each in held),
        used=min(each.used for each in held),
        changes=max(each.changes for each in held),
        refused=max(each.refused / each.asked.sum() for each in held),
        lost_without=max(each.lost for each in free),
        minutes_over_without=max(each.seconds_over(OBJECTIVE) for each in free) / 60,
    )


def _first_over(course: Course) -> int:
    return int(np.argmax(course.age > OBJECTIVE))


def _back_after(course: Course) -> int:
    """Seconds from the first record that is over the objective to the last one."""
    over = np.flatnonzero(course.age > OBJECTIVE)
    return int(over[-1] - over[0] + 1) if len(over) else 0


def _result(rows: list[Row], seeds: int) -> Result:
    goals = [
        Goal("records lost to retention", max(row.lost for row in rows), 1, "records"),
        Goal("over the objective after the first minutes", max(row.late_again for row in rows), 1, "s"),
        Goal("of what is sustainable left unused", 1 - min(row.used for row in rows), 0.05, "of it"),
        Goal("changes of the rate in an hour", max(row.changes for row in rows), 31, "changes"),
    ]
    figures: dict[str, Any] = {"seeds": seeds, "loads": {row.name: vars(row) for row in rows}}
    return Result("loop", "loop: producers held to what the group sustains", [HEADING, *(row.cells() for row in rows)],
                  goals, 0, figures)


def _page(result: Result, seeds: int) -> str:
    heading, *rows = result.rows
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *rows))
    goals = "\n".join(f"- {goal}" for goal in result.goals)
    return (f"{table}\n\nThe worst of {seeds} seeds of an hour each; the floor is {FLOOR_BYTES:,} bytes/s, a record "
            f"has {RECORD_BYTES:g} bytes.\n\n{goals}")


def draw(held: Course, free: Course, file: Path = PICTURE) -> None:
    """Write the PNG: what was asked for, arrived and was processed; the age with and without; the rate."""
    at = np.arange(len(held.age)) / 60
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(11, 7.5), layout="constrained")
        rates, ages = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        rates.plot(at, held.asked, color="#999999", linewidth=1.0, label="asked for by producers")
        rates.plot(at, held.arrival, color="#D55E00", linewidth=1.4, label="arrived")
        rates.plot(at, held.drain, color="#0072B2", linewidth=1.8, label="processed")
        rates.plot(at, np.where(np.isfinite(held.rate), held.rate, np.nan), color="#000000", linewidth=1.2,
                   linestyle="--", label="quota")
        rates.set(ylabel="records/s", ylim=(0, None))
        rates.set_title(f"{PICTURED}, seed 1", loc="left")
        rates.legend(frameon=False, ncols=4, loc="lower right")
        ages.plot(at, free.age, color="#CC79A7", linewidth=1.2, label="oldest record, without the loop")
        ages.plot(at, held.age, color="#0072B2", linewidth=1.8, label="oldest record, with it")
        ages.axhline(OBJECTIVE, color="#E69F00", linewidth=1.4, label=f"objective {OBJECTIVE:g} s")
        ages.set(ylabel="seconds", xlabel="minutes", ylim=(0, 4 * OBJECTIVE), xlim=(0, at[-1]))
        ages.legend(frameon=False, loc="upper right")
        for panel in (rates, ages):
            panel.grid(alpha=0.25)
        figure.savefig(file, dpi=100, format="png", metadata={"Software": None})
