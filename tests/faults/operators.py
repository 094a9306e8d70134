"""One operator of the world, with a wall clock of its own, and the looks that its decisions were made on."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.environment.model import REPOSITORY
from tests.faults.layout import HOST, NAMESPACE, OPERATOR_NAMESPACE, Layout
from tests.faults.programs import Program

LOOKS_KEPT = 40
FETCH_SECONDS = 2.0
SETTLED = "0"


class Operator:
    """`instance` names its certificate, its pod and its log; `options` are more words for its command line."""

    def __init__(self, layout: Layout, instance: str, port: int, lease: str | None,
                 options: tuple[str, ...] = ()) -> None:
        self.instance, self.port = instance, port
        self._clock = layout.folder / f"{instance}.clock"
        self._clock.write_text(SETTLED)
        self._offset_seconds = self._started_offset_seconds = 0.0
        self.program = Program(instance, (*_argv(layout, instance, port, lease), *options), layout.log(instance),
                               _environment(layout, instance, self._clock))
        self.starts: list[float] = []
        self.kills: list[float] = []
        self.ends: list[float] = []
        self._fetched: dict[str, float] = {}
        self.looks: list[dict[str, Any]] = []
        self._is_wanted = False

    def start(self) -> None:
        """Start it; it keeps the time of its wall clock at the start."""
        self._started_offset_seconds = self._offset_seconds
        self.starts.append(time.time())
        self.program.start()
        self._is_wanted = True

    def start_again(self) -> None:
        """What Kubernetes does for an operator that ended by itself, such as one that lost its lease."""
        if self._is_wanted and self.program.pid is None:
            self.ends.append(time.time())
            self.start()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it, and leave it so."""
        self._is_wanted = False
        self.program.kill(number)
        self.kills.append(time.time())

    def step_clock(self, seconds: float) -> None:
        """From now on its wall clock is off by so much."""
        self._offset_seconds = seconds
        self._clock.write_text(f"{seconds:.0f}")

    def polling_children(self) -> list[int]:
        """Its child processes."""
        pid = self.program.pid
        return [] if pid is None else _children_of(pid)

    def is_ready(self) -> bool:
        """What /readyz says."""
        try:
            return _get(self.port, "/readyz")[0] == 200
        except OSError:
            return False

    def fetch_looks(self, scalers: Iterable[str]) -> None:
        """Take over the looks that are new, with times as a right clock would have them."""
        for name in scalers:
            with suppress(OSError, ValueError):
                code, text = _get(self.port, f"/debug/scalers/{NAMESPACE}/{name}/snapshots")
                if code == 200:
                    self._take(name, [json.loads(line) for line in text.splitlines()])

    def _take(self, name: str, lines: list[dict[str, Any]]) -> None:
        """The newest look is left for the next time: a change that it leads to may still be under way."""
        offset = self._started_offset_seconds
        for line in lines[:-1]:
            decided = line["decidedAt"] - offset
            if decided > self._fetched.get(name, 0.0):
                self._fetched[name] = decided
                self.looks.append({"offset": offset, "scaler": name, "instance": self.instance, "look": line})


def _argv(layout: Layout, instance: str, port: int, lease: str | None) -> tuple[str, ...]:
    election = ("--lease", lease) if lease else ()
    return (sys.executable, "-m", "kafka_consumer_scaler", "run", "--namespace", NAMESPACE, "--http-port", str(port),
            "--kubeconfig", str(layout.pki / f"{instance}.kubeconfig"), "--record-snapshots", str(LOOKS_KEPT),
            *election)


def _environment(layout: Layout, instance: str, clock: Path) -> dict[str, str]:
    """The wall clock comes from a file; the monotonic one is real."""
    return {
        "POD_NAME": instance, "POD_NAMESPACE": OPERATOR_NAMESPACE, "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{REPOSITORY / 'operator'}{os.pathsep}{REPOSITORY}",
        "LD_PRELOAD": str(layout.parts.wall_clock / "wall_clock.so"), "WALL_CLOCK_FILE": str(clock),
    }  # fmt: skip


def _children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == pid and state != "Z":
                    found.append(int(entry.name))
    return found


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {error!r}") from None
    finally:
        connection.close()


class Onlooker:
    """Fetches the looks of all operators, and starts those that ended, again and again, until it is stopped."""

    def __init__(self, operators: tuple[Operator, ...], scalers: tuple[str, ...]) -> None:
        self._operators, self._scalers = operators, scalers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def stop(self) -> None:
        """After one last time."""
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.wait(FETCH_SECONDS):
            for operator in self._operators:
                operator.start_again()
                operator.fetch_looks(self._scalers)
