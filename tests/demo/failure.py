"""Failure of the demo in one line."""

from __future__ import annotations

from tests.environment import EnvironmentFailed


class DemoFailed(EnvironmentFailed):
    """The demo cannot go on, or did not show what it is there to show; the message is one line."""
