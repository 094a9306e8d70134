"""Modules that say `VIRTUAL_TIME = True` run on a loop whose time nobody waits for. And one resource."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.registry import Registry, Watched
from tests.control.fakes import Outside, reconciler, resource
from tests.control.virtual_time import VirtualTime


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The one kind of loop for this test."""
    is_virtual = getattr(getattr(item, "module", None), "VIRTUAL_TIME", False)
    return {"virtual": VirtualTime} if is_virtual else {"real": asyncio.new_event_loop}


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def registry(outside: Outside) -> Registry:
    registry = Registry(outside)
    registry.put(resource(target={"lagPerReplica": 100}))
    return registry


@pytest.fixture
def watched(registry: Registry) -> Watched:
    return registry.all()[0]


@pytest.fixture
def body(outside: Outside, registry: Registry) -> Reconciler:
    return reconciler(outside, registry)
