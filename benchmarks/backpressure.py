"""Producers that want twice what a group sustains, on three real brokers: held by quotas, paced, and turned away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import backpressure_scene as scene
from benchmarks.backpressure_figures import Course, Figures, course_of, figures
from benchmarks.backpressure_page import draw, goals, page, table, write_csv
from benchmarks.cluster import BenchmarkFailed
from benchmarks.report import RESULTS, Result, machine
from benchmarks.section import Section
from tests.faults.spaces import enter

DOCS: Final = Path(__file__).parents[1] / "docs"
SECTION: Final = Section(DOCS / "benchmarks.md", "backpressure")
PICTURE: Final = DOCS / "pictures" / "backpressure.png"
FILE: Final = RESULTS / "backpressure-run.json"


@dataclass(frozen=True)
class BackpressureResult:
    """The three runs: to print, to write, and whether every goal is met.

    Args:
        machine: its size, and how busy it was in the end.
        day: of the runs, like `26 November 2026`.
        is_fresh: they were just played. Only then the docs are made anew.
    """

    courses: Sequence[Course]
    machine: str
    day: str
    is_fresh: bool

    @property
    def found(self) -> dict[str, Figures]:
        """The figures by run."""
        return {course.name: figures(course) for course in self.courses}

    @property
    def is_good(self) -> bool:
        return all(goal.is_met for goal in goals(self.found))

    def text(self) -> str:
        return self._result().text()

    def write(self) -> Path:
        """Write benchmarks/results/backpressure.json and its CSV files; fresh runs make the docs anew."""
        file = self._result().write()
        for course in self.courses:
            write_csv(course, RESULTS / f"backpressure-{course.name}.csv")
        if self.is_fresh:
            SECTION.write(page(self.found, self.day, self.machine))
            draw(self.courses, PICTURE)
        return file

    def _result(self) -> Result:
        found = self.found
        values = {"runs": {name: asdict(each) for name, each in found.items()}}
        return Result("backpressure", f"backpressure: {scene.ASKED:g} records/s for {scene.SUSTAINABLE:g}",
                      table(found), goals(found), 0, values)


def run() -> BackpressureResult:
    """Play the runs in namespaces of their own. Raises BenchmarkFailed."""
    RESULTS.mkdir(exist_ok=True)
    if enter("benchmarks.backpressure_play", [str(FILE)], {}) != 0:
        raise BenchmarkFailed(f"the runs failed; the programs' logs are in {RESULTS}")
    return _result(is_fresh=True)


def again() -> BackpressureResult:
    """The runs that were kept. Raises BenchmarkFailed when there are none."""
    try:
        return _result(is_fresh=False)
    except FileNotFoundError as problem:
        raise BenchmarkFailed(str(problem)) from None


def _result(*, is_fresh: bool) -> BackpressureResult:
    courses = [course_of(each) for each in json.loads(FILE.read_text())]
    day = f"{datetime.fromtimestamp(FILE.stat().st_mtime, UTC):%-d %B %Y}"
    return BackpressureResult(courses, machine(), day, is_fresh)
