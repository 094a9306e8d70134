"""Failure in one line, and the command line tools of the cluster."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.environment import Environment

TOOL_SECONDS = 180


class DemoFailed(Exception):
    """The demo cannot go on, or did not show what it is there to show; the message is one line."""


@dataclass(frozen=True)
class Tools:
    """kubectl and helm for one cluster. What they refuse is a DemoFailed."""

    environment: Environment

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self._call(self.environment.kubectl, words, stdin)

    def helm(self, *words: str) -> str:
        return self._call(self.environment.helm, words, None)

    def _call(self, binary: Path, words: tuple[str, ...], stdin: str | None) -> str:
        variables = {**os.environ, "KUBECONFIG": str(self.environment.kubeconfig)}
        command = f"{binary.name} {' '.join(words[:3])}"
        try:
            done = subprocess.run(
                [binary, *words], input=stdin, capture_output=True, text=True, env=variables, timeout=TOOL_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{command}: no answer in {TOOL_SECONDS} s") from None
        if done.returncode != 0:
            raise DemoFailed(f"{command}: {' '.join(done.stderr.split()) or f'status {done.returncode}'}")
        return done.stdout
