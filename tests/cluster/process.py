"""The operator as a process on this machine, from this tree, against the real API server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.planted import SUITE
from tests.ports import reserved_port
from tests.waiting import PATIENCE_SECONDS, eventually


@dataclass
class Process:
    """A running operator: its HTTP port, and what it has logged."""

    port: int
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    def get(self, path: str) -> str:
        """The answer's text; empty while there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return SUITE.say(path, str(answer.read().decode()))
        except (OSError, urllib.error.HTTPError):
            return ""

    def metrics(self) -> str:
        return self.get("/metrics")

    def value(self, series: str) -> float | None:
        """The series' value, by its name and labels as they are exposed."""
        lines = (line for line in self.metrics().splitlines() if line.startswith(f"{series} "))
        return next((float(line.rsplit(" ", 1)[1]) for line in lines), None)

    def count(self, series: str) -> int:
        """How many series of that name there are."""
        return sum(line.startswith(series + "{") for line in self.metrics().splitlines())

    def said(self, words: str) -> int:
        """How many log lines have these words in their message or their fields."""
        return sum(words in json.dumps(json.loads(line)) for line in self.log if line.startswith("{"))


@contextmanager
def operator_process(kubeconfig: Path, namespace: str, ready_seconds: float = PATIENCE_SECONDS) -> Iterator[Process]:
    """One that watches a namespace and is ready; killed at the end."""
    port = reserved_port()
    words = ("run", "--kubeconfig", str(kubeconfig), "--namespace", namespace, "--http-port", str(port))
    command = [sys.executable, "-m", "kafka_consumer_scaler", *words]
    running = Process(port, subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    reader = threading.Thread(target=_read, args=(running,), daemon=True)
    reader.start()
    try:
        eventually(lambda: running.get("/readyz") == "ok\n", ready_seconds, "ready")
        yield running
    except AssertionError as failure:
        failure.add_note("\n".join(running.log[-20:]))
        raise
    finally:
        running.process.kill()
        running.process.wait()
        reader.join(10)
        SUITE.say("the operator's log", "\n".join(running.log))


def _read(running: Process) -> None:
    assert running.process.stderr is not None
    for line in running.process.stderr:
        running.log.append(line.rstrip("\n"))
