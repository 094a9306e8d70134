"""Helm and kubectl for tests that need no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environment.caller import client_tools
from tests.environment.progress import Progress


@pytest.fixture(scope="session")
def clients() -> dict[str, Path]:
    """By name: those on PATH, else of the cache; built there once, which takes minutes."""
    return client_tools(Progress(print))


@pytest.fixture(scope="session")
def helm_binary(clients: dict[str, Path]) -> Path:
    return clients["helm"]


@pytest.fixture(scope="session")
def kubectl_binary(clients: dict[str, Path]) -> Path:
    return clients["kubectl"]
