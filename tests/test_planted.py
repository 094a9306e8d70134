"""The search at the end of a session: it finds a secret in every place, fails the session, and tells no value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted import SUITE, Planted, Suite, current_test
from tests.spilled import spilled

ROOT = Path(__file__).parents[1]
CONFTEST = """\
import pytest
from tests.spilled import Spilled

def pytest_configure(config):
    config.pluginmanager.register(Spilled(config))
"""
BEGINNING = """\
import base64, logging, subprocess, sys
import pytest
from tests.planted import SUITE

def secret(letter):
    return SUITE.plant(f"correct-{letter}-horse-battery", f"the horse {letter}")

@pytest.fixture
def helper():
    yield
    print(secret("f"))
"""


def session(folder: Path, body: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A session of one file with the plugin; its own tests pass."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(BEGINNING + body)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir",
               str(folder), "--basetemp", str(folder / "temporary"), *words, str(folder / "test_it.py")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"})


SPILLS = """\
def test_printed(): print("so", secret("a"))
def test_logged(): logging.getLogger("x").warning("so %s", secret("b"))
def test_by_a_child(): subprocess.run([sys.executable, "-c", f"import sys; sys.stderr.write({secret('c')!r})"])
def test_in_a_log(tmp_path): (tmp_path / "an.log").write_bytes(base64.b64encode(b"xy" + secret("d").encode() + b"z"))
def test_shown(): SUITE.say("kubectl get events", f"x{secret('e')}")
def test_by_a_fixture(helper): pass
def test_before_it_is_planted(): print("correct-g-horse-battery")
def test_that_plants_it_then(): secret("g")
"""
CAME_TO_LIGHT = {
    "test_it.py::test_printed, Captured stdout call: the horse a",
    "test_it.py::test_logged, Captured log call: the horse b",
    "test_it.py::test_by_a_child, Captured stderr call: the horse c",
    "test_in_a_log0/an.log: the horse d",
    "test_it.py::test_shown, kubectl get events: the horse e",
    "test_it.py::test_by_a_fixture, Captured stdout teardown: the horse f",
    "test_it.py::test_before_it_is_planted, Captured stdout call: the horse g",
}


def test_secrets_that_come_to_light_fail_the_session_and_are_named_and_not_shown(tmp_path: Path) -> None:
    done = session(tmp_path, SPILLS)
    assert "8 passed" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert {line for line in done.stdout.splitlines() if ": the horse" in line} == CAME_TO_LIGHT
    assert "-horse-battery" not in done.stdout + done.stderr


def test_a_worker_tells_the_session_that_started_it(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    done = session(tmp_path, SPILLS, "-n", "1")
    assert "8 passed" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    found = {line.rpartition("popen-gw0/")[2] for line in done.stdout.splitlines() if ": the horse" in line}
    assert found == CAME_TO_LIGHT


def test_where_nothing_came_to_light_the_session_passes_and_tells_how_much_was_searched(tmp_path: Path) -> None:
    quiet = ("def test_a(tmp_path):\n    print('fine')\n    (tmp_path / 'log').write_text('x')\n"
             "    (tmp_path / 'manifest.yaml').write_text(secret('a'))")
    done = session(tmp_path, quiet)
    assert done.returncode == 0
    assert "2 outputs searched for planted secrets, 0 found" in done.stdout


def test_every_secret_is_looked_for_in_every_text() -> None:
    suite, planted = Suite(), Planted()
    pem = suite.plant("-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END KEY-----\n", "a key")
    word = suite.plant(planted.new(), "a word")
    texts = [("one", f"x{pem.splitlines()[2]}y"), ("two", "nothing"), ("three", f"%{word.replace('&', '%26')}%{pem}"),
             ("four", "-----BEGIN KEY-----")]
    assert spilled(suite.values, texts) == ["one: a key", "three: a key", "three: a word"]


def test_a_value_that_may_occur_by_chance_is_not_looked_for() -> None:
    suite = Suite()
    assert suite.plant("wrong", "a word") == "wrong"
    assert suite.values == {}


def test_the_last_of_a_thousand_secrets_is_found_in_the_last_of_many_texts() -> None:
    values = {f"value-number-{number:06}-of-many": f"secret {number}" for number in range(1000)}
    texts = [(f"log {number}", f"a line of a log, {number}\n" * 4000) for number in range(50)]
    assert spilled(values, [*texts, ("last", "so: value-number-000999-of-many.")]) == ["last: secret 999"]


def test_what_is_planted_is_named_by_its_test_and_searched_for_in_the_whole_suite() -> None:
    word = Planted().new()
    assert SUITE.values[word] == f"a value planted by {current_test()}"
    assert current_test() == (
        "tests/test_planted.py::test_what_is_planted_is_named_by_its_test_and_searched_for_in_the_whole_suite")
