"""Results: a table to read, goals that are met or missed, and JSON to compare."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Goal:
    """A figure that should be below a limit, both in `unit`."""

    name: str
    value: float
    below: float
    unit: str

    @property
    def is_met(self) -> bool:
        return self.value < self.below

    def __str__(self) -> str:
        verdict = "met" if self.is_met else "MISSED"
        return f"goal {verdict}: {self.name} {self.value:.2f} {self.unit}, below {self.below:g} {self.unit} wanted"


@dataclass(frozen=True)
class Result:
    """One run of one benchmark.

    Args:
        rows: the table, the heading first.
        neighbours: other operators of the cluster, whose requests were counted with ours.
        figures: all measured values, for JSON.
    """

    benchmark: str
    title: str
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal]
    neighbours: int
    figures: Mapping[str, Any]

    @property
    def is_good(self) -> bool:
        return all(goal.is_met for goal in self.goals)

    def text(self) -> str:
        """The table as Markdown, what disturbed the run, and the goals."""
        lines = [f"{self.title} ({machine()})", "", *_table(self.rows), ""]
        if self.neighbours:
            lines.append(f"{self.neighbours} other operators ran on the cluster: request counts hold theirs too")
        return "\n".join([*lines, *map(str, self.goals)])

    def write(self) -> Path:
        """Write benchmarks/results/NAME.json and answer its path."""
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{self.benchmark}.json"
        values = {
            "benchmark": self.benchmark,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "neighbours": self.neighbours,
            "goals": [{**asdict(goal), "met": goal.is_met} for goal in self.goals],
            **self.figures,
        }
        file.write_text(json.dumps(values, indent=2) + "\n")
        return file


def machine() -> str:
    """The size of this machine and how busy it is."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    busy = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} cores {platform.machine()}, {memory_gib:.0f} GiB, load average {busy}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    heading, *others = rows
    return [_line(heading), _line(["---"] * len(heading)), *map(_line, others)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
