"""A second environment beside the shared one: it starts, breaks, is killed, and leaves nothing behind on this host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import environment
from tests.environment import WHOLE, Service, cgroups, choice, host, network
from tests.environment.cache import cache_folder
from tests.environment.local import component_states
from tests.environment.model import DEFAULT_STATE, REPOSITORY, State
from tests.waiting import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.geteuid() != 0 or choice.choose(State(DEFAULT_STATE)) != "local",
        reason="only the local environment is ours to break, and it needs root",
    ),
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path.resolve() / "second")
    yield state
    environment.down(_silent, state.folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """The state of an environment that several tests find running; the first of them starts it."""
    state = State(tmp_path_factory.mktemp("shared").resolve() / "second")
    yield state
    environment.down(_silent, state.folder)


def test_an_environment_starts_with_the_services_that_are_asked_for_and_others_join_it(shared: State) -> None:
    environment.down(_silent, shared.folder)
    found = environment.up(_silent, shared.folder, services=(Service.BROKER,))
    assert set(component_states(shared).values()) == {"ready", "held"}
    assert {name for name, now in component_states(shared).items() if now == "ready"} == set(Service.BROKER.value)
    assert found.broker_request_counts()
    found.ensure(*WHOLE)
    assert set(component_states(shared).values()) == {"ready"}
    assert " Ready " in _kubectl(found, "get", "nodes", "--no-headers")


def test_a_second_up_finds_the_environment_running(shared: State) -> None:
    first = environment.up(_silent, shared.folder)
    pid = host.machine_pid(shared)
    again = environment.up(_silent, shared.folder)
    assert again == first
    assert host.machine_pid(shared) == pid


def test_a_second_up_releases_what_was_held_down(shared: State) -> None:
    found = environment.up(_silent, shared.folder)
    found.stop("kube-proxy")
    assert component_states(shared)["kube-proxy"] == "held"
    environment.up(_silent, shared.folder)
    assert component_states(shared)["kube-proxy"] == "ready"


def test_down_leaves_nothing_behind(shared: State) -> None:
    environment.up(_silent, shared.folder)
    assert traces(shared)
    environment.down(_silent, shared.folder)
    assert traces(shared) == []


@pytest.mark.parametrize("seconds", [0.6, 2, 6])
def test_down_cleans_up_after_a_start_that_was_killed_half_way(state: State, seconds: float) -> None:
    start = _command(state, "up")
    time.sleep(seconds)
    start.kill()
    start.wait()
    environment.down(_silent, state.folder)
    eventually(lambda: traces(state) == [], what="a tool of the killed start ends too")


def test_a_start_after_a_killed_start_succeeds(state: State) -> None:
    start = _command(state, "up")
    time.sleep(3)
    start.kill()
    start.wait()
    found = environment.up(_silent, state.folder)
    assert found.broker_request_counts()


def test_a_killed_machine_takes_processes_mounts_and_rules_with_it_without_any_down(state: State) -> None:
    environment.up(_silent, state.folder)
    before = _mounts(state)
    pid = host.machine_pid(state)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: _processes(state) == [], what="the processes end")
    assert _mounts(state) == before
    assert environment.running(state.folder) is None


def test_a_held_component_stays_away_and_comes_back_with_its_data(shared: State) -> None:
    found = environment.up(_silent, shared.folder)
    _kubectl(found, "create", "namespace", "kept")
    for component in ("kafka", "kube-apiserver", "etcd"):
        found.stop(component)
    with pytest.raises(OSError, match="refused"):
        found.broker_request_counts()
    for component in ("etcd", "kube-apiserver", "kafka"):
        found.start(component)
    assert "kept" in _kubectl(found, "get", "namespaces", "--no-headers")
    assert found.broker_request_counts()["BrokerRegistration"] >= 1


def test_a_failed_start_prints_the_failing_parts_last_lines_and_leaves_nothing(state: State, tmp_path: Path) -> None:
    broken = _cache_with_a_broken_etcd(tmp_path)
    start = _command(state, "up", KAFKA_CONSUMER_SCALER_CACHE=str(broken))
    _, errors = start.communicate(timeout=600)
    assert start.returncode == 1
    assert "error: etcd ends again and again" in errors
    assert "etcd: no space left on device" in errors
    assert "Traceback" not in errors
    assert traces(state) == []


def traces(state: State) -> list[str]:
    """All that this environment has on the host: processes, mounts, interfaces, packet filter rules, cgroups, files."""
    name = cgroups.path(state)[1:]
    groups = [str(root / name) for root in cgroups.roots() if (root / name).exists()]
    links = [network.name(state)] if network.exists(network.name(state)) else []
    files = [str(state.folder)] if state.folder.exists() else []
    return [*_processes(state), *_mounts(state), *links, *_packet_filter_rules(), *groups, *files]


def _processes(state: State) -> list[str]:
    found = [pid for pid in Path("/proc").iterdir() if pid.name.isdigit()]
    return [pid.name for pid in found if str(state.folder) in _command_line(pid) and pid.name != str(os.getpid())]


def _kubectl(found: environment.Environment, *words: str) -> str:
    call = [str(found.kubectl), "--kubeconfig", str(found.kubeconfig), *words]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def _command_line(pid: Path) -> str:
    try:
        return (pid / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _mounts(state: State) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(state.folder) in line]


def _packet_filter_rules() -> list[str]:
    rules = subprocess.run(["/usr/sbin/iptables-save"], capture_output=True, text=True, check=True).stdout
    return [line for line in rules.splitlines() if "KUBE-" in line or "CNI-" in line]


def _command(state: State, verb: str, **variables: str) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", "tests.environment", "--state", str(state.folder), verb]
    pipe = subprocess.PIPE
    return subprocess.Popen(call, cwd=REPOSITORY, env={**os.environ, **variables}, stdout=pipe, stderr=pipe, text=True)


def _cache_with_a_broken_etcd(folder: Path) -> Path:
    """This user's cache by links, with an etcd that fails as on a full disk."""
    broken = folder / "cache"
    for part in (entry for entry in cache_folder().iterdir() if entry.is_dir()):
        target = broken / part.name
        target.mkdir(parents=True)
        for file in part.iterdir():
            if part.name != "locks" and file.name != "etcd":
                (target / file.name).symlink_to(file)
        if (part / "etcd").exists():
            (target / "etcd").write_text("#!/bin/sh\necho etcd: no space left on device\nexit 1\n")
            (target / "etcd").chmod(0o755)
    return broken


def _silent(_: str) -> None:
    return None
