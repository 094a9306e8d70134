"""A first build: its plan, its bar, its estimate; and that it can be stopped and goes on."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.environment import cache, debian, first_build, forecast, go_build, progress, recipes
from tests.environment.forecast import Done, Effort, Gauge, Stage, left, staged
from tests.environment.model import REPOSITORY, EnvironmentFailed
from tests.environment.progress import Progress
from tests.environment.test_environment import SILENT, program
from tests.waiting import eventually

STANDS_STILL = 60.0
"""Seconds that a machine may stand still without a test failing."""
SAMPLES = (
    (15, 364), (30, 574), (60, 823), (90, 1289), (120, 1616), (150, 1942), (180, 2214), (210, 2429), (240, 2717),
    (270, 2941), (300, 3032), (330, 3166), (356, 3366),
)  # fmt: skip
"""The measured first build of Kubernetes on 2 cores: seconds, and lines of its log; 223 are of downloads."""


def done_by(steps: int) -> Effort:
    """An effort whose log has this many lines at the end, of 100 s on any machine."""
    return Effort(0, 100, 7, lambda lines: Done(len(lines) / steps))


class TestProgress:
    """Work is seen, its failure is explained, and nothing outlives us."""

    def test_a_failing_tool_ends_with_its_last_twenty_lines(self, tmp_path: Path) -> None:
        with pytest.raises(EnvironmentFailed, match="sh failed with status 3") as failure:
            progress.run(["sh", "-c", "seq 1 50; exit 3"], tmp_path / "sh.log")
        assert failure.value.log == tuple(str(number) for number in range(31, 51))

    def test_a_log_begins_with_its_heading(self, tmp_path: Path) -> None:
        progress.run(["echo", "compiled"], tmp_path / "log", heading="to compile: 1\n")
        assert (tmp_path / "log").read_text() == "to compile: 1\ncompiled\n"

    def test_a_long_step_shows_the_elapsed_time_and_the_tools_last_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.05)
        said: list[str] = []
        (tmp_path / "x.log").write_text("compiling a\ncompiling b\n\n")
        with Progress(said.append).step("building x", tmp_path / "x.log"):
            eventually(lambda: len(said) > 1, STANDS_STILL)
        assert said[0] == "building x ..."
        assert re.fullmatch(r"building x ... \d\d:\d\d \(last: compiling b\)", said[1])
        assert re.fullmatch(r"building x: \d\d:\d\d", said[-1])

    def test_a_step_with_a_known_effort_shows_the_percent_and_the_time_left_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.05)
        said: list[str] = []
        (tmp_path / "x.log").write_text("one\ntwo\n")
        with Progress(said.append).step("building x", tmp_path / "x.log", done_by(4)):
            eventually(lambda: len(said) > 1, STANDS_STILL)
        assert re.fullmatch(r"building x ... 50%, \d\d:\d\d, about \d+ (s|min) left \(last: two\)", said[1])

    def test_on_a_terminal_one_line_with_a_bar_changes_in_place(self, tmp_path: Path) -> None:
        (tmp_path / "x.log").write_text("one\ntwo\n")
        code = "import sys; from pathlib import Path; from tests.environment.progress import Progress\n"
        code += "from tests.environment.forecast import Done, Effort\n"
        code += "effort = Effort(0, 100, 0, lambda lines: Done(len(lines) / 4))\n"
        code += f"with Progress().step('building x', Path('{tmp_path}/x.log'), effort): sys.stdin.readline()"
        with _on_a_terminal(code) as (screen, process):
            shown = _read_until(screen, r"left")
            os.write(screen, b"\n")
            shown += _read_until(screen, r"building x: \d\d:\d\d")
            process.wait(STANDS_STILL)
        assert re.search(r"\r\x1b\[Kbuilding x \[#{10}\.{10}\] 50%, \d\d:\d\d, about \d+ (s|min) left", shown)
        assert shown.count("\n") <= 2  # our own, echoed, and that of the last line

    def test_elapsed_time_is_minutes_and_seconds(self) -> None:
        assert [progress.clock(seconds) for seconds in (0, 59.9, 105.2, 3600)] == ["00:00", "00:59", "01:45", "60:00"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces, which needs root")
    def test_a_tool_dies_with_the_process_that_started_it_even_if_that_is_killed(self, tmp_path: Path) -> None:
        mark = f"{time.time():.6f}"
        code = "from pathlib import Path; from tests.environment.progress import run\n"
        code += f"run(['sleep', '{mark}'], Path('{tmp_path}/log'))"
        starter = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
        eventually(lambda: _sleepers(mark) > 0, STANDS_STILL)
        starter.kill()
        starter.wait()
        eventually(lambda: _sleepers(mark) == 0, STANDS_STILL)


class TestShare:
    """What is done, from the lines of the tool's log."""

    def test_the_share_grows_with_the_lines_and_stops_at_99_percent_when_they_outrun_the_expectation(
        self, tmp_path: Path
    ) -> None:
        log, gauge = tmp_path / "log", Gauge(done_by(4), tmp_path / "log")
        shown = []
        for lines in (0, 1, 3, 4, 9):
            log.write_text("line\n" * lines)
            shown.append(gauge.read(1.0)[0])
        assert shown == [0, 0.25, 0.75, 0.99, 0.99]

    def test_it_never_goes_back_when_the_next_tool_begins_the_log_again(self, tmp_path: Path) -> None:
        log, gauge = tmp_path / "log", Gauge(done_by(4), tmp_path / "log")
        log.write_text("line\n" * 3)
        gauge.read(1.0)
        log.write_text("")
        assert gauge.read(2.0)[0] == 0.75

    def test_a_log_that_is_not_there_yet_is_nothing_done(self, tmp_path: Path) -> None:
        assert Gauge(done_by(4), tmp_path / "absent").read(0.0) == (0.0, 100.0)

    def test_a_stage_that_had_nothing_to_do_is_over_when_the_next_one_begins(self) -> None:
        stages = (Stage("fetched ", 100, 0.8), Stage("copied ", 10, 0.2))
        assert staged([], stages).now == 0
        assert staged(["fetched a"] * 50, stages).now == pytest.approx(0.4)
        assert staged(["copied a"] * 5, stages).now == pytest.approx(0.9)

    @pytest.mark.parametrize("stages", [recipes.MAVEN_STAGES, recipes.DEBIAN_STAGES])
    def test_the_stages_of_a_recipe_are_nearly_all_of_its_time(self, stages: Sequence[Stage]) -> None:
        assert 0.95 <= sum(stage.share for stage in stages) <= 1.0

    def test_gos_downloads_are_a_small_share(self) -> None:
        assert go_build.read(["go: downloading k8s.io/kubernetes v1.37.2"] * 223).now == go_build.DOWNLOADS

    def test_what_go_compiled_in_an_earlier_run_is_done_before_this_one(self) -> None:
        resumed = go_build.read(["to compile: 1572 of 3144 packages"])
        assert resumed.now == resumed.before > 0.3
        further = go_build.read(["to compile: 1572 of 3144 packages", *["k8s.io/api"] * 786])
        assert further.now > further.before == resumed.before

    def test_with_every_package_compiled_linking_is_what_is_left(self) -> None:
        assert go_build.read(["to compile: 0 of 3144 packages"]).now == pytest.approx(1 - go_build.LINKS)

    def test_the_measured_build_is_shown_as_far_as_it_was(self) -> None:
        assert all(abs(_measured(lines).now - seconds / 356) <= 0.06 for seconds, lines in SAMPLES)


