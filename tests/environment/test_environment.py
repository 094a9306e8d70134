"""The environment's parts that need no cluster: choices, sources, cache, progress, supervision."""

from __future__ import annotations

import ast
import ipaddress
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.environment import buildah, cache, choice, components, debian, kind, network, recipes
from tests.environment.broker import request_counts
from tests.environment.model import REPOSITORY, Environment, EnvironmentFailed, State, Unsupported, read_env, write_env
from tests.environment.plan import Component, Plan, is_ready, read_plan, write_plan
from tests.environment.progress import Progress
from tests.waiting import eventually

SILENT = Progress(lambda _: None)


def program(folder: Path, name: str, script: str) -> Path:
    """A real executable that stands where the machine's own would."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def environment_in(folder: Path, kubeconfig: str = "kubeconfig") -> Environment:
    tools = (Path("/tools/kubectl"), Path("/tools/helm"))
    return Environment("caller", folder / kubeconfig, "host:9092", "pods:9094", *tools, State(folder))


class TestChoice:
    """Which environment is used."""

    @pytest.fixture
    def state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
        (tmp_path / "bin").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        return State(tmp_path / "state")

    def test_a_callers_cluster_and_broker_come_first(self, state: State, tmp_path: Path) -> None:
        program(tmp_path / "bin", "docker", "echo 28.2.2")
        assert (
            choice.choose(state, {"KUBECONFIG": "/somewhere/config", "KAFKA_BOOTSTRAP_SERVERS": "b:9092"}) == "caller"
        )

    @pytest.mark.parametrize("only", ["KUBECONFIG", "KAFKA_BOOTSTRAP_SERVERS"])
    def test_one_of_the_two_variables_alone_is_not_a_callers_environment(self, state: State, only: str) -> None:
        assert choice.choose(state, {only: "/somewhere"}) == "local"

    def test_variables_sourced_from_an_earlier_start_are_ours_not_the_callers(self, state: State) -> None:
        ours = {"KUBECONFIG": str(state.kubeconfig), "KAFKA_BOOTSTRAP_SERVERS": "10.213.0.2:9092"}
        assert choice.choose(state, ours) == "local"

    def test_docker_is_used_when_its_daemon_answers(self, state: State, tmp_path: Path) -> None:
        program(tmp_path / "bin", "docker", "echo 28.2.2")
        assert choice.choose(state, {}) == "kind"

    def test_docker_without_a_daemon_leaves_the_local_parts(self, state: State, tmp_path: Path) -> None:
        program(tmp_path / "bin", "docker", "echo cannot connect to the daemon >&2; exit 1")
        assert choice.choose(state, {}) == "local"

    def test_a_docker_client_that_prints_nothing_of_a_server_has_no_daemon(self, state: State, tmp_path: Path) -> None:
        program(tmp_path / "bin", "docker", "echo; exit 0")
        assert choice.choose(state, {}) == "local"


class TestAptSources:
    """The mirror is the one that this machine's apt uses."""

    def test_a_one_line_source_with_options_and_a_comment_is_read(self) -> None:
        text = "# deb http://old bookworm main\ndeb [arch=amd64 trusted=yes] http://mirror bookworm main contrib # x\n"
        assert list(debian.one_line_sources(text)) == [("http://mirror", "bookworm", ["main", "contrib"])]

    def test_a_stanza_gives_each_address_with_each_suite(self) -> None:
        text = "Types: deb deb-src\n# note\nURIs: http://one http://two\nSuites: bookworm\n other\nComponents: main\n"
        found = [(address, suite) for address, suite, _ in debian.deb822_sources(text)]
        assert found == [
            (address, suite) for address in ("http://one", "http://two") for suite in ("bookworm", "other")
        ]

    def test_a_disabled_or_source_only_stanza_is_left_out(self) -> None:
        stanza = "URIs: http://one\nSuites: bookworm\nComponents: main\n"
        assert not list(debian.deb822_sources(f"Types: deb\nEnabled: no\n{stanza}\nTypes: deb-src\n{stanza}"))

    def test_the_mirror_is_the_first_with_our_suite_and_main(self, tmp_path: Path) -> None:
        old, new = tmp_path / "sources.list", tmp_path / "debian.sources"
        old.write_text("deb http://other noble main\ndeb http://half bookworm contrib\n")
        new.write_text("Types: deb\nURIs: http://right\nSuites: bookworm\nComponents: main\n")
        assert debian.mirror([tmp_path / "absent.list", old, new]) == "http://right"

    def test_without_our_suite_debootstrap_is_left_to_its_own_default(self, tmp_path: Path) -> None:
        (tmp_path / "a.list").write_text("deb http://other noble main\n")
        assert debian.mirror([tmp_path / "a.list"]) is None


