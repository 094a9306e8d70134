"""What a verb sets up for its process is taken back after each test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.ports import refusing


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port at which nobody listens."""
    with refusing() as port:
        yield port


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """`run` logs to the stderr of its process, which in a test is closed at its end."""
    root = logging.getLogger()
    handlers, level, converter = root.handlers[:], root.level, logging.Formatter.converter
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.Formatter.converter = converter
