"""What is said before a first build: what is built, how long it takes on this machine, and that it may be stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cache import Part, cache_folder
from .forecast import cores, roughly
from .progress import Progress

PACKAGE_SECONDS = 1.5
"""Installing a named Debian package with what it needs, as measured: 7 of them took 11 s."""
IMAGE_SECONDS = 9.0
"""Making the Debian image of the Debian base, as measured."""


@dataclass(frozen=True)
class Job:
    """One line of the plan: a part or a step, its seconds on this machine, and the share that earlier runs left."""

    name: str
    seconds: float
    megabytes: int = 0
    kept: float = 0.0


def absent(parts: Sequence[Part]) -> list[Part]:
    """The parts that are not in the cache."""
    return [part for part in parts if not (cache_folder() / part.key).exists()]


def announce(parts: Sequence[Part], progress: Progress, more: Mapping[str, float] | None = None) -> None:
    """Say the plan for what is missing of the parts, with `more` steps and their seconds; nothing when none is."""
    missing = absent(parts)
    if missing:
        steps = [Job(name, seconds) for name, seconds in (more or {}).items()]
        progress.say(plan([*steps, *(job for part in missing for job in _jobs(part))], cores()))


def plan(jobs: Sequence[Job], on_cores: float) -> str:
    """The plan's three lines: the total on this machine, the jobs, and how to stop."""
    whole, megabytes = sum(job.seconds for job in jobs), sum(job.megabytes for job in jobs)
    word = "core" if on_cores == 1 else "cores"
    downloads = f", with {megabytes} MB of downloads" if megabytes else ""
    return "\n".join((
        f"to be built once: {roughly(whole)} on this machine ({on_cores:g} {word}), if nothing else runs{downloads}",
        "  " + "; ".join(map(_line, jobs)),
        "  ^C stops it; the same command then goes on where it stopped",
    ))  # fmt: skip


def _line(job: Job) -> str:
    there = f" ({job.kept:.0%} is there)" if job.kept >= 0.01 else ""
    return f"{job.name}: {roughly(job.seconds)}{there}"


def _jobs(part: Part) -> list[Job]:
    if part.effort is None:
        return []
    kept, name = part.effort.kept(), f"{part.name} {part.version}"
    return [Job(name, part.effort.here() * (1 - kept), 0 if kept else part.effort.megabytes, kept)]
