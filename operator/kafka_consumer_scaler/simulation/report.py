"""What is left of a simulation to read: summary.json and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kafka_consumer_scaler.simulation.compare import Comparison, total
from kafka_consumer_scaler.simulation.score import Score

HEAD: Final = ("max lag s", "s over objective", "replica-s", "changes", "reversals", "rebalance s", "lost")
ALL: Final = "all"


def summary(comparison: Comparison) -> dict[str, Any]:
    """The eight figures of each policy, and what was chosen in hindsight."""
    thresholds = {name: {_CHOSEN[name]: value} for name, value in comparison.chosen.items()}
    policies = {name: each.as_json() for name, each in comparison.scores.items()}
    return {"policies": policies, "thresholds": thresholds}


_CHOSEN: Final = {"keda": "lag_threshold", "static": "replicas"}


def summary_of_families(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The summary of each family by its name."""
    return {"families": {each.workload.name: summary(each) for each in comparisons}}


def write_summary(values: Mapping[str, Any], file: Path) -> None:
    """Write JSON of the same bytes for the same values."""
    file.write_text(json.dumps(values, indent=2) + "\n")


def table(comparison: Comparison) -> str:
    """A row for each policy; Markdown, aligned."""
    rows = [(comparison.label(name), *cells(each)) for name, each in comparison.scores.items()]
    return markdown(("policy", *HEAD), rows)


def table_of_families(comparisons: Sequence[Comparison]) -> str:
    """A row for each policy in each family, and one for each policy over all of them."""
    rows = [(each.workload.name, each.label(name), *cells(one))
            for each in comparisons for name, one in each.scores.items()]
    if len(comparisons) > 1:
        rows += [(ALL, name, *cells(total(each.scores[name] for each in comparisons)))
                 for name in comparisons[0].scores]
    return markdown(("family", "policy", *HEAD), rows)


def cells(score: Score) -> tuple[str, ...]:
    """A score in the order of `HEAD`."""
    counts = (score.seconds_over_objective, score.replica_seconds, score.scale_changes, score.direction_reversals,
              score.rebalance_seconds, score.records_lost)
    return f"{score.lag_seconds_max:,.0f}", *(f"{each:,.0f}" for each in counts)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is aligned in plain text too; numbers to the right."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    numeric = [_is_numeric(rows, column) for column in range(len(head))]
    rule = [f"{'-' * (width - 1)}:" if right else "-" * width for width, right in zip(widths, numeric, strict=True)]
    return "\n".join(_line(each, widths, numeric) for each in (head, rule, *rows))


def _line(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (cell.rjust(width) if right else cell.ljust(width)
              for cell, width, right in zip(line, widths, numeric, strict=True))
    return f"| {' | '.join(padded)} |"


def _is_numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    return bool(rows) and all(row[column][:1].isdigit() for row in rows)
