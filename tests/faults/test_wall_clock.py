"""A process has a wall clock of its own that can be stepped, and nothing else of it changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.environment import debian
from tests.environment.progress import Progress
from tests.faults.parts import BUILD_PACKAGES, wall_clock

TOLD = """
import pathlib, sys, time
clock = pathlib.Path(sys.argv[1])
for seconds in ("7200", "-3600", "0"):
    clock.write_text(seconds)
    began = time.monotonic()
    time.sleep(0.2)
    print(time.time(), time.monotonic() - began)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    debian.install({thing: BUILD_PACKAGES[thing] for thing in ("gcc", "/usr/include/stdlib.h")}, Progress(print))
    folder = tmp_path_factory.mktemp("clock")
    wall_clock().make(folder, folder / "log")
    return folder / "wall_clock.so"


def test_the_wall_clock_is_stepped_and_sleeps_last_as_long_as_they_should(library: Path) -> None:
    clock = library.parent / "offset"
    variables = {**os.environ, "LD_PRELOAD": str(library), "WALL_CLOCK_FILE": str(clock)}
    done = subprocess.run([sys.executable, "-c", TOLD, str(clock)], env=variables, capture_output=True, text=True,
                          timeout=60, check=True)
    times = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    assert [round((at - time.time()) / 3600) for at, _ in times] == [2, -1, 0]
    assert all(0.2 <= slept < 60 for _, slept in times)
