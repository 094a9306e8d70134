"""A real Prometheus, for tests that need no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.telemetry.scraping import programs


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    return programs()["prometheus"]


@pytest.fixture(scope="session")
def promtool() -> Path:
    return programs()["promtool"]
