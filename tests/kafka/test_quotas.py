"""Which of several quotas holds for whom; the broker's own word on it is in tests/contracts/test_quotas.py."""

from __future__ import annotations

import time

import pytest

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import brokers, quotas
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Sasl
from kafka_consumer_scaler.kafka.entities import Change, Entity, Standing
from kafka_consumer_scaler.kafka.quotas import Key, missing_right, standing_of
from tests.ports import refusing

WEB, SHOP = Entity(client_id="web"), Entity(user="shop")


def key(**names: str | None) -> Key:
    return frozenset((name.replace("_", "-"), value) for name, value in names.items())


CLIENT, USER = key(client_id="web"), key(user="shop")
ANY_CLIENT, ANY_USER, ANY_BOTH = key(client_id=None), key(user=None), key(user=None, client_id=None)


def test_its_own_quota_and_the_one_it_would_fall_back_to_are_told() -> None:
    assert standing_of(WEB, {CLIENT: 5, ANY_CLIENT: 9, key(client_id="other"): 1}) == Standing(own=5, inherited=9)
    assert standing_of(SHOP, {USER: 5}) == Standing(own=5)
    assert standing_of(SHOP, {}) == Standing()


@pytest.mark.parametrize(("there", "inherited"), [
    ({ANY_CLIENT: 1}, 1), ({ANY_CLIENT: 1, ANY_USER: 2}, 2), ({ANY_CLIENT: 1, ANY_USER: 2, ANY_BOTH: 3}, 3),
])
def test_a_user_inherits_by_kafkas_order(there: dict[Key, int], inherited: int) -> None:
    assert standing_of(SHOP, there) == Standing(inherited=inherited)


@pytest.mark.parametrize(("other", "words"), [
    (key(user="shop", client_id="web"), "the quota of user shop with client-id web"),
    (key(user=None, client_id="web"), "the quota of any user with client-id web"),
    (ANY_BOTH, "the quota of any user with any client-id"),
    (ANY_USER, "the quota of any user"),
])
def test_a_client_ids_quota_has_no_effect_beside_these(other: Key, words: str) -> None:
    assert standing_of(WEB, {CLIENT: 5, other: 9}).overridden_by == words


@pytest.mark.parametrize("other", [USER, key(user="shop", client_id=None), key(user="shop", client_id="other")])
def test_a_quota_of_some_user_leaves_a_client_ids_effect_on_the_others(other: Key) -> None:
    assert standing_of(WEB, {other: 9}) == Standing()


@pytest.mark.parametrize("other", [key(user="shop", client_id=None), key(user="shop", client_id="web")])
def test_a_users_quota_has_no_effect_beside_a_more_specific_one(other: Key) -> None:
    assert standing_of(SHOP, {other: 9}).overridden_by.startswith("the quota of user shop with ")


@pytest.mark.parametrize("other", [ANY_BOTH, ANY_USER, CLIENT, key(user=None, client_id="web")])
def test_a_users_quota_goes_before_what_is_for_any_user_or_for_a_client_id(other: Key) -> None:
    assert standing_of(SHOP, {other: 9}).overridden_by == ""


def test_the_right_that_is_missing_is_told_as_a_command() -> None:
    plain = Connection("kafka:9092", sasl=Sasl(Mechanism.PLAIN, "the operator", "planted-secret"))
    assert missing_right(plain).endswith(
        "kafka-acls.sh --bootstrap-server kafka:9092 --add --allow-principal 'User:the operator' "
        "--operation DescribeConfigs --operation AlterConfigs --cluster")


def test_brokers_out_of_reach_are_an_answer_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """kafka-python by itself would wait for 30 s."""
    monkeypatch.setattr(brokers, "REQUEST_SECONDS", 0.5)
    began = time.monotonic()
    with refusing() as port:
        said = quotas.describe(Connection(f"127.0.0.1:{port}"), [WEB], began + 60)
    assert isinstance(said, Unknown)
    assert said.reason is Reason.BROKERS_UNREACHABLE
    assert f"127.0.0.1:{port}" in said.why
    assert time.monotonic() - began < 25


def test_nothing_is_begun_after_its_time() -> None:
    said = quotas.change(Connection("192.0.2.1:9092"), [Change(WEB, frozenset({None}), 1)], time.monotonic())[WEB]
    assert isinstance(said, Unknown)
    assert "took all the time" in said.why
