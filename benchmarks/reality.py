"""One load on a real cluster and broker, and what the simulator says of the same load."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks import reality_run
from benchmarks.cluster import BenchmarkFailed
from benchmarks.reality_figures import Comparison, compare
from benchmarks.reality_page import draw, page, text
from benchmarks.reality_run import RealRun
from benchmarks.reality_stage import Stage, stage
from benchmarks.reality_watch import play
from benchmarks.report import RESULTS
from benchmarks.section import Section
from tests.environment import Environment, EnvironmentFailed
from tests.environment.progress import Progress

DOCS: Final = Path(__file__).parents[1] / "docs"
SECTION: Final = Section(DOCS / "simulation.md", "reality")
PICTURE: Final = DOCS / "pictures" / "reality.png"


@dataclass(frozen=True)
class RealityResult:
    """A comparison: to print, to write, and whether every goal is met.

    Args:
        is_fresh: whether operator and simulator are of one tree. Only then the docs are made anew.
    """

    comparison: Comparison
    is_fresh: bool

    @property
    def is_good(self) -> bool:
        return all(goal.is_met for goal in self.comparison.goals())

    def text(self) -> str:
        return text(self.comparison)

    def write(self) -> Path:
        """Write benchmarks/results/reality.json and answer its path; a fresh comparison makes the docs anew."""
        one = self.comparison
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / "reality.json"
        values = {
            "benchmark": "reality",
            "day": one.real.day,
            "machine": one.real.machine,
            "goals": [{**asdict(goal), "met": goal.is_met} for goal in one.goals()],
            "measured": asdict(one.measured),
            "real": asdict(one.figures),
            "simulated": [asdict(each) for each in one.simulated],
            "decided_otherwise": one.otherwise,
        }
        file.write_text(json.dumps(values, indent=1) + "\n")
        if self.is_fresh:
            SECTION.write(page(one))
            draw(one, PICTURE)
        return file


def run(environment: Environment, progress: Progress) -> RealityResult:
    """Play the load for real, keep the run, and compare it."""
    with stage(environment, progress) as staged, progress.step("the load, for 10 minutes"):
        real = _played(staged, environment)
    real.save()
    return result(real, is_fresh=True)


def again() -> RealityResult:
    """Compare the run that was kept with the simulator as it is now. Raises BenchmarkFailed when there is none."""
    try:
        return result(reality_run.load(), is_fresh=False)
    except FileNotFoundError as problem:
        raise BenchmarkFailed(str(problem)) from None


def result(real: RealRun, is_fresh: bool) -> RealityResult:
    """The comparison. Raises BenchmarkFailed when the run has nothing to measure by."""
    try:
        return RealityResult(compare(real), is_fresh)
    except ValueError as problem:
        raise BenchmarkFailed(str(problem)) from None


def _played(staged: Stage, environment: Environment) -> RealRun:
    try:
        return play(staged, environment)
    except EnvironmentFailed:
        print("the operator's last log lines:", staged.last_log_lines(), sep="\n", file=sys.stderr)
        raise