class TestEstimate:
    """The time left."""

    def test_the_measured_build_is_foreseen_within_half_a_minute(self) -> None:
        assert all(abs(left(_measured(lines), seconds, 355) - (356 - seconds)) <= 30 for seconds, lines in SAMPLES)

    def test_a_slow_run_takes_longer_than_planned_and_a_fast_one_less(self) -> None:
        assert left(Done(0.5), 100, 100) > left(Done(0.5), 50, 100) == 50 > left(Done(0.5), 10, 100)

    def test_a_log_that_says_nothing_yet_leaves_the_plan_as_it_is(self) -> None:
        assert [left(Done(0.0), elapsed, 100) for elapsed in (0, 50, 500)] == [100, 100, 100]

    def test_what_earlier_runs_left_takes_no_time(self) -> None:
        assert left(Done(0.75, before=0.75), 0, 100) == 25

    def test_it_is_never_below_zero(self) -> None:
        shares = [0.0, 0.3, 0.99, 1.0]
        assert all(left(Done(now, was), 1e6, 10) >= 0 for now in shares for was in shares)
        assert left(Done(1.0), 1e6, 10) == 0

    def test_it_is_said_as_precisely_as_it_is_known(self) -> None:
        said = [forecast.roughly(seconds) for seconds in (0, 7, 8, 44, 54, 55, 89, 91, 356, 4000)]
        assert said == [
            "a few seconds", "a few seconds", "about 10 s", "about 40 s", "about 50 s",
            "about 1 min", "about 1 min", "about 2 min", "about 6 min", "about 67 min",
        ]  # fmt: skip

    def test_a_bar_is_full_at_the_end_only(self) -> None:
        assert [forecast.bar(share, 10) for share in (0, 0.99, 1)] == ["[..........]", "[#########.]", "[##########]"]


