"""What producers install: pacing alone, with nothing of the operator's."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import confluent_kafka
import pytest

ROOT = Path(__file__).parents[2]
TREE = ROOT / "operator/kafka_consumer_scaler"
IMPORTS = """
import sys
sys.path[:0] = sys.argv[1:]
from kafka_consumer_scaler import pacing
assert pacing.TokenBucket(1, 1).try_take() == 0
assert pacing.RateSource("http://127.0.0.1:1/", timeout_seconds=1).refresh().origin == "unlimited"
assert "confluent_kafka" not in sys.modules
"""
PRODUCES = """
with pacing.RateSource("http://127.0.0.1:1/") as source:
    assert pacing.PacedProducer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, source).produce("a", b"x")
"""


def built(folder: Path, project: Path) -> set[str]:
    """The files of the project's wheel, which is unpacked into the folder."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=project, check=True, capture_output=True, timeout=120)
    (file,) = (folder / "dist").iterdir()
    with ZipFile(file) as wheel:
        wheel.extractall(folder / "site")
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution and nothing else."""
    folder = tmp_path_factory.mktemp("pacing")
    files = {f"kafka_consumer_scaler/pacing/{path.name}" for path in (TREE / "pacing").iterdir() if path.is_file()}
    assert built(folder, ROOT / "packages/pacing") == files
    return folder / "site"


def run(program: str, *paths: Path) -> None:
    words = [sys.executable, "-I", "-S", "-c", program, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_imported_and_used_with_the_standard_library_alone(site: Path) -> None:
    run(IMPORTS, site)


def test_a_paced_producer_needs_confluent_kafka_and_nothing_else(site: Path, tmp_path: Path) -> None:
    installed = Path(confluent_kafka.__file__).parent
    for each in installed.parent.glob("confluent_kafka*"):
        (tmp_path / each.name).symlink_to(each)
    run(IMPORTS + PRODUCES, site, tmp_path)


def test_the_wheels_of_the_operator_and_of_pacing_have_no_file_in_common(site: Path, tmp_path: Path) -> None:
    """So both can be installed side by side, and either be removed."""
    names = built(tmp_path, ROOT)
    assert "kafka_consumer_scaler/__init__.py" in names
    assert [name for name in names if "/pacing/" in name] == []


def test_it_has_the_versions_of_the_operator() -> None:
    ours, theirs = (tomllib.loads((folder / "pyproject.toml").read_text())["project"]
                    for folder in (ROOT / "packages/pacing", ROOT))
    assert (ours["version"], ours["requires-python"]) == (theirs["version"], theirs["requires-python"])
    assert set(ours["dependencies"]) < set(theirs["dependencies"])
