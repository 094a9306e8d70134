"""What is left of a run: the CSV, the figures, and whether it showed what it is there to show."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from tests.demo import scene
from tests.demo.failure import DemoFailed
from tests.demo.timeline import Row, changes, reaction, replica_seconds, reversals

REACTION_LIMIT_SECONDS = scene.POLLING_SECONDS + 2.0


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
    return [
        _reaction(rows),
        f"largest lag: {largest.lag:,} records, {largest.lag_seconds:.0f} s old (oldest: "
        f"{max(row.lag_seconds for row in rows):.0f} s); at the end: {rows[-1].lag:,} records",
        f"replicas: {path}; changes: {len(changed)}, reversals of direction: {reversals(changed)}",
        f"replica-seconds: {replica_seconds(rows):,.0f} in {rows[-1].seconds - rows[0].seconds:.0f} s",
    ]


def _reaction(rows: Sequence[Row]) -> str:
    found = reaction(rows, scene.LAG_PER_REPLICA, scene.TOLERANCE)
    limit = f"limit {REACTION_LIMIT_SECONDS:.1f} s: one polling interval + 2 s"
    if found is None:
        return f"reaction: the first scale-up came before the lag crossed the threshold ({limit})"
    verdict = "" if found.seconds <= REACTION_LIMIT_SECONDS else " LATE"
    times = f"threshold crossed at {found.crossed:.1f} s, more replicas at {found.patched:.1f} s"
    return f"reaction: {found.seconds:.1f} s{verdict} ({limit}; {times})"


def require_story(rows: Sequence[Row]) -> None:
    """Raise DemoFailed unless the consumers were scaled up, and down again when the load was gone."""
    changed = changes(rows)
    if not any(change.after > change.before for change in changed):
        raise DemoFailed("the scaler never scaled up")
    if not any(change.after < change.before for change in changed):
        raise DemoFailed("the scaler never scaled down again")
    if rows[-1].replicas_ready == 0:
        raise DemoFailed("no consumer was ready at the end")
