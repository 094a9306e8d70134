"""A short run of the faults in a real world, chosen by a seed; the nightly run has all kinds, many times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import choice
from tests.environment.model import DEFAULT_STATE, REPOSITORY, State
from tests.faults.record import load
from tests.sizes import full

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(choice.choose(State(DEFAULT_STATE)) != "local",
                       reason="the world of faults is made of the parts of the local environment"),
]
SEED, FAULTS = 1, full(12, 20)
VARIABLES = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'operator'}{os.pathsep}{REPOSITORY}"}


def played(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One of the harness's commands, as its user runs it."""
    argv = [sys.executable, "-m", module, *words]
    return subprocess.run(argv, cwd=REPOSITORY, env=VARIABLES, capture_output=True, text=True, timeout=900)


def test_a_short_run_of_faults_is_survived(tmp_path: Path) -> None:
    """The run prints the command that repeats it; its record is kept in pytest's folder."""
    output = tmp_path / "faults"
    words = ["--seed", str(SEED), "--faults", str(FAULTS), "--operators", "1", "--output", str(output)]
    done = played("tests.faults", *words)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    record = load(output)
    assert len(record.faults) >= FAULTS
    assert record.looks
    assert any(write.user in record.users and write.replicas is not None for write in record.writes)


def test_groups_whose_coordinator_moved_are_read_again_within_seconds() -> None:
    """The one before goes on, so that no connection ends; a poll a second, and brokers need a few to agree."""
    done = played("tests.faults.moved_coordinator")
    assert done.returncode == 0, done.stderr[-6000:]
    looks = [line for line in done.stdout.splitlines() if line[:1].isdigit()]
    *before, last = looks
    assert last.endswith(" known"), looks
    assert float(last.split()[0]) < 30, looks
    assert not [line for line in before if line.rstrip().endswith(":")], looks
