"""Operators as processes on this machine, beside each other on one API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.environment import Environment
from tests.planted import SUITE
from tests.ports import reserved_port
from tests.waiting import PATIENCE_SECONDS, eventually

LEASE = "operators"
LEADS = "kafka_consumer_scaler_leader 1.0"


@dataclass
class Operator:
    """One process; its log goes to a file."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def leads(self) -> bool:
        return LEADS in self.metrics()

    @property
    def last_words(self) -> str:
        """The last line that is no log line: what it ended with."""
        return self.log.read_text().splitlines()[-1]

    def metrics(self) -> str:
        return self.get("/metrics")[1]

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, SUITE.say(f"{self.name}, {path}", answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def send(self, number: signal.Signals) -> float:
        """The time at which the signal was sent."""
        self.process.send_signal(number)
        return time.monotonic()

    def said(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextmanager
def operators(
    environment: Environment, namespace: str, folder: Path, *names: str, options: tuple[str, ...] = ()
) -> Iterator[list[Operator]]:
    """So many processes that watch one namespace and elect their leader by a Lease in it."""
    with ExitStack() as stack:
        yield [stack.enter_context(_operator(environment, namespace, folder, name, options)) for name in names]


@contextmanager
def _operator(
    environment: Environment, namespace: str, folder: Path, name: str, options: tuple[str, ...]
) -> Iterator[Operator]:
    port, log = reserved_port(), folder / f"{name}.log"
    words = ("run", "--kubeconfig", str(environment.kubeconfig), "--namespace", namespace, "--http-port", str(port),
             "--lease", LEASE, *options)
    variables = {**os.environ, "POD_NAME": name, "POD_NAMESPACE": namespace}
    with log.open("wb") as file:
        process = _started([sys.executable, "-m", "kafka_consumer_scaler", *words], variables, file)
    try:
        yield Operator(name, port, process, log)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def _started(command: list[str], variables: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log, env=variables)


def leader_of(running: list[Operator], within_seconds: float = PATIENCE_SECONDS) -> Operator:
    """The one that leads; there are never two."""
    def found() -> Operator | None:
        leading = [each for each in running if each.leads]
        assert len(leading) < 2, "two lead"
        return leading[0] if leading else None

    leader: Operator = eventually(found, within_seconds, "a leader")
    return leader


def leads_after(operator: Operator, since: float, within_seconds: float = PATIENCE_SECONDS) -> float:
    """Seconds from `since` until it leads; asked 20 times a second."""
    while not operator.leads:
        assert time.monotonic() - since < within_seconds, f"{operator.name} does not lead"
        time.sleep(0.05)
    return time.monotonic() - since
