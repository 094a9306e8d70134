"""Whether causes are named: what is found in every scenario of the simulator, how soon, and what is not so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.findings_page import Confusion, page, text
from benchmarks.findings_runs import Say, measure
from benchmarks.report import RESULTS
from benchmarks.section import Section

SEEDS: Final = 20
SECTION: Final = Section(Path(__file__).parents[1] / "docs" / "benchmarks.md", "findings")


@dataclass(frozen=True)
class FindingsResult:
    """A measurement that was made: to print, to write, and whether its goals are met."""

    confusion: Confusion

    @property
    def is_good(self) -> bool:
        return self.confusion.finds_enough and self.confusion.errs_little

    def text(self) -> str:
        return text(self.confusion)

    def write(self) -> Path:
        """Write benchmarks/results/findings.json and answer its path."""
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / "findings.json"
        file.write_text(json.dumps(self.confusion.as_json(), indent=1) + "\n")
        return file


def run(seeds: int = SEEDS, say: Say = print) -> FindingsResult:
    """Play all scenarios; with at least `SEEDS` seeds the section of the page is made anew."""
    confusion = Confusion(measure(seeds, say))
    if seeds >= SEEDS:
        SECTION.write(page(confusion))
        say(f"written: {SECTION.page}")
    return FindingsResult(confusion)
