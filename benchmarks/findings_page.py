"""What the runs of the findings show: the confusion table, what is missing, what is false."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Final

from benchmarks.findings_runs import Run
from benchmarks.findings_truth import Truth
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.simulation.report import markdown

COLUMNS: Final = (
    Reason.PRODUCER_SPIKE, Reason.SLOW_CONSUMERS, Reason.HOT_PARTITION, Reason.STUCK_PARTITION,
    Reason.INEFFECTIVE_SCALING, Reason.NO_MEMBERS, Reason.REPLICAS_NOT_JOINING, Reason.REBALANCE_STORM,
    Reason.HUNG_TRANSACTION, Reason.RETENTION_RISK, Reason.AT_PARTITION_LIMIT, Reason.AT_MAX_REPLICAS,
    Reason.OFFSETS_EXPIRING, Reason.RECORDS_LOST, Reason.TOPIC_RECREATED, Reason.BROKERS_SLOW,
)
FALSE_NAMED_AT_MOST: Final = 5
FOUND_SHARE: Final = 0.95
FALSE_SHARE: Final = 0.05
"""Goals: so many of the findings that are right are made, and at most so many false ones in a run."""


@dataclass(frozen=True)
class Cell:
    """One finding in one row: in how many of the row's runs it was made, and the delay of each, in seconds."""

    truth: Truth
    reason: Reason
    runs: int
    delays: tuple[float, ...]
    false_seeds: tuple[int, ...]

    @property
    def is_right(self) -> bool:
        return self.reason in self.truth.right

    @property
    def is_false(self) -> bool:
        return bool(self.delays) and self.truth.is_false(self.reason)

    @property
    def share(self) -> float:
        """Of the row's runs."""
        return len(self.delays) / self.runs

    def __str__(self) -> str:
        """`**20** 30 s` where it is right, `(8) 45 s` where it is true too, `3 false` where it is neither."""
        if not self.delays:
            return "**0**" if self.is_right else ""
        if self.is_false:
            return f"{len(self.delays)} false"
        count = f"**{len(self.delays)}**" if self.is_right else f"({len(self.delays)})"
        return f"{count} {median(self.delays):.0f} s"


@dataclass(frozen=True)
class Confusion:
    """All runs, and what follows from them."""

    runs: list[Run]

    @property
    def seeds(self) -> int:
        return len({run.seed for run in self.runs})

    @cached_property
    def rows(self) -> dict[str, list[Run]]:
        """The runs of each row, in the order of the scenarios; the parts of one stand together."""
        order = list(dict.fromkeys(run.name for run in self.runs))
        found: dict[str, list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: (order.index(run.name), run.truth.row, run.seed)):
            found.setdefault(run.truth.row, []).append(run)
        return found

    def cell(self, row: str, reason: Reason) -> Cell:
        """One cell of the table."""
        runs = self.rows[row]
        named = [(run.seed, run.found[reason]) for run in runs if reason in run.found]
        truth = runs[0].truth
        false = tuple(seed for seed, _ in named) if truth.is_false(reason) else ()
        return Cell(truth, reason, len(runs), tuple(one.delay for _, one in named), false)

    @cached_property
    def cells(self) -> list[Cell]:
        return [self.cell(row, reason) for row in self.rows for reason in COLUMNS]

    @property
    def false_cells(self) -> list[Cell]:
        """Where something was found that is not so, the most frequent first."""
        return sorted((cell for cell in self.cells if cell.is_false), key=lambda cell: -len(cell.delays))

    @property
    def asked(self) -> int:
        """Findings that are right, over all runs."""
        return sum(cell.runs for cell in self.cells if cell.is_right)

    @property
    def found(self) -> int:
        """Of those, the ones that were made."""
        return sum(len(cell.delays) for cell in self.cells if cell.is_right)

    @property
    def false(self) -> int:
        """Findings that are not so, over all runs; one that comes and goes counts once in a run."""
        return sum(len(cell.delays) for cell in self.false_cells)

    @property
    def finds_enough(self) -> bool:
        """The first goal."""
        return self.found >= FOUND_SHARE * self.asked

    @property
    def errs_little(self) -> bool:
        """The second goal."""
        return self.false <= FALSE_SHARE * len(self.runs)

    def as_json(self) -> dict[str, Any]:
        return {"seeds": self.seeds, "asked": self.asked, "found": self.found, "false": self.false,
                "runs": [run.as_json() for run in self.runs]}


def text(confusion: Confusion) -> str:
    """What is printed."""
    return f"{_summary(confusion)}\n\n{_table(confusion)}\n\n{_false(confusion)}"


def page(confusion: Confusion) -> str:
    """The generated part of the page."""
    return f"{_summary(confusion)}\n\n{_causes(confusion)}\n\n{_table(confusion)}\n\n{_false(confusion)}"


def _summary(confusion: Confusion) -> str:
    return (f"{len({run.name for run in confusion.runs})} scenarios, {confusion.seeds} seeds each: "
            f"{len(confusion.runs)} runs. Of {confusion.asked} findings that had to be made {confusion.found} were "
            f"({confusion.found / max(1, confusion.asked):.1%}; the goal is {FOUND_SHARE:.0%}"
            f"{_missed(confusion.finds_enough)}); {confusion.false} were made that are not so "
            f"({confusion.false / max(1, len(confusion.runs)):.1%} of the runs; the goal is {FALSE_SHARE:.0%} at most"
            f"{_missed(confusion.errs_little)}).")


def _missed(is_met: bool) -> str:
    return "" if is_met else ", **MISSED**"


def _causes(confusion: Confusion) -> str:
    rows = [(row, each.cause, _reasons(each.right), _reasons(each.also))
            for row, each in ((row, runs[0].truth) for row, runs in confusion.rows.items())]
    return markdown(("scenario", "true cause", "right", "true too"), rows)


def _reasons(reasons: frozenset[Reason]) -> str:
    return ", ".join(sorted(reasons)) or "-"


def _table(confusion: Confusion) -> str:
    columns = [reason for reason in COLUMNS if any(cell.delays or cell.is_right
                                                   for cell in confusion.cells if cell.reason is reason)]
    rows = [(row, f"{len(runs)}", *(str(confusion.cell(row, reason)) for reason in columns))
            for row, runs in confusion.rows.items()]
    return markdown(("scenario", "runs", *columns), rows)


def _false(confusion: Confusion) -> str:
    rows = [(cell.truth.row, cell.reason, f"{len(cell.delays)} of {cell.runs}", *_example(confusion, cell))
            for cell in confusion.false_cells]
    if not rows:
        return "Nothing was found that is not so."
    return markdown(("scenario", "false finding", "runs", "seeds", "for how many looks", "the first one said"), rows)


def _example(confusion: Confusion, cell: Cell) -> Iterator[str]:
    seeds = [str(seed) for seed in cell.false_seeds[:FALSE_NAMED_AT_MOST]]
    named = [run.found[cell.reason] for run in confusion.rows[cell.truth.row] if cell.reason in run.found]
    yield ", ".join(seeds) + (", ..." if len(cell.false_seeds) > FALSE_NAMED_AT_MOST else "")
    yield f"{median(one.looks for one in named):.0f}"
    yield f"{named[0].evidence} (at {named[0].at:,.0f} s)"
