"""What is left of a run: the CSV, the figures, and whether it showed what it is there to show."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from tests.demo import scene
from tests.demo.failure import DemoFailed
from tests.demo.timeline import Row, changes, first_scale_up, replica_seconds, reversals, seconds_over


def write_csv(rows: Sequence[Row], file: Path) -> None:
    with file.open("w", newline="") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)


def figures(rows: Sequence[Row]) -> list[str]:
    """The run in a few lines."""
    changed = changes(rows)
    largest = max(rows, key=lambda row: row.lag)
    path = " -> ".join(str(replicas) for replicas in (rows[0].replicas_spec, *(change.after for change in changed)))
    oldest = max(row.lag_seconds for row in rows)
    over = seconds_over(rows, scene.LAG_SECONDS)
    return [
        _first(rows),
        f"oldest record: {oldest:.0f} s (objective {scene.LAG_SECONDS} s, {over:.0f} s over it);"
        f" largest lag: {largest.lag:,} records; at the end: {rows[-1].lag:,}",
        f"replicas: {path}; changes: {len(changed)}, reversals of direction: {reversals(changed)}",
        f"replica-seconds: {replica_seconds(rows):,.0f} in {rows[-1].seconds - rows[0].seconds:.0f} s",
    ]


def _first(rows: Sequence[Row]) -> str:
    before = first_scale_up(rows)
    if before is None:
        return "first scale-up: none"
    after = before.seconds - scene.step_seconds()
    return f"first scale-up: {after:.0f} s after the load's step, with the oldest record at {before.lag_seconds:.0f} s"


def require_story(rows: Sequence[Row]) -> None:
    """Raise DemoFailed unless the consumers were scaled up, and down again when the load was gone."""
    changed = changes(rows)
    if not any(change.after > change.before for change in changed):
        raise DemoFailed("the scaler never scaled up")
    if not any(change.after < change.before for change in changed):
        raise DemoFailed("the scaler never scaled down again")
    if rows[-1].replicas_ready == 0:
        raise DemoFailed("no consumer was ready at the end")
