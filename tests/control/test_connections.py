"""From what resources say to how their cluster is reached."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from kafka_consumer_scaler.control.connections import Resolver
from kafka_consumer_scaler.control.permissions import Permissions, parse_all
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Sasl, Tls
from tests.api.manifests import CLUSTER_CONNECTION, CONNECTION, SCRAM
from tests.control.fakes import Vault, resolver, resource
from tests.control.virtual_time import LoopClock
from tests.planted import SUITE
from tests.waiting import until

VIRTUAL_TIME = True

PLANTED = SUITE.plant("planted-c0ffee", "the password of a connection")
PLAIN = Connection("kafka:9092")
SECURED = {"bootstrapServers": "kafka:9093", "sasl": SCRAM}
ADMITTED = Connection("kafka:9093", None, Sasl(Mechanism.SCRAM_SHA_512, "orders", PLANTED))
SHARED = Connection("kafka:9093", Tls(), Sasl(Mechanism.SCRAM_SHA_512, "orders", PLANTED))
SILENT = Unknown("the API server did not answer within 5 s", Reason.API_SERVER_UNREACHABLE)
REF = {"connectionRef": {"name": "shop"}}
CLUSTER_REF = {"connectionRef": {"kind": "ClusterKafkaConnection", "name": "shop"}}


class World:
    """A registry, a vault and the resolver between them."""

    def __init__(self, **options: Any) -> None:
        self.registry = Registry(LoopClock())
        self.vault = Vault({(place, "kafka-user"): {"password": PLANTED} for place in ("shop", "billing", "operator")})
        self.resolver: Resolver = resolver(self.registry, self.vault, **options)

    def add(self, name: str, **spec: Any) -> None:
        self.registry.put(resource(name, f"uid of {name}", **spec))

    def of(self, name: str) -> Connection | Unknown | None:
        self.resolver.follow()
        return next(each.connection for each in self.registry.all() if each.name == name)

    async def found(self, name: str) -> Connection | Unknown:
        """The first answer."""
        await until(lambda: self.of(name) is not None)
        found = self.of(name)
        assert found is not None
        await self.resolver.stop()
        return found

    async def refusal(self, name: str, reason: Reason) -> str:
        found = await self.found(name)
        assert isinstance(found, Unknown)
        assert found.reason is reason
        return found.why


async def test_what_needs_no_secret_is_known_at_once_and_asks_nobody() -> None:
    world = World()
    world.add("plain")
    world.add("encrypted", kafka={"bootstrapServers": "kafka:9093", "tls": {}})
    assert (world.of("plain"), world.of("encrypted")) == (PLAIN, Connection("kafka:9093", Tls()))
    assert world.vault.asked == []


async def test_a_secret_is_looked_up_in_the_resources_own_namespace() -> None:
    world = World()
    world.add("orders", kafka=SECURED)
    assert world.of("orders") is None, "not known yet, and nothing is asked of the brokers"
    assert await world.found("orders") == ADMITTED
    assert set(world.vault.asked) == {("shop", "kafka-user")}


async def test_resources_that_ask_for_the_same_share_one_lookup() -> None:
    world = World(refresh_seconds=60)
    for number in range(20):
        world.add(f"orders-{number}", kafka=SECURED, scaleTargetRef={"name": f"orders-{number}"})
    await world.found("orders-19")
    assert world.of("orders-0") == world.of("orders-19") == ADMITTED
    assert world.vault.asked == [("shop", "kafka-user")]


async def test_different_connections_of_one_secret_read_it_once() -> None:
    world = World(refresh_seconds=60)
    for port in range(1, 6):
        world.add(f"s{port}", kafka=SECURED | {"bootstrapServers": f"kafka:{port}"})
    await until(lambda: all(isinstance(world.of(f"s{port}"), Connection) for port in range(1, 6)))
    await world.resolver.stop()
    assert world.vault.asked == [("shop", "kafka-user")]


async def test_a_rotated_secret_is_another_connection() -> None:
    world = World()
    world.add("orders", kafka=SECURED)
    await until(lambda: world.of("orders") == ADMITTED)
    world.registry.changed.clear()
    world.vault.secrets["shop", "kafka-user"] = {"password": "new"}
    await until(lambda: world.registry.changed.is_set())
    assert world.of("orders") == Connection("kafka:9093", None, Sasl(Mechanism.SCRAM_SHA_512, "orders", "new"))
    await world.resolver.stop()


async def test_an_api_server_that_does_not_answer_takes_no_credentials_away() -> None:
    world = World()
    world.add("orders", kafka=SECURED)
    await until(lambda: world.of("orders") == ADMITTED)
    world.vault.secrets["shop", "kafka-user"] = SILENT
    asked = len(world.vault.asked)
    await until(lambda: len(world.vault.asked) > asked + 3)
    assert world.of("orders") == ADMITTED
    world.vault.secrets["shop", "kafka-user"] = {}
    await until(lambda: isinstance(world.of("orders"), Unknown))
    await world.resolver.stop()


async def test_an_api_server_that_never_answered_is_the_reason() -> None:
    world = World()
    world.vault.secrets["shop", "kafka-user"] = SILENT
    world.add("orders", kafka=SECURED)
    assert await world.refusal("orders", Reason.API_SERVER_UNREACHABLE) == SILENT.why


async def test_a_namespace_whose_secrets_hang_delays_no_other() -> None:
    world = World()
    world.vault.silent.add("shop")
    for number in range(20):
        world.add(f"slow-{number}", kafka=SECURED | {"bootstrapServers": f"kafka:{number + 1}"})
    world.add("billing", kafka=SECURED, namespace="billing")
    assert await world.found("billing") == ADMITTED
    assert world.of("slow-0") is None
    assert world.vault.asked.count(("shop", "kafka-user")) == 1, "one request of a namespace at once"


async def test_a_missing_secret_or_key_is_named_and_found_once_it_is_there() -> None:
    world = World()
    world.vault.secrets["shop", "kafka-user"] = {"other": "x"}
    world.add("orders", kafka=SECURED)
    missing = Unknown("Secret shop/kafka-user has no key password", Reason.SECRET_NOT_FOUND)
    await until(lambda: world.of("orders") == missing)
    world.vault.secrets["shop", "kafka-user"] = {"password": PLANTED}
    await until(lambda: world.of("orders") != missing)
    assert world.of("orders") == ADMITTED
    await world.resolver.stop()


async def test_a_connection_of_the_namespace_is_used_with_its_secrets() -> None:
    world = World()
    world.vault.shared["shop", "shop"] = CONNECTION
    world.add("orders", kafka=REF)
    assert await world.found("orders") == SHARED
    assert set(world.vault.asked) == {("shop", "shop"), ("shop", "kafka-user")}


async def test_a_changed_connection_is_followed_and_another_cluster_starts_the_history_anew() -> None:
    world = World()
    world.vault.shared["shop", "shop"] = CONNECTION
    world.add("orders", kafka=REF)
    await until(lambda: world.of("orders") == SHARED)
    (watched,) = world.registry.all()
    watched.history = watched.history.__class__(failures=7)
    world.vault.secrets["shop", "kafka-user"] = {"password": "new"}
    await until(lambda: world.of("orders") != SHARED)
    assert watched.history.failures == 7, "the same brokers"
    world.vault.shared["shop", "shop"] = CONNECTION | {"spec": {"bootstrapServers": "other:9092"}}
    await until(lambda: world.of("orders") == Connection("other:9092"))
    assert watched.history.failures == 0
    await world.resolver.stop()


async def test_a_missing_or_unusable_connection_is_named_with_its_field() -> None:
    world = World()
    world.add("orders", kafka=REF)
    why = await world.refusal("orders", Reason.CONNECTION_NOT_FOUND)
    assert why == "there is no KafkaConnection shop/shop"
    world.vault.shared["shop", "broken"] = {"spec": {"bootstrapServers": "file:///etc/shadow"}}
    world.add("broken", kafka={"connectionRef": {"name": "broken"}})
    why = await world.refusal("broken", Reason.CONNECTION_NOT_FOUND)
    assert why.startswith("KafkaConnection broken: spec.bootstrapServers: bootstrapServers must be host:port pairs")


async def test_a_clusters_connection_is_used_with_the_secrets_of_the_operators_own_namespace() -> None:
    world = World()
    world.vault.shared["", "shop"] = CLUSTER_CONNECTION
    world.add("orders", kafka=CLUSTER_REF, namespace="billing")
    assert await world.found("orders") == SHARED
    assert set(world.vault.asked) == {("", "shop"), ("operator", "kafka-user")}


async def test_a_clusters_connection_is_refused_to_a_namespace_that_it_does_not_allow() -> None:
    world = World()
    world.vault.shared["", "shop"] = CLUSTER_CONNECTION
    world.add("orders", kafka=CLUSTER_REF, namespace="other")
    why = await world.refusal("orders", Reason.NOT_PERMITTED)
    assert why == ("ClusterKafkaConnection shop does not allow namespace other: its administrator can add it to "
                   "allowedNamespaces")  # fmt: skip
    assert ("operator", "kafka-user") not in world.vault.asked, "what may not be used is not even read"


async def test_an_operator_that_was_not_told_its_namespace_says_so() -> None:
    world = World(own_namespace="")
    world.vault.shared["", "shop"] = CLUSTER_CONNECTION
    world.add("orders", kafka=CLUSTER_REF)
    assert "set POD_NAMESPACE" in await world.refusal("orders", Reason.SECRET_NOT_FOUND)


async def test_an_address_that_is_not_allowed_is_refused_before_any_secret_is_read() -> None:
    world = World(permissions=Permissions(parse_all(["kafka.shop"])))
    world.add("orders", kafka=SECURED)
    assert "the broker kafka:9093 is not in the list" in await world.refusal("orders", Reason.NOT_PERMITTED)
    assert world.vault.asked == []


async def test_the_list_binds_a_namespaces_connection_and_not_the_administrators() -> None:
    world = World(permissions=Permissions(parse_all(["kafka.shop"])))
    world.vault.shared |= {("shop", "shop"): CONNECTION, ("", "shop"): CLUSTER_CONNECTION}
    world.add("own", kafka=REF)
    world.add("admins", kafka=CLUSTER_REF)
    await until(lambda: world.of("own") is not None and world.of("admins") is not None)
    await world.resolver.stop()
    assert isinstance(world.of("own"), Unknown)
    assert world.of("admins") == SHARED


async def test_a_namespace_over_its_cap_keeps_its_oldest_connections_and_costs_no_other_anything() -> None:
    world = World(permissions=Permissions(connections_per_namespace=2))
    for age in (3, 1, 2):
        world.add(f"s{age}", kafka={"bootstrapServers": f"kafka:{age}"}, created=f"2026-01-01T00:00:0{age}Z")
    world.add("twin", kafka={"bootstrapServers": "kafka:1"}, created="2026-01-01T00:00:09Z")
    world.add("other", kafka={"bootstrapServers": "kafka:9"}, created="2026-01-01T00:00:09Z", namespace="billing")
    known = {name: isinstance(world.of(name), Connection) for name in ("s1", "s2", "s3", "twin", "other")}
    assert known == {"s1": True, "s2": True, "s3": False, "twin": True, "other": True}
    world.registry.drop("uid of s2")
    assert world.of("s3") == Connection("kafka:3")


async def test_who_leaves_takes_the_lookup_along() -> None:
    world = World()
    world.add("orders", kafka=SECURED)
    await until(lambda: world.of("orders") == ADMITTED)
    world.registry.drop("uid of orders")
    world.resolver.follow()
    asked = len(world.vault.asked)
    await asyncio.sleep(60)
    assert len(world.vault.asked) == asked


async def test_an_error_of_ours_is_told_by_its_kind_and_ends_no_lookup(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.vault.secrets["shop", "kafka-user"] = {"password": 7}  # type: ignore[dict-item]
    world.add("orders", kafka=SECURED)
    await until(lambda: isinstance(world.of("orders"), Unknown))
    assert world.of("orders") == Unknown(
        "the connection was not looked up: AttributeError", Reason.CONNECTION_NOT_FOUND
    )
    world.vault.secrets["shop", "kafka-user"] = {"password": PLANTED}
    await until(lambda: world.of("orders") == ADMITTED)
    await world.resolver.stop()


async def test_no_value_of_a_secret_is_in_a_log_a_repr_or_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World()
    world.vault.secrets["shop", "bad"] = {"password": f"{PLANTED}\x00"}
    world.add("orders", kafka=SECURED)
    world.add("bad", kafka=SECURED | {"sasl": SCRAM | {"passwordSecretRef": {"name": "bad", "key": "password"}}})
    await until(lambda: world.of("orders") is not None and world.of("bad") is not None)
    secret = await world.vault.secret("shop", "kafka-user")
    said = [str(world.of("bad")), repr(world.of("orders")), repr(secret), str(secret), repr(world.registry.all())]
    await world.resolver.stop()
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert "of Secret shop/bad holds control characters" in said[0]
    assert [words for words in said + logged if PLANTED in words or "cGxhbnRlZC" in words] == []
