"""Programs built from Go modules, and how far their build is: Go says which packages it still has to compile."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from . import debian
from .forecast import Done, Effort
from .progress import run

MODULE = Path(__file__).resolve().parent / "go"
PLAIN = {"CGO_ENABLED": "0"}
MODULES = 223
"""The modules that a first build downloads: a `go: downloading` line for each."""
DOWNLOADS = 0.03
"""The share of a first build's time until the first package is compiled."""
LINKS = 0.04
"""The share of it that is left when every package is compiled: the programs are linked again in each run."""
PACE = (0.0, 0.05, 0.15, 0.21, 0.29, 0.35, 0.46, 0.57, 0.68, 0.85, 1.0)
"""The share of a first build's time at each tenth of its packages: the last ones are the large ones."""


def compile_into(draft: Path, log: Path, command: Sequence[str], targets: Sequence[str]) -> None:
    """Run this `go build` of the targets. The log's first line says how many packages are not compiled yet."""
    debian.go_is_new_enough()
    run(_listing(targets), log, cwd=MODULE, env=PLAIN)
    heading = _heading(log.read_text(errors="replace").splitlines())
    run([*command[:2], "-o", f"{draft}/", *command[2:]], log, cwd=MODULE, env=PLAIN, heading=heading)


def effort(core_seconds: float, megabytes: int, targets: Sequence[str]) -> Effort:
    """What the build of these targets takes, and how far it is."""
    return Effort(core_seconds, 15, megabytes, read, _kept(targets))


def read(lines: Sequence[str]) -> Done:
    """What is done: modules downloaded before the heading is there, packages compiled after it."""
    heading = re.match(r"to compile: (\d+) of (\d+) packages", lines[0]) if lines else None
    if heading is None:
        return Done(DOWNLOADS * min(1.0, sum(line.startswith("go: downloading") for line in lines) / MODULES))
    begun = sum(not line.startswith("go: ") for line in lines[1:])
    there = int(heading[2]) - int(heading[1])
    return Done(_share(there + begun, int(heading[2])), _share(there, int(heading[2])))


def _share(packages: int, total: int) -> float:
    """The share of the time at which a first build has begun this many of its packages."""
    tenths = min(1.0, packages / max(1, total)) * (len(PACE) - 1)
    low = min(int(tenths), len(PACE) - 2)
    compiled = PACE[low] + (PACE[low + 1] - PACE[low]) * (tenths - low)
    return DOWNLOADS + (1 - DOWNLOADS - LINKS) * compiled


def _kept(targets: Sequence[str]) -> Callable[[], float]:
    """What Go's own cache holds of the targets. Nothing is downloaded for the answer."""

    def kept() -> float:
        environment = {**os.environ, **PLAIN, "GOPROXY": "off"}
        try:
            done = subprocess.run(_listing(targets), cwd=MODULE, env=environment, capture_output=True, text=True)
        except FileNotFoundError:
            return 0.0
        return read([_heading(done.stdout.splitlines())]).now if done.returncode == 0 else 0.0

    return kept


def _listing(targets: Sequence[str]) -> list[str]:
    words = "{{if .Stale}}to compile{{else}}compiled{{end}}: {{.ImportPath}}"
    return ["go", "list", "-deps", "-trimpath", "-f", words, *targets]


def _heading(listed: Sequence[str]) -> str:
    stale = sum(line.startswith("to compile: ") for line in listed)
    total = stale + sum(line.startswith("compiled: ") for line in listed)
    return f"to compile: {stale} of {total} packages\n"
