"""Installs and builds what tests need on this machine, before any of them runs: python -m tests.prepare [PATH...]

A test that finds its browser or its broker missing fails. So `make test` and `make check` run this first, for the paths
of the tests that they were given. What is there already takes a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests import lanes
from tests.docs.explain_picture import BROWSERS
from tests.environment import EnvironmentFailed, debian, local, recipes
from tests.environment.cache import ensure
from tests.environment.caller import client_tools
from tests.environment.progress import Progress
from tests.environment.tools import complain
from tests.faults import parts
from tests.telemetry import scraping

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def browser(progress: Progress) -> None:
    """Debian's chromium with a font, unless this machine has a browser that can be used."""
    if len(debian.missing(dict.fromkeys(BROWSERS, "chromium"))) == len(BROWSERS):
        debian.install({"chromium": "chromium", FONT: "fonts-dejavu-core"}, progress)


def prometheus(progress: Progress) -> None:
    """Prometheus and promtool, from PATH or from the cache."""
    if any(debian.missing(dict.fromkeys(scraping.PROGRAMS, "prometheus"))):
        ensure(recipes.prometheus(), progress)


def clients(progress: Progress) -> None:
    """kubectl and helm."""
    client_tools(progress)


def environment(progress: Progress) -> None:
    """The parts of a local environment; somebody's own cluster, and kind, need none."""
    if lanes.has_own_environments():
        local.build(progress)


def faults(progress: Progress) -> None:
    """The parts of the world that faults are injected into."""
    if lanes.has_own_environments():
        parts.build(progress)


NEEDS: dict[str, tuple[Callable[[Progress], None], ...]] = {
    "docs": (browser,),
    "telemetry": (prometheus,),
    "cluster": (environment, prometheus),
    "contracts": (environment,),
    "fuzz": (environment,),
    "faults": (environment, faults),
    "charts": (clients,),
}
"""By the folder below tests/. The clients come last, since an environment brings them. The unit tests in these folders
need less, and `make check` asks for no environment."""
REAL = (environment, faults)


def wanted(paths: Iterable[str], is_check: bool) -> list[Callable[[Progress], None]]:
    """What the tests below these paths need, each once; a path may name a test: `tests/x.py::test_y`."""
    files = [Path(path.partition("::")[0]).resolve() for path in paths]
    folders = [lanes.ROOT / "tests" / name for name in NEEDS]
    touched = [each for each in folders if any(one in (each, *each.parents) or each in one.parents for one in files)]
    needs = dict.fromkeys(need for folder in touched for need in NEEDS[folder.name])
    return [need for need in needs if not (is_check and need in REAL)]


def main(words: list[str]) -> int:
    """Answers the exit code: 0 all is there, 1 something cannot be had."""
    is_check = "--check" in words
    paths = [word for word in words if not word.startswith("-")] or ["tests"]
    try:
        for need in wanted(paths, is_check):
            need(Progress())
    except EnvironmentFailed as failure:
        complain("prepare", failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
