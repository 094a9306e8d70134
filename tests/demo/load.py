"""The producer: examples/producer.py as a process of its own on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

from tests.demo import scene
from tests.demo.failure import DemoFailed


class Load:
    """A running producer; it dies with this process where the machine can do that."""

    def __init__(self, bootstrap_servers: str) -> None:
        tie = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        where = ("--bootstrap-servers", bootstrap_servers, "--topic", scene.TOPIC, "--steps", scene.STEPS)
        self._process = subprocess.Popen(
            [*tie, sys.executable, str(scene.EXAMPLES / "producer.py"), *where],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt from the keyboard is ours to handle
        )
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Whether it has ended. Raises DemoFailed with its own words when it failed."""
        if self._process.poll() is None:
            return False
        if self._process.returncode != 0:
            said = self._process.stderr.read().strip() if self._process.stderr else ""
            raise DemoFailed(said or f"the producer ended with status {self._process.returncode}")
        return True

    def stop(self) -> None:
        """End it now."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
