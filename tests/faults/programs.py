"""One program of the world: started, paused, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class WorldFailed(Exception):
    """The world does not stand, or does not come back to its feet; the message is one line."""


def await_that(check: Callable[[], bool], what: str, seconds: float) -> None:
    """Return once the check holds. Raises WorldFailed when it does not in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise WorldFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


class Program:
    """A process of its own session, with its output appended to a log. Faults are its methods."""

    def __init__(self, name: str, argv: tuple[str, ...], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name, self.log = name, log
        self._argv, self._env = argv, {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it unless it runs."""
        with self._lock:
            if self.pid is None:
                with self.log.open("ab") as log:
                    self._process = subprocess.Popen(self._argv, env=self._env, stdin=subprocess.DEVNULL, stdout=log,
                                                     stderr=subprocess.STDOUT, start_new_session=True)

    def kill(self, number: int = signal.SIGKILL, seconds: float = 30.0) -> None:
        """End it by this signal, by SIGKILL when it does not obey, and wait until it is gone."""
        with self._lock:
            if self._process is None or self.pid is None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def pause(self) -> None:
        """Stop it where it stands; its connections stay open and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused program go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)
