"""The three runs side by side: a table, goals, CSV files and a picture."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import backpressure_scene as scene
from benchmarks.backpressure_figures import Course, Figures, Moment
from benchmarks.report import Goal
from kafka_consumer_scaler.simulation.plots import GREY, SETTINGS
from tests.demo.timeline import Row

BLUE, VERMILION, ORANGE, PURPLE, BLACK = "#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#000000"
ASKED_WINDOW = 10
COLUMNS: Final = ("seconds", "asked", "arrived", "processed", "age_seconds", "replicas", "quota_bytes_per_second",
                  "told_records_per_second", "throttled_seconds", "queued", "turned_away", "failures")


def goals(found: Mapping[str, Figures]) -> list[Goal]:
    """Nothing is lost, the group is under its objective after the first minutes, and nothing is left unused."""
    after = f"from second {scene.SETTLED_SECONDS:.0f} on"
    judged = [found[name] for name in scene.JUDGED if name in found]
    return [
        Goal(f"of what is sustainable left unused {after}", 1 - min(each.used for each in judged), 0.05, "of it"),
        Goal(f"over the objective {after}", max(each.over_late for each in judged), 1, "s"),
        Goal("records that were promised and are not in the topic", max(each.lost for each in found.values()), 1,
             "records"),
    ]


def table(found: Mapping[str, Figures]) -> list[list[str]]:
    """A column for each run."""
    lines: list[tuple[str, Callable[[Figures], str]]] = [
        ("records asked for", lambda each: f"{each.asked:,}"),
        ("turned away at once", lambda each: f"{each.turned_away:,}"),
        ("acknowledged", lambda each: f"{each.acknowledged:,}"),
        ("promised and lost", lambda each: f"{each.lost:,}"),
        ("stored twice", lambda each: f"{each.stored_twice:,}"),
        ("waiting in the producer in the end", lambda each: f"{each.queued:,}"),
        ("failures that it saw", lambda each: _failures(each.failures)),
        ("longest throttle time", lambda each: f"{each.throttled:.1f} s" if each.throttled else "-"),
        ("consumers", lambda each: f"{each.replicas}"),
        ("used of what is sustainable", lambda each: f"{each.used:.3f}"),
        ("oldest record, at worst", lambda each: f"{each.worst_age:.0f} s"),
        (f"under {scene.OBJECTIVE_SECONDS} s for good after", lambda each: _seconds(each.under_after)),
        (f"over it from second {scene.SETTLED_SECONDS:.0f} on", lambda each: f"{each.over_late:.0f} s"),
        ("changes of the rate", lambda each: f"{each.steps}"),
    ]
    return [["", *(scene.TITLES[name] for name in found)],
            *([label, *(say(each) for each in found.values())] for label, say in lines)]


def _failures(failures: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} `{name}`" for name, count in sorted(failures.items())) or "none"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} s"


def page(found: Mapping[str, Figures], day: str, machine: str) -> str:
    """The section of the docs."""
    heading, *rows = table(found)
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *rows)]
    told = "\n".join(f"- {goal}" for goal in goals(found))
    return f"On {day}, {machine}:\n\n" + "\n".join(lines) + f"\n\n{told}"


def write_csv(course: Course, file: Path) -> None:
    """A line for each second."""
    with file.open("w", newline="") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, moment in zip(course.rows, course.moments, strict=True):
            writer.writerow(_line(row, moment))


def _line(row: Row, moment: Moment) -> list[Any]:
    seen = moment.seen
    quota = "" if moment.quota is None else moment.quota * scene.LEADING
    told = "" if moment.told.records is None else moment.told.records
    return [row.seconds, seen.asked, row.arrival, row.drain, row.lag_seconds, row.replicas_spec, quota, told,
            seen.throttled, seen.queued, seen.turned_away, sum(seen.failures.values())]


def draw(courses: Sequence[Course], file: Path) -> None:
    """Write the PNG: a column for each run; rates, ages, and what the producer sees, below each other."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(5 * len(courses), 9.5), layout="constrained")
        panels = figure.subplots(3, len(courses), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2, 2))
        for column, course in zip(panels.T, courses, strict=True):
            _column(column, course)
        for row, words in zip(panels, ("records/s", "seconds", "thousand records"), strict=True):
            row[0].set(ylabel=words, ylim=(0, None))
            row[-1].legend(*row[0].get_legend_handles_labels(), frameon=False, fontsize=9)
        figure.savefig(file, dpi=100, format="png", metadata={"Software": None})


def _column(panels: Any, course: Course) -> None:
    rates, ages, sender = panels
    at = [row.seconds for row in course.rows]
    rates.set_title(scene.TITLES[course.name], loc="left")
    _rates(rates, at, course)
    ages.plot(at, [row.lag_seconds for row in course.rows], color=BLUE, linewidth=1.8,
              label="age of the oldest record not committed")
    ages.axhline(scene.OBJECTIVE_SECONDS, color=ORANGE, linewidth=1.6, label="objective")
    _sender(sender, at, course)
    sender.set(xlabel="seconds since the load began", xlim=(0, at[-1]))
    for panel in panels:
        panel.grid(alpha=0.25)


def _rates(panel: Any, at: Sequence[float], course: Course) -> None:
    rows, moments = course.rows, course.moments
    panel.plot(at, _asked(course), color=GREY, linewidth=1.0, label="asked for")
    panel.plot(at, [row.arrival for row in rows], color=VERMILION, linewidth=1.2, label="arrived, over 3 s")
    panel.plot(at, [row.drain for row in rows], color=BLUE, linewidth=1.8, label="processed, over 10 s")
    panel.plot(at, [_known(each.told.records) for each in moments], color=BLACK, linewidth=1.2, linestyle=":",
               label="safe rate, as told")
    if course.name in scene.HELD:
        quota = [None if each.quota is None else each.quota * scene.LEADING / scene.RECORD_BYTES for each in moments]
        panel.plot(at, list(map(_known, quota)), color=BLACK, linewidth=1.4, linestyle="--",
                   label=f"quotas of {scene.LEADING} brokers, at {scene.RECORD_BYTES:,} bytes a record")


def _asked(course: Course) -> list[float]:
    """Over the last seconds."""
    moments = course.moments
    before = [moments[max(0, number - ASKED_WINDOW)] for number in range(len(moments))]
    return [(now.seen.asked - then.seen.asked) / max(1e-9, now.sample.seconds - then.sample.seconds)
            if now is not then else scene.ASKED for then, now in zip(before, moments, strict=True)]


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _sender(panel: Any, at: Sequence[float], course: Course) -> None:
    """Counts grow to the left scale, the throttle time has the right one."""
    moments = course.moments
    panel.plot(at, [each.seen.queued / 1000 for each in moments], color=VERMILION, linewidth=1.6,
               label="wait in the producer")
    panel.plot(at, [each.seen.turned_away / 1000 for each in moments], color=PURPLE, linewidth=1.6,
               label="turned away so far")
    if course.name in scene.HELD:
        right = panel.twinx()
        right.plot(at, [each.seen.throttled for each in moments], color=GREY, linewidth=0.9)
        right.set_ylabel("throttle time, seconds (grey)")
        right.set_ylim(0, None)
        right.spines["right"].set_visible(True)