class TestTools:
    """What is missing is said in one clear line."""

    def test_a_too_old_go_is_refused_with_its_version(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(tmp_path, "go", "echo go1.19.8")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        with pytest.raises(EnvironmentFailed, match=r"Go 1\.21 or newer .* found go1\.19\.8"):
            debian.go_is_new_enough()

    def test_a_new_go_is_accepted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = tmp_path / "asked"
        program(tmp_path, "go", f"touch {asked}; echo go1.26.8")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        debian.go_is_new_enough()
        assert asked.exists()

    def test_only_missing_things_are_installed(self) -> None:
        assert debian.missing({"sh": "dash", "no-such-command": "one", "/no/such/file": "two", "/": "three"}) == [
            "one",
            "two",
        ]

    def test_versions_come_from_the_files_that_pin_them(self) -> None:
        assert recipes.kubernetes_version().startswith("1.37.")
        assert recipes.kafka_version() == "4.4.0"
        assert f"apache/kafka:{recipes.kafka_version()}" in kind.broker_command("broker", 1234)


class TestCache:
    """A part is complete or absent, and made once."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("KAFKA_CONSUMER_SCALER_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    def test_a_part_is_made_once(self) -> None:
        made: list[Path] = []
        part = cache.Part("tool", "1", "recipe", lambda draft, _: made.append(draft))
        assert cache.ensure(part, SILENT) == cache.ensure(part, SILENT)
        assert len(made) == 1

    def test_another_version_or_recipe_is_another_part(self) -> None:
        keys = {cache.Part("tool", version, recipe, _nothing).key for version in "12" for recipe in "ab"}
        assert len(keys) == 4

    def test_a_failed_build_leaves_no_part_and_the_next_starts_from_an_empty_folder(self, folder: Path) -> None:
        def fail(draft: Path, _: Path) -> None:
            (draft / "half").touch()
            raise EnvironmentFailed("no more disk")

        with pytest.raises(EnvironmentFailed, match="no more disk"):
            cache.ensure(cache.Part("tool", "1", "recipe", fail), SILENT)
        part = cache.Part("tool", "1", "recipe", lambda draft, _: (draft / "whole").touch())
        assert not (folder / part.key).exists()
        assert [file.name for file in cache.ensure(part, SILENT).iterdir()] == ["whole"]

    def test_a_second_process_waits_for_the_first_and_says_so(self) -> None:
        hold = (
            "from tests.environment.cache import locked; from tests.environment.progress import Progress; import sys\n"
        )
        hold += "with locked('tool', Progress()): print('held', flush=True); sys.stdin.read()"
        said: list[str] = []
        argv, pipe = [sys.executable, "-c", hold], subprocess.PIPE
        with subprocess.Popen(argv, cwd=REPOSITORY, stdin=pipe, stdout=pipe) as holder:
            stdin, stdout = holder.stdin, holder.stdout
            assert stdin is not None
            assert stdout is not None
            assert stdout.readline() == b"held\n"

            def let_go(line: str) -> None:
                said.append(line)
                stdin.close()

            with cache.locked("tool", Progress(let_go)):
                assert "waiting for another process that works on tool" in said[0]


class TestMachine:
    """The plan and the supervisor that runs it, here without namespaces."""

    def test_a_plan_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        parts = (
            Component("a", ("a", "--b"), "unix:/a"),
            Component("b", ("b",), "tcp:1.2.3.4:5", ("a",), {"PATH": "/bin"}),
        )
        plan = Plan("node", "10.213.0.2", "10.96.0.0/16", ("/var/x",), parts)
        write_plan(plan, tmp_path)
        assert read_plan(tmp_path) == plan

    def test_nothing_listens_at_a_closed_port_or_an_absent_socket(self, tmp_path: Path) -> None:
        assert not is_ready("tcp:127.0.0.1:1")
        assert not is_ready(f"unix:{tmp_path}/absent")

    @pytest.fixture
    def supervised(self, tmp_path: Path) -> Iterator[Path]:
        """A supervisor of `first`, which listens, `second`, which waits for it, and `failing`."""
        serve = f"""
import os, socket, time
listener = socket.socket(socket.AF_UNIX)
listener.bind('{tmp_path}/draft')
listener.listen()
os.replace('{tmp_path}/draft', '{tmp_path}/socket')
time.sleep(600)"""
        code = f"""
from pathlib import Path
from tests.environment.machine import Component, Supervisor
Supervisor(Path('{tmp_path}'), (
    Component('second', ('sleep', '600'), 'unix:/absent', ('first',)),
    Component('first', ({sys.executable!r}, '-c', {serve!r}), 'unix:{tmp_path}/socket'),
    Component('failing', ('sh', '-c', 'echo no space left; exit 7'), 'unix:/absent'),
)).run()"""
        supervisor = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
        yield tmp_path
        supervisor.kill()
        supervisor.wait()
        pids = [int(file.read_text()) for file in (tmp_path / "pids").iterdir()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def test_a_component_starts_when_those_before_it_were_ready(self, supervised: Path) -> None:
        eventually((supervised / "pids" / "second").exists)
        assert (supervised / "ready" / "first").exists()
        assert not (supervised / "ready" / "second").exists()

    def test_a_killed_component_comes_back(self, supervised: Path) -> None:
        pid_file = supervised / "pids" / "second"
        eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
        first_pid = pid_file.read_text()
        os.kill(int(first_pid), signal.SIGKILL)
        eventually(lambda: pid_file.exists() and pid_file.read_text() not in ("", first_pid))
        assert "status -9" in (supervised / "exits" / "second").read_text()

    def test_a_held_component_stays_down_until_it_is_released(self, supervised: Path) -> None:
        pid_file, hold = supervised / "pids" / "first", supervised / "hold" / "first"
        eventually((supervised / "ready" / "first").exists)
        hold.touch()
        eventually(lambda: not pid_file.exists())
        time.sleep(1.5)
        assert not pid_file.exists()
        assert not (supervised / "ready" / "first").exists()
        hold.unlink()
        eventually((supervised / "ready" / "first").exists)
        assert not (supervised / "exits" / "first").exists()

    def test_a_component_that_keeps_failing_is_tried_again_ever_more_slowly_and_its_log_is_kept(
        self, supervised: Path
    ) -> None:
        exits = supervised / "exits" / "failing"
        eventually(lambda: exits.exists() and len(exits.read_text().splitlines()) >= 2)
        assert "status 7" in exits.read_text()
        assert "no space left" in (supervised / "logs" / "failing.log").read_text()


class TestAddresses:
    """The link to the machine takes nothing that the host uses."""

    def test_the_first_network_that_overlaps_nothing_is_taken(self) -> None:
        taken = [ipaddress.IPv4Network("10.213.0.0/23"), ipaddress.IPv4Network("10.213.2.2/32")]
        assert network.free_number(taken) == 3

    def test_a_host_that_uses_all_of_it_is_told_so(self) -> None:
        with pytest.raises(EnvironmentFailed, match="no free network"):
            network.free_number([ipaddress.IPv4Network("10.0.0.0/8")])


class TestDescription:
    """What others read about the environment."""

    def test_the_env_file_gives_back_what_was_written(self, tmp_path: Path) -> None:
        environment = environment_in(tmp_path)
        write_env(environment)
        values = read_env(environment.state)
        assert values["KUBECONFIG"] == str(tmp_path / "kubeconfig")
        assert values["KAFKA_BOOTSTRAP_SERVERS"] == "host:9092"
        assert values["KAFKA_BOOTSTRAP_SERVERS_IN_CLUSTER"] == "pods:9094"

    def test_without_an_env_file_nothing_was_started(self, tmp_path: Path) -> None:
        assert read_env(State(tmp_path)) == {}

    def test_a_callers_components_are_not_ours_to_stop(self, tmp_path: Path) -> None:
        environment = environment_in(tmp_path)
        with pytest.raises(Unsupported, match="caller environment are not ours"):
            environment.restart("kafka")

    def test_request_counts_are_summed_over_the_versions_of_an_api(self) -> None:
        text = (
            "# TYPE kafka_requests_total counter\n"
            'kafka_requests_total{request="ListOffsets",version="10"} 5.0\n'
            'kafka_requests_total{request="ListOffsets",version="11"} 2.0\n'
            'kafka_requests_total{request="OffsetFetch",version="9"} 1.0E3\n'
        )
        assert request_counts(text) == {"ListOffsets": 7, "OffsetFetch": 1000}

    def test_images_on_an_overlay_are_copied_because_overlays_do_not_stack(self) -> None:
        table = "overlay / overlay rw 0 0\n/dev/vdb /data ext4 rw 0 0\n"
        assert components.snapshotter(Path("/home/me"), table) == "native"
        assert components.snapshotter(Path("/data/cache"), table) == "overlayfs"

    def test_builds_get_this_machines_package_index_but_no_local_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KAFKA_CONSUMER_SCALER_CACHE", str(tmp_path))
        monkeypatch.setenv("PIP_INDEX_URL", "http://index.test/simple")
        monkeypatch.setenv("PIP_FIND_LINKS", "/local/wheels")
        text = buildah.pip_settings().read_text()
        assert "index-url = http://index.test/simple" in text
        assert "/local/wheels" not in text

    def test_the_package_imports_only_the_standard_library_and_itself(self) -> None:
        for file in (REPOSITORY / "tests" / "environment").glob("[!t]*.py"):
            for name in _absolute_imports(file):
                assert name in sys.stdlib_module_names, f"{file.name} imports {name}"

    def test_help_names_every_verb(self) -> None:
        call = [sys.executable, "-m", "tests.environment", "--help"]
        text = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        assert all(
            verb in text for verb in ("up", "down", "status", "build", "logs", "stop", "start", "restart", "exec")
        )

    def test_an_error_is_one_line_and_status_one(self, tmp_path: Path) -> None:
        call = [sys.executable, "-m", "tests.environment", "--state", str(tmp_path / "none"), "stop", "kafka"]
        done = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == "error: no environment is running: start it with `up`\n"


def _nothing(draft: Path, log: Path) -> None:
    return None


def _absolute_imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
