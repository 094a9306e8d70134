"""The host's side of the machine: start it, find it, enter it, and take all of it away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from . import cgroups, network
from .debian import search_path
from .model import REPOSITORY, EnvironmentFailed, State
from .progress import tail

MODULE = "tests.environment.machine"


def start_machine(state: State) -> int:
    """Start the machine's first process in new namespaces; answers its process id as the host sees it."""
    state.log("machine").parent.mkdir(parents=True, exist_ok=True)
    with state.log("machine").open("wb") as log:
        subprocess.Popen(
            ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--net", "--uts", "--ipc", "--",
             sys.executable, "-m", MODULE, str(state.folder)],
            cwd=REPOSITORY, start_new_session=True, env={**os.environ, "PATH": search_path()},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return wait_for_machine(state)


def wait_for_machine(state: State, seconds: float = 10) -> int:
    """The first process's id once it runs; raises EnvironmentFailed when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid = machine_pid(state)
        if pid is not None:
            return pid
        time.sleep(0.02)
    raise EnvironmentFailed("the machine's first process did not start", tail(state.log("machine")))


def machine_pid(state: State) -> int | None:
    """The process that is number 1 in its namespace and was started for this state folder, if it runs."""
    return next((pid for pid in _machine_processes(state) if _own_number(pid) == "1"), None)


def _machine_processes(state: State) -> list[int]:
    """unshare and the first process both end their command line with the module and the state folder.

    Looking at the processes instead of a file finds them also when whoever started them was killed at once.
    """
    wanted = ["-m", MODULE, str(state.folder)]
    return [pid for pid, words in _command_lines() if words[-3:] == wanted]


def _command_lines() -> Iterable[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                yield int(entry.name), words


def _own_number(pid: int) -> str:
    """The process's id in its innermost namespace; empty when it has ended or shares ours."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return numbers[-1] if len(numbers) > 1 else ""


def inside(state: State, command: Sequence[str | Path]) -> list[str]:
    """The command as it must be called on the host to run in the machine's namespaces."""
    pid = machine_pid(state)
    if pid is None:
        raise EnvironmentFailed("the local environment is not running")
    spaces = ("--mount", "--net", "--uts", "--ipc", "--pid")
    return ["nsenter", "--target", str(pid), *spaces, "--", *(str(word) for word in command)]


def destroy(state: State) -> None:
    """Kill the machine and remove what the kernel does not remove with it: the cgroup and the state folder."""
    _wait_until(lambda: _are_killed(state), "its processes")
    network.disconnect(state)
    cgroups.remove(state)
    shutil.rmtree(state.folder, ignore_errors=True)


def _are_killed(state: State) -> bool:
    """Whether none was there at two looks. A process whose starter was killed as it forked is known a moment later."""
    for _ in range(2):
        processes = _machine_processes(state)
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if processes:
            return False
        time.sleep(0.1)
    return True


def _wait_until(gone: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not gone():
        if time.monotonic() > deadline:
            raise EnvironmentFailed(f"the machine was killed but {what} did not go away within {seconds:.0f} s")
        time.sleep(0.05)
