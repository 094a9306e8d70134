"""Mutation testing of the core: each small change to its code should make a test fail.

Each stage is tried against tests/core alone, and decide() with its verdict, which have no tests of their own, against
the stories of tests/stories. The properties take part in neither: a mutant that survives here may be killed by them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
WHOLE = ("cycle", "verdict")
SETTINGS = """\
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{only}]
do_not_mutate = [{never}]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-q"]
pytest_add_cli_args_test_selection = ["{tests}"]

[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
pythonpath = ["src", "."]
"""
LINE = re.compile(r"^\s*kafka_consumer_scaler\.core\.(?P<module>\w+)\.\S+__mutmut_\d+: (?P<status>[\w ]+)$")
KILLED = frozenset({"killed", "timeout"})


def main() -> int:
    """Run mutmut in scratch folders; print the score of each file and keep the list of all mutants."""
    whole = ", ".join(f'"{_file(name)}"' for name in WHOLE)
    listed = _run("stages", SETTINGS.format(only=f'"{_file("*")}"', never=whole, tests="tests/core"))
    listed += _run("whole", SETTINGS.format(only=whole, never="", tests="tests/stories"))
    print(table(listed))
    return 0 if listed else 1


def _file(name: str) -> str:
    return f"src/kafka_consumer_scaler/core/{name}.py"


def _run(name: str, settings: str) -> str:
    """mutmut knows sources below `src` only."""
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(ROOT / "operator", folder / "src")
        shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("environment", "__pycache__"))
        (folder / "tests" / "conftest.py").unlink()
        (folder / "pyproject.toml").write_text(settings)
        subprocess.run([mutmut, "run", "--max-children", "2"], cwd=folder, check=False)
        ask = [mutmut, "results", "--all", "true"]
        listed = subprocess.run(ask, cwd=folder, capture_output=True, text=True, check=False).stdout
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"mutants-{name}.txt").write_text(listed)
    return listed


def table(listed: str) -> str:
    """Mutants, killed, survived and the share killed of each file of the core, from mutmut's list."""
    found = [LINE.match(line) for line in listed.splitlines()]
    seen = Counter((hit["module"], hit["status"] in KILLED) for hit in found if hit)
    rows = ["| file | mutants | killed | survived | score |", "|---|---|---|---|---|"]
    rows += [_row(module, seen[module, True], seen[module, False]) for module in sorted({each for each, _ in seen})]
    killed = sum(count for (_, is_dead), count in seen.items() if is_dead)
    return "\n".join([*rows, _row("all", killed, sum(seen.values()) - killed)])


def _row(name: str, killed: int, survived: int) -> str:
    return f"| {name} | {killed + survived} | {killed} | {survived} | {killed / max(1, killed + survived):.0%} |"


if __name__ == "__main__":
    sys.exit(main())
