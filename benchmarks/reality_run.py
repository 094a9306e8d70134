"""What is kept of a real run, so that it can be compared again with a simulator that has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from kafka_consumer_scaler.api.snapshots import Look, looks_of
from tests.demo.timeline import Sample

FILE = RESULTS / "reality-run.json"


@dataclass(frozen=True)
class Told:
    """What the resource's status says at a time: the age of the oldest record, in seconds, None if it is unknown."""

    seconds: float
    age_seconds: float | None


@dataclass(frozen=True)
class RealRun:
    """One real run. Times are seconds since the load began, if nothing else is said.

    Args:
        began_at: when the load began, in seconds since the epoch.
        samples: of the broker and the cluster, about one a second.
        told: what the status said meanwhile.
        logs: each consumer's output by pod, each line behind its time as Kubernetes tells it.
        recorded: the operator's looks, as JSON lines.
        machine: its size, and how busy it was.
    """

    began_at: float
    samples: tuple[Sample, ...]
    told: tuple[Told, ...]
    logs: Mapping[str, str]
    recorded: str
    machine: str

    @property
    def day(self) -> str:
        """The day of the run: `23 November 2026`."""
        return f"{datetime.fromtimestamp(self.began_at, UTC):%-d %B %Y}"

    def looks(self) -> list[Look]:
        """The operator's looks, up to the end of the load."""
        over_at = self.began_at + self.samples[-1].seconds
        return [look for look in looks_of(self.recorded.encode().splitlines()) if look.snapshot.at <= over_at]

    def save(self, file: Path = FILE) -> None:
        """Write it as JSON."""
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(asdict(self)) + "\n")


def load(file: Path = FILE) -> RealRun:
    """The run that `save` wrote. Raises OSError when there is none."""
    values: dict[str, Any] = json.loads(file.read_text())
    samples = tuple(Sample(**{**each, "ends": tuple(each["ends"]), "committed": tuple(each["committed"])})
                    for each in values["samples"])
    told = tuple(Told(**each) for each in values["told"])
    return RealRun(**{**values, "samples": samples, "told": told})
