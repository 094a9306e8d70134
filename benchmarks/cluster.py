"""What benchmarks ask of the environment's cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.environment import EnvironmentFailed
from tests.environment.tools import Tools


class BenchmarkFailed(EnvironmentFailed):
    """The benchmark cannot go on; the message is one line."""


@dataclass(frozen=True)
class Cluster(Tools):
    """The environment's cluster. What it refuses is an EnvironmentFailed."""

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


def wait_until(problem: Callable[[], str], within_seconds: float) -> None:
    """Return once there is no problem; raise BenchmarkFailed with the last one when the time is over."""
    deadline = time.monotonic() + within_seconds
    while said := problem():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"not within {within_seconds:.0f} s: {said}")
        time.sleep(1)
