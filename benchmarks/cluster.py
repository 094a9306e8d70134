"""kubectl and helm of the environment's cluster."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environment import Environment

TOOL_SECONDS = 180


class BenchmarkFailed(Exception):
    """The benchmark cannot go on; the message is one line."""


@dataclass(frozen=True)
class Cluster:
    """The environment's cluster. What it refuses is a BenchmarkFailed."""

    environment: Environment

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self._call(self.environment.kubectl, words, stdin)

    def helm(self, *words: str) -> str:
        return self._call(self.environment.helm, words, None)

    def raw(self, path: str) -> str:
        """The API server's answer to a GET of the path."""
        return self.kubectl("get", "--raw", path)

    def items(self, *words: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get` lists."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", *words, "-o", "json"))["items"]
        return found

    def has(self, kind: str, name: str) -> bool:
        return bool(self.kubectl("get", kind, name, "--ignore-not-found", "-o", "name").strip())

    def create(self, objects: list[dict[str, Any]]) -> None:
        """All of them; none may exist."""
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def _call(self, binary: Path, words: tuple[str, ...], stdin: str | None) -> str:
        variables = {**os.environ, "KUBECONFIG": str(self.environment.kubeconfig)}
        command = f"{binary.name} {' '.join(words[:3])}"
        try:
            done = subprocess.run(
                [binary, *words], input=stdin, capture_output=True, text=True, env=variables, timeout=TOOL_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkFailed(f"{command}: no answer in {TOOL_SECONDS} s") from None
        if done.returncode != 0:
            raise BenchmarkFailed(f"{command}: {' '.join(done.stderr.split()) or f'status {done.returncode}'}")
        return done.stdout


def wait_until(problem: Callable[[], str], within_seconds: float) -> None:
    """Return once there is no problem; raise BenchmarkFailed with the last one when the time is over."""
    deadline = time.monotonic() + within_seconds
    while said := problem():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"not within {within_seconds:.0f} s: {said}")
        time.sleep(1)
