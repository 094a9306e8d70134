"""How long a build takes on this machine, and how far it is: from what was measured once, and from its tool's log."""

from __future__ import annotations

import functools
import math
import os
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MEASURED_ROUNDS = 380.0
"""Rounds a second of `speed` on the machine on which efforts were measured (docs/environment.md)."""
CALIBRATION_SECONDS = 0.2
SLOWEST = 10.0
MOST = 0.99
"""The share that is shown at most before the end."""


@dataclass(frozen=True)
class Done:
    """The share of a build that is done, by time, 0 to 1; and the share of it that earlier runs left."""

    now: float
    before: float = 0.0


@dataclass(frozen=True)
class Effort:
    """What a part takes from nothing, as measured, and how its log shows what is done.

    Args:
        core_seconds: work that all cores share, on the measured machine.
        seconds: what more cores do not shorten: downloads, and steps one after another.
        megabytes: what is downloaded.
        read: what is done, from the lines of the log.
        kept: the share that earlier runs left, 0 to 1, before anything runs.
    """

    core_seconds: float
    seconds: float
    megabytes: int
    read: Callable[[Sequence[str]], Done]
    kept: Callable[[], float] = lambda: 0.0

    def here(self) -> float:
        """Seconds from nothing on this machine, when nothing else runs on it."""
        return self.core_seconds / (cores() * speed()) + self.seconds


@dataclass(frozen=True)
class Stage:
    """A stage of a build: what its lines in the log match, how many come, and its share of the build's time."""

    pattern: str
    lines: int
    share: float


def staged(lines: Sequence[str], stages: Sequence[Stage]) -> Done:
    """What is done by the last stage that has begun. Stages before it are over, also those that had nothing to do."""
    counts = [sum(re.match(stage.pattern, line) is not None for line in lines) for stage in stages]
    begun = [number for number, count in enumerate(counts) if count]
    if not begun:
        return Done(0.0)
    last = stages[begun[-1]]
    over = sum(stage.share for stage in stages[: begun[-1]])
    return Done(over + last.share * min(1.0, counts[begun[-1]] / last.lines))


def left(done: Done, elapsed: float, whole: float) -> float:
    """Seconds to go of a build that takes `whole` seconds from nothing; never below 0.

    At first they go by what was measured, towards the end by how fast this run has been: half-way, by half of each.
    A run counts as ten times slower than planned at most, so that a log that says nothing yet says nothing of time.
    """
    ours = 1 - done.before
    if ours <= 0:
        return 0.0
    mine, planned = max(0.0, done.now - done.before) / ours, ours * whole
    return (1 - mine) * ((1 - mine) * planned + min(elapsed, SLOWEST * mine * planned))


class Gauge:
    """How far one running build is. The share never goes back, and is never over 99%."""

    def __init__(self, effort: Effort, log: Path) -> None:
        self._effort, self._log, self._whole = effort, log, effort.here()
        self._highest = 0.0

    def read(self, elapsed: float) -> tuple[float, float]:
        """The share that is done, and the seconds to go, `elapsed` seconds after this run began."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        done = self._effort.read(lines)
        self._highest = max(self._highest, min(done.now, MOST))
        return self._highest, left(Done(self._highest, min(done.before, self._highest)), elapsed, self._whole)


def roughly(seconds: float) -> str:
    """A duration as precise as a forecast can be: "a few seconds", "about 40 s", "about 6 min"."""
    if seconds < 7.5:
        return "a few seconds"
    if seconds < 55:
        return f"about {max(10, round(seconds / 10) * 10)} s"
    return f"about {max(1, round(seconds / 60))} min"


def bar(share: float, width: int = 20) -> str:
    """A bar of this many characters between brackets; it is full at 1 only."""
    full = int(share * width)
    return f"[{'#' * full}{'.' * (width - full)}]"


def cores() -> float:
    """The cores that this process may use, by its affinity and by the quota of its cgroup."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(float(allowed), quota())


def quota(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores by the quota of this cgroup (version 2 or 1); infinite when there is none."""
    with_period = [root / "cpu" / "cpu.cfs_quota_us", root / "cpu" / "cpu.cfs_period_us"]
    files = [root / "cpu.max"] if (root / "cpu.max").exists() else with_period
    if not all(file.exists() for file in files):
        return math.inf
    allowed, period = " ".join(file.read_text() for file in files).split()
    return int(allowed) / int(period) if allowed.isdigit() else math.inf


@functools.cache
def speed() -> float:
    """How fast a core of this machine is: 1 is the measured one. Compresses for a fifth of a second to find out."""
    text, rounds, began = " ".join(map(str, range(20_000))).encode(), 0, time.process_time()
    while time.process_time() - began < CALIBRATION_SECONDS:
        zlib.compress(text)
        rounds += 1
    return rounds / (time.process_time() - began) / MEASURED_ROUNDS
