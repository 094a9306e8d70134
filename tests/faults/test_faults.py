"""A short run of the faults in a real world: one of each kind or nearly so, chosen by a seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import Environment
from tests.environment.model import REPOSITORY, Unsupported
from tests.faults.record import load

SEED, FAULTS = 1, 20


@pytest.mark.cluster
def test_a_short_run_of_faults_is_survived(environment: Environment, tmp_path: Path) -> None:
    """The run prints the command that repeats it; its record is kept in pytest's folder."""
    if environment.kind != "local":
        raise Unsupported("the world of faults is made of the parts of the local environment")
    output = tmp_path / "faults"
    words = ["--seed", str(SEED), "--faults", str(FAULTS), "--operators", "1", "--output", str(output)]
    variables = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'operator'}{os.pathsep}{REPOSITORY}"}
    done = subprocess.run([sys.executable, "-m", "tests.faults", *words], cwd=REPOSITORY, env=variables,
                          capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    record = load(output)
    assert len(record.faults) >= FAULTS
    assert record.looks
    assert any(write.user in record.users and write.replicas is not None for write in record.writes)
