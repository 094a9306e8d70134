"""Helm and kubectl for tests that need no cluster."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import environment
from tests.environment import recipes
from tests.environment.cache import ensure
from tests.environment.progress import Progress


@pytest.fixture(scope="session")
def clients() -> dict[str, Path]:
    """The running environment's, else those on PATH, else those of the cache, built there once (minutes)."""
    running = environment.running()
    if running is not None:
        return {"helm": running.helm, "kubectl": running.kubectl}
    on_path = {name: Path(found) for name in ("helm", "kubectl") if (found := shutil.which(name))}
    if len(on_path) == 2:
        return on_path
    folder = ensure(recipes.clients(), Progress(print))
    return {name: folder / name for name in ("helm", "kubectl")}


@pytest.fixture(scope="session")
def helm_binary(clients: dict[str, Path]) -> Path:
    return clients["helm"]


@pytest.fixture(scope="session")
def kubectl_binary(clients: dict[str, Path]) -> Path:
    return clients["kubectl"]
