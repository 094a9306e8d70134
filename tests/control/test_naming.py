"""What connections are called in the series."""

from __future__ import annotations

from typing import Any

import pytest

from kafka_consumer_scaler.control.clock import SteadyClock
from kafka_consumer_scaler.control.naming import name_of
from kafka_consumer_scaler.control.registry import Registry, Subject, Watched
from tests.control.fakes import resource

INLINE = {"bootstrapServers": "kafka:9092"}
SHARED = {"connectionRef": {"name": "kafka"}}
OF_ADMINISTRATOR = {"connectionRef": {"kind": "ClusterKafkaConnection", "name": "main"}}


def on(*resources: tuple[str, str, dict[str, Any]]) -> list[tuple[Watched, Subject]]:
    """Resources, by namespace and name, with what they say of their cluster."""
    registry = Registry(SteadyClock())
    for namespace, name, kafka in resources:
        registry.put(resource(name, f"u-{namespace}-{name}", namespace=namespace, kafka=kafka))
    return [(watched, watched.subject) for watched in registry.all() if watched.subject]


@pytest.mark.parametrize(("resources", "name"), [
    ([("shop", "orders", INLINE)], "shop/orders"),
    ([("shop", "orders", INLINE), ("bank", "ledger", INLINE)], "bank/ledger"),
    ([("shop", "orders", SHARED), ("shop", "refunds", SHARED)], "shop/kafka"),
    ([("shop", "orders", OF_ADMINISTRATOR), ("bank", "ledger", OF_ADMINISTRATOR)], "main"),
    ([("bank", "ledger", INLINE), ("shop", "orders", SHARED)], "shop/kafka"),
])
def test_a_connection_is_called_by_what_its_resources_say(
    resources: list[tuple[str, str, dict[str, Any]]], name: str
) -> None:
    assert name_of(on(*resources), taken=[]) == name
    assert name_of(on(*reversed(resources)), taken=[]) == name


def test_a_name_that_another_connection_has_is_not_given_again() -> None:
    both = on(("shop", "orders", INLINE), ("shop", "refunds", INLINE))
    assert name_of(both, taken=["shop/orders"]) == "shop/refunds"
    assert name_of(both, taken=["shop/orders", "shop/refunds"]) == "shop/orders#2"
    assert name_of(both, taken=["shop/orders", "shop/refunds", "shop/orders#2"]) == "shop/orders#3"
