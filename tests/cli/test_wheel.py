"""What is installed has what the reports are made of, and both names of the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "operator/kafka_consumer_scaler/cli/templates"


def test_the_wheel_has_the_templates_and_the_plugin_of_kubectl(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (file,) = tmp_path.iterdir()
    with ZipFile(file) as wheel:
        names = set(wheel.namelist())
        scripts = next(name for name in names if name.endswith("/entry_points.txt"))
        commands = wheel.read(scripts).decode()
    templates = {f"kafka_consumer_scaler/cli/templates/{path.name}" for path in TEMPLATES.iterdir()}
    assert len(templates) == 3
    assert templates <= names
    assert "kubectl-kcs = kafka_consumer_scaler.__main__:main" in commands
