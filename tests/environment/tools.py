"""The command line tools of an environment's cluster, and how those who use them tell of a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .model import Environment, EnvironmentFailed

TOOL_SECONDS = 180


@dataclass(frozen=True)
class Tools:
    """kubectl and helm for one cluster. What they refuse is an EnvironmentFailed, in one line."""

    environment: Environment

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self._call(self.environment.kubectl, words, stdin)

    def helm(self, *words: str) -> str:
        return self._call(self.environment.helm, words, None)

    def _call(self, binary: Path, words: tuple[str, ...], stdin: str | None) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # where kubectl-kcs is
        variables = {**os.environ, "KUBECONFIG": str(self.environment.kubeconfig), "PATH": path}
        command = f"{binary.name} {' '.join(words[:3])}"
        try:
            done = subprocess.run(
                [binary, *words], input=stdin, capture_output=True, text=True, env=variables, timeout=TOOL_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise EnvironmentFailed(f"{command}: no answer in {TOOL_SECONDS} s") from None
        if done.returncode != 0:
            raise EnvironmentFailed(f"{command}: {' '.join(done.stderr.split()) or f'status {done.returncode}'}")
        return done.stdout


def complain(program: str, failure: BaseException) -> None:
    """One line for a failure, and before it one for the failure after which cleaning up failed too."""
    if isinstance(failure.__context__, EnvironmentFailed):
        complain(program, failure.__context__)
    print(f"{program}: {failure}", file=sys.stderr)
    for line in getattr(failure, "log", ()):
        print(f"  {line}", file=sys.stderr)
