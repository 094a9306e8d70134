"""What resources may make the operator do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.api.reaching import KafkaConnectionSpec
from kafka_consumer_scaler.control.permissions import BadPattern, Pattern, Permissions, parse_all, servers_of
from kafka_consumer_scaler.control.settings import BadSettings, Settings
from kafka_consumer_scaler.core.reasons import Reason
from tests.api.manifests import BY_IAM, BY_TOKEN


def spec(servers: str = "kafka:9092", **more: object) -> KafkaConnectionSpec:
    return KafkaConnectionSpec.model_validate({"bootstrapServers": servers, **more})


def why(permissions: Permissions, asked: KafkaConnectionSpec, *, of_administrator: bool = False) -> str:
    """The refusal; empty when it is permitted."""
    refused = permissions.refusal(asked, of_administrator=of_administrator)
    assert refused is None or refused.reason is Reason.NOT_PERMITTED
    return refused.why if refused else ""


@pytest.mark.parametrize(
    ("pattern", "servers", "admitted"),
    [
        ("kafka.shop", "kafka.shop:9092", True),
        ("kafka.shop", "kafka.shop:19092", True),
        ("kafka.shop", "KAFKA.Shop.:9092", True),
        ("Kafka.Shop", "kafka.shop:9092", True),
        ("kafka.shop", "kafka.shop.evil:9092", False),
        ("kafka.shop", "evilkafka.shop:9092", False),
        ("kafka.shop:9092", "kafka.shop:9092", True),
        ("kafka.shop:9092", "kafka.shop:9093", False),
        ("*.kafka.shop", "b-1.kafka.shop:9092", True),
        ("*.kafka.shop", "a.b.kafka.shop:9092", True),
        ("*.kafka.shop", "kafka.shop:9092", False),
        ("*.kafka.shop", "evilkafka.shop:9092", False),
        ("*.kafka.shop:9092", "b-1.kafka.shop:9093", False),
        ("10.0.0.0/8", "10.1.2.3:9092", True),
        ("10.0.0.0/8", "11.1.2.3:9092", False),
        ("10.0.0.0/8", "kafka.shop:9092", False),
        ("10.0.0.0/8", "[::ffff:10.1.2.3]:9092", True),
        ("10.0.0.7", "10.0.0.7:9092", True),
        ("10.0.0.7:9092", "10.0.0.7:9093", False),
        ("10.0.0.0/8:9092", "10.0.0.7:9092", True),
        ("2001:db8::/32", "[2001:DB8::7]:9092", True),
        ("2001:db8::7", "[2001:db8:0::7]:9092", True),
        ("[2001:db8::7]:9092", "[2001:db8::7]:9093", False),
        ("kafka.shop", "kafka.shop:9092,evil:9092", False),
        ("kafka.shop", "evil:9092,kafka.shop:9092", False),
    ],
)
def test_a_pattern_admits_what_the_table_says(pattern: str, servers: str, admitted: bool) -> None:
    refused = why(Permissions(brokers=parse_all([pattern])), spec(servers))
    assert (refused == "") is admitted, refused


def test_the_refusal_names_the_server_and_the_setting() -> None:
    rules = Permissions(brokers=parse_all(["kafka.shop", "10.0.0.0/8"]))
    assert why(rules, spec("kafka.shop:9092,10.0.0.1:9092,Evil:9092")) == (
        "the broker evil:9092 is not in the list of allowed brokers: the operator's administrator can allow it "
        "(allowedBrokers in the chart)"
    )


@given(st.sampled_from(["kafka:9092", "10.0.0.7:9092,[2001:db8::7]:9094", "a.b.c:1"]))
def test_without_a_list_every_address_is_permitted(servers: str) -> None:
    assert why(Permissions(), spec(servers)) == ""


@pytest.mark.parametrize(
    ("pattern", "permitted"),
    [("login.example.com", True), ("login.example.com:443", True), ("*.example.com", True),
     ("login.example.com:8443", False), ("example.com", False)],
)  # fmt: skip
def test_identity_providers_have_a_list_of_their_own(pattern: str, permitted: bool) -> None:
    asked = spec(tls={}, sasl=BY_TOKEN)
    refused = why(Permissions(identity_providers=parse_all([pattern])), asked)
    assert (refused == "") is permitted
    assert permitted or "the identity provider login.example.com:443 is not in the list" in refused
    assert why(Permissions(brokers=parse_all(["kafka"])), asked) == ""


def test_an_administrators_own_addresses_are_bound_by_no_list() -> None:
    rules = Permissions(parse_all(["nowhere"]), parse_all(["nowhere"]))
    asked = spec(tls={}, sasl=BY_TOKEN)
    assert why(rules, asked) != ""
    assert why(rules, asked, of_administrator=True) == ""


@pytest.mark.parametrize("of_administrator", [False, True])
def test_the_operators_aws_identity_is_lent_only_when_it_was_told_so(of_administrator: bool) -> None:
    asked = spec(tls={}, sasl=BY_IAM)
    assert "allowAwsIam" in why(Permissions(), asked, of_administrator=of_administrator)
    assert why(Permissions(allow_aws_iam=True), asked, of_administrator=of_administrator) == ""


def test_the_oldest_connections_of_each_namespace_are_within_the_cap() -> None:
    asked = {f"{namespace}{age}": (namespace, (float(age), "u")) for namespace in "ab" for age in (3, 1, 2)}
    refused = Permissions(connections_per_namespace=2).over_the_cap(asked)
    assert set(refused) == {"a3", "b3"}
    assert refused["a3"].reason is Reason.NOT_PERMITTED
    assert "namespace a use more than 2 different Kafka connections" in refused["a3"].why


def test_of_resources_made_in_the_same_second_the_uid_decides() -> None:
    asked = {uid: ("shop", (1.0, uid)) for uid in ("c", "a", "b")}
    assert set(Permissions(connections_per_namespace=1).over_the_cap(asked)) == {"b", "c"}


@given(st.dictionaries(st.integers(), st.tuples(st.sampled_from("abc"), st.tuples(st.floats(0, 9), st.text()))),
       st.integers(1, 4))
def test_no_namespace_has_more_than_its_cap_and_none_has_less_than_it_could(
    asked: dict[int, tuple[str, tuple[float, str]]], cap: int
) -> None:
    refused = Permissions(connections_per_namespace=cap).over_the_cap(asked)
    for namespace in "abc":
        ones = [one for one in asked if asked[one][0] == namespace]
        assert len([one for one in ones if one not in refused]) == min(cap, len(ones))


@pytest.mark.parametrize("text", ["", "*", "*.", "10.0.0.0/33", "10.0.0.5/8", "10.0.0", "kafka shop", "http://kafka",
                                  "kafka:port", "a,b", "*kafka.shop", "kafka.*", "kafka/24"])  # fmt: skip
def test_a_pattern_that_means_nothing_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(BadPattern, match="is no host"):
        Pattern.parse(text)
    with pytest.raises(BadSettings, match=r"--allowed-broker '.*' is no host"):
        Settings(allowed_brokers=(text,))
    with pytest.raises(BadSettings, match=r"--allowed-identity-provider '.*' is no host"):
        Settings(allowed_identity_providers=(text,))


@given(st.ip_addresses(v=6).map(str), st.integers(1, 65535))
def test_servers_are_told_apart_from_their_ports(address: str, port: int) -> None:
    assert servers_of(f"[{address.upper()}]:{port},Kafka.:1") == [(address, port), ("kafka", 1)]