class TestThisMachine:
    """Cores and their speed."""

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"cpu.max": "150000 100000\n"}, 1.5),
            ({"cpu.max": "max 100000\n"}, float("inf")),
            ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
            ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
            ({}, float("inf")),
        ],
    )
    def test_a_quota_of_the_cgroup_bounds_the_cores(
        self, tmp_path: Path, files: dict[str, str], expected: float
    ) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        assert forecast.quota(tmp_path) == expected

    def test_there_is_a_part_of_a_core_at_least_and_a_speed(self) -> None:
        assert 0 < forecast.cores() <= (os.cpu_count() or 1)
        assert forecast.speed() > 0

    def test_cores_share_the_work_and_leave_downloads_as_long_as_they_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forecast, "speed", lambda: 2.0)
        monkeypatch.setattr(forecast, "cores", lambda: 4.0)
        assert Effort(680, 15, 0, lambda _: Done(0)).here() == 100


class TestPlan:
    """What is said before a first build."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("KAFKA_CONSUMER_SCALER_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    def test_it_has_the_total_each_job_and_how_to_stop(self) -> None:
        jobs = [
            first_build.Job("Debian packages", 12),
            first_build.Job("kubernetes 1.37.2", 178, kept=0.5),
            first_build.Job("kafka 4.4.0", 5, megabytes=59),
        ]
        assert first_build.plan(jobs, 2.0).splitlines() == [
            "to be built once: about 3 min on this machine (2 cores), if nothing else runs, with 59 MB of downloads",
            "  Debian packages: about 10 s; kubernetes 1.37.2: about 3 min (50% is there); kafka 4.4.0: a few seconds",
            "  ^C stops it; the same command then goes on where it stopped",
        ]

    def test_one_core_or_a_part_of_one_is_called_so(self) -> None:
        assert "(1 core)" in first_build.plan([first_build.Job("x", 1)], 1.0)
        assert "(1.5 cores)" in first_build.plan([first_build.Job("x", 1)], 1.5)

    def test_nothing_is_said_when_everything_is_in_the_cache(self) -> None:
        said: list[str] = []
        part = cache.Part("tool", "1", "recipe", lambda *_: None, effort=done_by(4))
        first_build.announce([part], Progress(said.append))
        assert "tool 1: about 2 min" in said[0]
        cache.ensure(part, SILENT)
        first_build.announce([part], Progress(said.append), {"Debian packages": 5})
        assert len(said) == 1

    def test_gos_cache_counts_as_done_in_the_plan(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(tmp_path, "go", "test $GOPROXY = off && echo 'compiled: a' && echo 'to compile: b'")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert go_build.effort(10, 5, ["x"]).kept() == go_build.read(["to compile: 1 of 2 packages"]).now > 0

    @pytest.mark.parametrize("go", ["echo no module >&2; exit 1", None])
    def test_without_go_or_its_modules_nothing_counts_as_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go: str | None
    ) -> None:
        if go:
            program(tmp_path, "go", go)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if go else str(tmp_path))
        assert go_build.effort(10, 5, ["x"]).kept() == 0


class TestInterruption:
    """A build that is stopped leaves nothing half-made, and goes on when it is called again."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Iterator[Path]:
        """Where the tool says `begun`, and then waits for `released`. What a failed test leaves of it is killed."""
        yield tmp_path
        for pid in _tools(tmp_path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_ends_in_one_line_without_a_process_or_a_draft_and_the_next_run_goes_on(
        self, folder: Path, number: signal.Signals
    ) -> None:
        build = _build(folder)
        eventually((folder / "begun").exists, STANDS_STILL)
        assert _tools(folder)
        build.send_signal(number)
        _, errors = build.communicate(timeout=STANDS_STILL)
        assert build.returncode == 130
        assert errors == "error: interrupted; run the same command again to go on\n"
        assert _tools(folder) == []
        assert not list((folder / "cache" / "drafts").iterdir())
        assert not list((folder / "cache").glob("tool-*"))
        (folder / "released").touch()
        again = _build(folder)
        said, errors = again.communicate(timeout=STANDS_STILL)
        assert (again.returncode, errors) == (0, "")
        assert re.search(r"^building tool 1: \d\d:\d\d$", said, re.MULTILINE)
        assert [file.name for file in next((folder / "cache").glob("tool-*")).iterdir()] == ["whole"]

    def test_the_installation_of_packages_is_finished_first(self, folder: Path) -> None:
        build = _build(folder, around="held_back(print, 'it is whole')")
        eventually((folder / "begun").exists, STANDS_STILL)
        build.send_signal(signal.SIGINT)
        assert build.stdout is not None
        assert any(line == "interrupted: ends when it is whole\n" for line in build.stdout)
        assert _tools(folder)
        (folder / "released").touch()
        _, errors = build.communicate(timeout=STANDS_STILL)
        assert (build.returncode, errors) == (130, "error: interrupted; run the same command again to go on\n")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
    def test_packages_are_fetched_before_their_installation_begins(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KAFKA_CONSUMER_SCALER_CACHE", str(folder / "cache"))
        program(folder, "apt-get", f"echo $* >> {folder}/calls")
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        debian.install({"no-such-command": "its-package"}, SILENT)
        install = "install --yes --no-install-recommends"
        calls = ["update", f"{install} --download-only its-package", f"{install} its-package"]
        assert (folder / "calls").read_text().splitlines() == calls


def _build(folder: Path, around: str = "nullcontext()") -> subprocess.Popen[str]:
    """`python -m tests.environment build` of one part, whose tool is a shell script in the folder."""
    wait = f"for i in $(seq 1200); do test -e {folder}/released && break; sleep 0.05; done"
    script = f"touch {folder}/begun $1/half; {wait}; mv $1/half $1/whole"
    tool = program(folder, "tool", script)
    code = f"""
import sys
from contextlib import nullcontext
from tests.environment import __main__ as program, cache, local
from tests.environment.interruption import held_back
from tests.environment.progress import run
def make(draft, log):
    with {around}:
        run(['{tool}', draft], log)
local.build = lambda progress: cache.ensure(cache.Part('tool', '1', 'recipe', make), progress)
sys.exit(program.main(['build']))"""
    environment = {**os.environ, "KAFKA_CONSUMER_SCALER_CACHE": str(folder / "cache")}
    pipe, argv = subprocess.PIPE, [sys.executable, "-c", code]
    return subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=pipe, stderr=pipe, text=True)


def _measured(lines: int) -> Done:
    """What is shown of the measured build when its log had this many lines."""
    return go_build.read(["to compile: 3143 of 3144 packages", *["package"] * (lines - 223)])


@contextmanager
def _on_a_terminal(code: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A Python program on a terminal of its own, and our end of it."""
    ours, its = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdin=its, stdout=its) as process:
        os.close(its)
        try:
            yield ours, process
        finally:
            process.kill()
            os.close(ours)


def _read_until(screen: int, pattern: str) -> str:
    """All that is shown until it matches."""
    shown = ""
    while not re.search(pattern, shown):
        assert select.select([screen], [], [], STANDS_STILL)[0], f"nothing more after {shown!r}"
        shown += os.read(screen, 4096).decode()
    return shown


def _sleepers(mark: str) -> int:
    return _commands().count(f"sleep {mark}")


def _tools(folder: Path) -> list[int]:
    """The processes of the tool in this folder, and those around it."""
    return [int(line.split()[0]) for line in _commands("pid,args") if f" {folder}/tool " in line]


def _commands(columns: str = "args") -> list[str]:
    """One line for each process, of any length."""
    return subprocess.run(["ps", "-wweo", columns], capture_output=True, text=True, check=True).stdout.splitlines()
