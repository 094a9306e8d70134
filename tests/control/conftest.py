"""Modules that say `VIRTUAL_TIME = True` run on a loop whose time nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.control.virtual_time import VirtualTime


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The one kind of loop for this test."""
    is_virtual = getattr(getattr(item, "module", None), "VIRTUAL_TIME", False)
    return {"virtual": VirtualTime} if is_virtual else {"real": asyncio.new_event_loop}
