"""When a polling process that has grown is replaced in order: a law of its resident memory.

Its memory ten minutes after its start, when every client is connected and every cache is filled, is its baseline. It
has a leak when it has more than twice that and 64 MiB more; it is replaced for one at most once an hour. Worked: with
a baseline of 40 MiB it may have 144 MiB. A client that loses 1 MiB a minute costs a replacement every 114 minutes.
Clusters that are added after the baseline was taken look like a leak once: 100 of them with 1.2 MiB each are 160 MiB,
above 144, and the next child's baseline has them in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize

from kafka_consumer_scaler.core.snapshot import Unknown

MIB = 2**20
NOT_YET = Unknown("it has not run for long enough")


@dataclass(frozen=True, slots=True)
class Recycling:
    """The law's numbers.

    Args:
        look_seconds: between two looks at the memory.
        settled_seconds: the age of the process at which its baseline is taken.
        growth: how many times the baseline it may have, and
        margin_bytes: how much more than that.
        rest_seconds: between two replacements.
    """

    look_seconds: float = 60.0
    settled_seconds: float = 600.0
    growth: float = 2.0
    margin_bytes: int = 64 * MIB
    rest_seconds: float = 3600.0

    def limit_bytes(self, baseline_bytes: int) -> float:
        """What a process of this baseline may have."""
        return self.growth * baseline_bytes + self.margin_bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """The memory of one process. Times are of the monotonic clock; from `rested` on it may be replaced."""

    started: float
    rested: float
    resident_bytes: int | Unknown = NOT_YET
    baseline_bytes: int | Unknown = NOT_YET

    def with_look(self, resident_bytes: int | Unknown, now: float, law: Recycling) -> Growth:
        """The first look at a process that has settled is its baseline."""
        settled = now - self.started >= law.settled_seconds
        baseline = resident_bytes if settled and isinstance(self.baseline_bytes, Unknown) else self.baseline_bytes
        return Growth(self.started, self.rested, resident_bytes, baseline)

    def is_leak(self, now: float, law: Recycling) -> bool:
        """Whether the process is to be replaced now; never while its memory is not known."""
        if isinstance(self.resident_bytes, Unknown) or isinstance(self.baseline_bytes, Unknown):
            return False
        return now >= self.rested and self.resident_bytes > law.limit_bytes(self.baseline_bytes)

    def __str__(self) -> str:
        """`from 40 MiB to 150 MiB`."""
        return f"from {_mib(self.baseline_bytes)} to {_mib(self.resident_bytes)}"


def _mib(size: int | Unknown) -> str:
    return size.why if isinstance(size, Unknown) else f"{size / MIB:.0f} MiB"


def resident_bytes(pid: int) -> int | Unknown:
    """The process's resident memory, by Linux's /proc; Unknown where there is none."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()
    except (OSError, LookupError, ValueError):
        return Unknown("the system does not tell its memory")
