"""The first process of the machine: it makes the namespaces ready, then starts, reaps and restarts the components.

    python3 -m tests.environment.machine STATE

It runs as process 1 of its own process, mount, network and host-name namespaces. The kernel kills every process of a
process namespace with its process 1, and takes the mounts, interfaces and packet filter rules away with the last
process: so nothing of it can outlive it on the host, however it ends.

The host talks to it through files. A component is killed and stays down while STATE/hold/NAME exists. STATE/pids/NAME
exists while it runs, STATE/ready/NAME from when it first listens until it ends, and STATE/exits/NAME has a line for
each time it ended by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from .plan import Component, Plan, is_ready, read_plan

TICK_SECONDS = 0.1
BACKOFF_SECONDS = (0.5, 8.0)
STEADY_SECONDS = 30.0

# kubelet sets these for the whole kernel. Files with the values that it wants are put in front of them, so it reads
# that all is well and the host keeps its own values.
KERNEL_VALUES = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}  # fmt: skip

# These belong to the network namespace. Connections that outlive a killed process keep the namespace: give up early.
NETWORK_VALUES = {"ip_forward": "1", "tcp_orphan_retries": "1", "tcp_fin_timeout": "2"}


def main(state: Path) -> None:
    """Wait for the plan, make the machine, run its components for ever."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    plan = read_plan(state)
    while plan is None:
        time.sleep(0.02)
        plan = read_plan(state)
    make_mounts_private(plan, state)
    join_network(plan)
    Supervisor(state, plan.components).run()


def make_mounts_private(plan: Plan, state: Path) -> None:
    """Our own /run and /var, so that the fixed paths of kubelet, CNI and containerd never touch the host's."""
    _call("mount", "--make-rshared", "/")
    for kept in (folder for folder in plan.kept if folder.startswith("/var/")):
        inside = state / "var" / Path(kept).relative_to("/var")
        inside.mkdir(parents=True)
        _call("mount", "--bind", kept, inside)
    for folder in ("lib", "log", "tmp", "cache"):
        (state / "var" / folder).mkdir(parents=True, exist_ok=True)
    _call("mount", "--rbind", state / "var", "/var")
    _call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for name, value in KERNEL_VALUES.items():
        _cover(Path("/proc/sys") / name, value, state)
    _cover(Path("/etc/hosts"), f"127.0.0.1 localhost\n{plan.address} {plan.node}\n", state)


def _cover(file: Path, text: str, state: Path) -> None:
    own = state / "covers" / file.relative_to("/")
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text)
    if file.exists():
        _call("mount", "--bind", own, file)


def join_network(plan: Plan) -> None:
    """Address the link that the host has put here; forward between pods; route services, which need no gateway."""
    socket.sethostname(plan.node)
    for name, value in NETWORK_VALUES.items():
        (Path("/proc/sys/net/ipv4") / name).write_text(value)
    _call("ip", "link", "set", "lo", "up")
    _call("ip", "address", "add", f"{plan.address}/30", "dev", "eth0")
    _call("ip", "link", "set", "eth0", "up")
    _call("ip", "route", "add", plan.service_network, "dev", "eth0")


def _call(*words: str | Path) -> None:
    subprocess.run(words, check=True)


class Supervisor:
    """Keeps every component running that is not held."""

    def __init__(self, state: Path, components: tuple[Component, ...]) -> None:
        self._state, self._components = state, components
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, float] = {}
        self._backoff = {component.name: BACKOFF_SECONDS[0] for component in components}
        self._not_before = {component.name: 0.0 for component in components}
        self._was_ready: set[str] = set()
        for folder in ("hold", "pids", "ready", "exits", "logs"):
            (state / folder).mkdir(exist_ok=True)

    def run(self) -> None:
        """Never returns."""
        while True:
            self._reap()
            for component in self._components:
                self._drive(component)
            time.sleep(TICK_SECONDS)

    def _drive(self, component: Component) -> None:
        held = (self._state / "hold" / component.name).exists()
        if component.name in self._running:
            if held:
                self._running[component.name].kill()
            elif not self._ready_file(component.name).exists() and is_ready(component.ready):
                self._ready_file(component.name).touch()
                self._was_ready.add(component.name)
        elif not held and self._may_start(component):
            self._start(component)

    def _ready_file(self, name: str) -> Path:
        return self._state / "ready" / name

    def _may_start(self, component: Component) -> bool:
        return time.monotonic() >= self._not_before[component.name] and self._was_ready.issuperset(component.after)

    def _start(self, component: Component) -> None:
        with (self._state / "logs" / f"{component.name}.log").open("ab") as log:
            process = subprocess.Popen(
                component.argv, env=component.env, cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._running[component.name], self._began[component.name] = process, time.monotonic()
        (self._state / "pids" / component.name).write_text(f"{process.pid}\n")

    def _reap(self) -> None:
        """Collect every ended child: components, and the orphans that process 1 inherits."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name in [name for name, process in self._running.items() if process.pid == pid]:
                self._ended(name, os.waitstatus_to_exitcode(status))

    def _ended(self, name: str, code: int) -> None:
        self._running.pop(name).returncode = code
        held = (self._state / "hold" / name).exists()
        self._ready_file(name).unlink(missing_ok=True)
        (self._state / "pids" / name).unlink()
        if held:
            self._not_before[name] = 0.0
            return
        ran = time.monotonic() - self._began[name]
        with (self._state / "exits" / name).open("a") as file:
            file.write(f"status {code} after {ran:.1f} s\n")
        first, longest = BACKOFF_SECONDS
        self._backoff[name] = first if ran > STEADY_SECONDS else min(2 * self._backoff[name], longest)
        self._not_before[name] = time.monotonic() + self._backoff[name]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
