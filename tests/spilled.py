"""At the end of the session all that was said in it is searched for every secret value that its tests planted.

Said is what pytest captured of each test, passed ones too, with what child processes wrote; the logs in the tests'
temporary folders, which are those of operators and helpers; and what fixtures hand to `SUITE.say`: what kubectl and
helm printed, logs that are read from pipes, metrics and recordings. A value that came to light fails the session, which
names the test, the source and the secret, and never the value.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.planted import SUITE, forms

LOGS = ("*.log", "log", "*.out", "*.err")
GREP = ("grep", "--recursive", "--text", "--fixed-strings", "--files-with-matches")
WORKER = "workeroutput"
"""Where a worker of pytest-xdist puts what the session that started it gets to know."""


class Spilled:
    """The plugin; a worker of pytest-xdist searches what it has seen, and tells the session that started it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._found: list[str] = []
        self._searched = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "teardown":
            for title, text in report.sections:
                SUITE.said.append((f"{item.nodeid}, {title}", text))
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, WORKER, {})
        self._found += told.get("spilled", [])
        self._searched += told.get("searched", 0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        texts = _with_logs(SUITE.said, _folder_of_tests(self._config))
        self._found += spilled(SUITE.values, texts)
        self._searched += len(texts)
        told: dict[str, Any] | None = getattr(self._config, WORKER, None)
        if told is not None:
            told |= {"spilled": self._found, "searched": self._searched}
        elif self._found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._found:
            terminalreporter.section("secrets that came to light", red=True)
        for line in self._found:
            terminalreporter.line(line)
        terminalreporter.line(f"{self._searched} outputs searched for planted secrets, {len(self._found)} found")


def spilled(values: Mapping[str, str], texts: Sequence[tuple[str, str]]) -> list[str]:
    """`SOURCE: SECRET` of each text that holds a value in any form, by their names.

    grep takes thousands of words at once; only where it finds one is asked which.
    """
    suspects = _with_any({form for value in values for form in forms(value)}, [text for _, text in texts])
    found = [(texts[index], name) for index in suspects for value, name in values.items()
             if any(form in texts[index][1] for form in forms(value))]  # fmt: skip
    return sorted({f"{source}: {name}" for (source, _), name in found})


def _with_any(words: set[str], texts: Sequence[str]) -> list[int]:
    """Which of the texts hold any of the words; the files that grep reads are gone afterwards."""
    if not words or not texts:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        folder, list_of_words = Path(scratch, "said"), Path(scratch, "words")
        folder.mkdir()
        list_of_words.write_text("\n".join(sorted(words)) + "\n")
        for index, text in enumerate(texts):
            (folder / str(index)).write_text(text, errors="replace")
        asked = [*GREP, "-f", str(list_of_words), "."]
        done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode > 1:
        raise RuntimeError(f"grep: {done.stderr}")
    return sorted(int(Path(line).name) for line in done.stdout.splitlines())


def _with_logs(said: Sequence[tuple[str, str]], folder: Path | None) -> list[tuple[str, str]]:
    """What was said, and each log file of the tests' temporary folders; those are named after the tests."""
    files = [file for pattern in LOGS for file in (folder.rglob(pattern) if folder else ()) if file.is_file()]
    return [*said, *((str(file.relative_to(folder or "/")), file.read_text(errors="replace")) for file in files)]


def _folder_of_tests(config: pytest.Config) -> Path | None:
    """Where the tests' temporary folders of this session are; None when no test had one."""
    factory = getattr(config, "_tmp_path_factory", None)
    return getattr(factory, "_basetemp", None)
