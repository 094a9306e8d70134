"""Mutation testing of the core: each small change to its code should make a test fail. mutmut makes the changes.

Each stage is tried against tests/core alone; decide() with its verdict also against the stories and the control loop's
tests. The properties take part in neither: a mutant that survives here may be killed by them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "operator" / "kafka_consumer_scaler" / "core"
RESULTS = ROOT / "benchmarks" / "results"
WHOLE = ("cycle", "verdict")
STAGE_TESTS = ("tests/core",)
WHOLE_TESTS = ("tests/core", "tests/stories", "tests/control/test_reconcile.py")
SETTINGS = """\
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{only}]
track_dependencies = false

[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
pythonpath = ["src", "."]
"""
GENERATE = """\
from pathlib import Path
from mutmut.__main__ import create_mutants
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
Path("mutants").mkdir()
copy_src_dir()
copy_also_copy_files()
create_mutants(1)
"""
LINE = re.compile(
    r"^kafka_consumer_scaler\.core\.(?P<module>\w+)\.(?P<name>\S+__mutmut_\d+) (?P<status>\w+) .*$", re.MULTILINE)
SHARE = "MUTANTS_SHARE"
"""The variable that gives `mutants_tried` the share of the mutants to try."""
KILLED = frozenset({"killed", "timeout"})


def main(words: list[str] | None = None) -> int:
    """Try the mutants in scratch folders; print the score of each file and keep the list of all that were tried."""
    asked = _parser().parse_args(words)
    stages = [each for each in asked.files if each not in WHOLE]
    whole = [each for each in asked.files if each in WHOLE]
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        listed = _tried(folder / "stages", stages, STAGE_TESTS, asked.share) if stages else ""
        listed += _tried(folder / "whole", whole, WHOLE_TESTS, asked.share) if whole else ""
    print(table(listed))
    return 0 if listed else 1


def _parser() -> argparse.ArgumentParser:
    files = sorted(path.stem for path in CORE.glob("[!_]*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=main.__doc__)
    parser.add_argument("files", nargs="*", default=files, metavar="FILE",
                        help="files of the core, such as `advice`; all of them by default")  # fmt: skip
    parser.add_argument("--share", type=float, default=1.0,
                        help="of the mutants, such as 0.06 for some 500 (%(default)s)")  # fmt: skip
    parser.add_argument("--folder", type=Path, help="kept, so that a run that was ended goes on where it was")
    return parser


def _tried(folder: Path, files: list[str], tests: tuple[str, ...], share: float) -> str:
    """A line for each try, by a session of pytest that tries them all; kept beside the other results."""
    _prepare(folder, files)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    subprocess.run(command, cwd=folder / "mutants", env=_variables() | {SHARE: str(share)}, check=False)
    found = folder / "mutants" / "tried.txt"
    listed = found.read_text() if found.exists() else ""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"mutants-{folder.name}.txt").write_text(listed)
    return listed


def _prepare(folder: Path, files: list[str]) -> None:
    """The mutated sources and the tests, below `mutants`. mutmut knows sources below `src` only."""
    if folder.exists():
        return
    shutil.copytree(ROOT / "operator", folder / "src")
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("environment", "__pycache__"))
    shutil.copy(ROOT / "benchmarks" / "mutants_tried.py", folder / "tests" / "conftest.py")
    only = _quoted(f"src/kafka_consumer_scaler/core/{each}.py" for each in files)
    (folder / "pyproject.toml").write_text(SETTINGS.format(only=only))
    command = [sys.executable, "-c", GENERATE]
    subprocess.run(command, cwd=folder, env=_variables(), stdout=subprocess.DEVNULL, check=True)


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{each}"' for each in words)


def _variables() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ""}


def table(listed: str) -> str:
    """Mutants, killed, survived and the share killed of each file of the core; the last try of a mutant counts."""
    tried = {(hit["module"], hit["name"]): hit["status"] in KILLED for hit in LINE.finditer(listed)}
    seen = Counter((module, is_dead) for (module, _), is_dead in tried.items())
    rows = ["| file | mutants | killed | survived | score |", "|---|---|---|---|---|"]
    rows += [_row(module, seen[module, True], seen[module, False]) for module in sorted({each for each, _ in seen})]
    killed = sum(count for (_, is_dead), count in seen.items() if is_dead)
    return "\n".join([*rows, _row("all", killed, sum(seen.values()) - killed)])


def _row(name: str, killed: int, survived: int) -> str:
    return f"| {name} | {killed + survived} | {killed} | {survived} | {killed / max(1, killed + survived):.0%} |"


if __name__ == "__main__":
    sys.exit(main())
