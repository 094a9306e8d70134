"""Reading a KafkaConsumerScaler into the core's words."""

from __future__ import annotations

import ipaddress
import json
import time
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.api.reaching import ConnectionKind, Kafka, KafkaConnectionSpec
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, KafkaConsumerScaler, parse_connection
from kafka_consumer_scaler.core.policy import (
    Fallback,
    FallbackBehavior,
    IsolationLevel,
    Mode,
    OffsetReset,
    Policy,
    ProducerQuota,
    ScalingRules,
    SelectPolicy,
    StepPolicy,
    StepUnit,
)
from tests.api.manifests import (
    BAD,
    BAD_CONNECTIONS,
    BAD_NAMESPACES,
    BY_TOKEN,
    CLUSTER_CONNECTION,
    CONNECTION,
    FULL_SPEC,
    GOOD_ENDPOINTS,
    GOOD_WAYS,
    OAUTH,
    SERVERS,
    SMALLEST,
    UNKNOWN_FIELDS,
    Bad,
    with_connection_field,
    with_field,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refusal(manifest: dict[str, Any], *, strict: bool = True) -> str:
    with pytest.raises(InvalidSpec) as caught:
        KafkaConsumerScaler.parse(manifest, strict=strict)
    return str(caught.value)


def test_the_smallest_manifest_has_the_cores_defaults() -> None:
    assert KafkaConsumerScaler.parse(SMALLEST).policy() == Policy(max_replicas=12)


def test_every_field_of_a_full_manifest_reaches_the_policy() -> None:
    assert KafkaConsumerScaler.parse(SMALLEST | {"spec": FULL_SPEC}, strict=True).policy() == Policy(
        max_replicas=24,
        min_replicas=0,
        lag_seconds=30.5,
        lag_per_replica=500,
        activation_lag=10,
        utilization=0.7,
        recovery_seconds=120,
        polling_interval_seconds=5,
        consumer_threads=2,
        topics=("orders", "orders.retry"),
        topic_pattern=None,
        offset_reset=OffsetReset.EARLIEST,
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        scale_up=ScalingRules(
            15, 10, 0.2, (StepPolicy(StepUnit.PODS, 4, 60), StepPolicy(StepUnit.PERCENT, 100, 60)), SelectPolicy.MIN,
            max_changes_per_hour=6, max_changes_per_day=20,
        ),
        scale_down=ScalingRules(
            600, 240, 0.05, (StepPolicy(StepUnit.PERCENT, 10, 300),), SelectPolicy.DISABLED,
            max_changes_per_hour=4, max_changes_per_day=4,
        ),
        mode=Mode.ADVISORY,
        paused=True,
        fallback=Fallback(5, 6, FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER),
        quotas=(ProducerQuota(100_000, client_id="orders-ingest"), ProducerQuota(50_000, user="CN=shop")),
    )  # fmt: skip


def test_a_topic_pattern_reaches_the_policy() -> None:
    assert KafkaConsumerScaler.parse(with_field("topicPattern", r"orders\..*")).policy().topic_pattern == r"orders\..*"


def test_the_objects_identity_is_kept() -> None:
    metadata = {
        "namespace": "shop",
        "name": "orders",
        "uid": "u-1",
        "generation": 7,
        "creationTimestamp": "2026-11-23T07:00:00Z",
    }
    scaler = KafkaConsumerScaler.parse(SMALLEST | {"metadata": metadata})
    identity = (scaler.namespace, scaler.name, scaler.uid, scaler.generation, scaler.created_at)
    assert identity == ("shop", "orders", "u-1", 7, 1795417200.0)
    assert scaler.spec.kafka.bootstrap_servers == "kafka:9092"
    assert (scaler.spec.scale_target_ref.api_version, scaler.spec.scale_target_ref.kind) == ("apps/v1", "Deployment")


def test_any_kind_of_mapping_is_read() -> None:
    body = MappingProxyType({"metadata": MappingProxyType({}), "spec": MappingProxyType(FULL_SPEC)})
    assert KafkaConsumerScaler.parse(body).policy().max_replicas == 24


@pytest.mark.parametrize("bad", [*BAD, *UNKNOWN_FIELDS], ids=lambda bad: bad.why)
def test_a_bad_manifest_is_refused_in_one_line_that_names_the_field(bad: Bad) -> None:
    message = refusal(with_field(bad.path, bad.value))
    assert all(part in message for part in bad.says), message
    assert message.startswith("spec")
    assert message.isprintable()


def test_topics_and_a_pattern_together_are_refused() -> None:
    manifest = with_field("topics", ["orders"])
    manifest["spec"]["topicPattern"] = "orders.*"
    assert "only one of spec.topics and spec.topicPattern" in refusal(manifest)


def test_the_number_of_further_errors_is_told() -> None:
    manifest = with_field("minReplicas", -1)
    manifest["spec"]["pollingIntervalSeconds"] = 0
    assert refusal(manifest) == "spec.minReplicas: Input should be greater than or equal to 0 (and 1 more)"


def test_a_manifest_without_a_spec_is_refused() -> None:
    assert refusal({"metadata": {"name": "x"}}) == "spec: Field required"


def test_a_field_of_a_newer_crd_is_ignored() -> None:
    stored = with_field("brandNew", {"x": 1})
    stored["spec"]["target"] = {"lagSeconds": 30, "brandNew": True}
    assert KafkaConsumerScaler.parse(stored).policy() == Policy(max_replicas=12, lag_seconds=30)


def test_an_unknown_field_under_kafka_is_refused_even_when_stored() -> None:
    assert refusal(with_field("kafka/gssapi", {}), strict=False) == "spec.kafka.gssapi: unknown field"
    tls = with_field("kafka/tls/minimumVersion", "1.3")
    assert refusal(tls, strict=False) == "spec.kafka.tls.minimumVersion: unknown field"


def test_an_unknown_field_does_not_hide_a_broken_rule() -> None:
    stored = with_field("minReplicas", 13)
    stored["spec"]["brandNew"] = 1
    assert "spec.minReplicas must not be greater" in refusal(stored, strict=False)


def test_control_characters_are_escaped_in_a_refusal() -> None:
    message = refusal(with_field("evil\x1b[31m\nfield", 1))
    assert message == r"spec.evil\x1b[31m\nfield: unknown field"


def judged(spec: Any) -> Policy | str:
    """The policy, or the refusal."""
    try:
        return KafkaConsumerScaler.parse({"metadata": {}, "spec": spec}).policy()
    except InvalidSpec as error:
        return str(error)


@given(JSON)
def test_whatever_stands_in_the_spec_is_refused_in_one_line(spec: Any) -> None:
    refused = judged(spec)
    assert isinstance(refused, str)
    assert refused.isprintable()
    assert len(refused) < 1100


@given(st.dictionaries(st.sampled_from(sorted(FULL_SPEC)), JSON))
def test_whatever_stands_in_a_field_is_read_or_refused_in_one_line(spoilt: dict[str, Any]) -> None:
    found = judged(SMALLEST["spec"] | spoilt)
    assert found.isprintable() if isinstance(found, str) else 0 <= found.min_replicas <= found.max_replicas


LINK_LOCAL = st.one_of(
    st.ip_addresses(v=4, network="169.254.0.0/16").map(str),
    st.ip_addresses(v=6, network="fe80::/10").map(str),
    st.ip_addresses(v=6, network="fe80::/10").map(lambda address: ipaddress.IPv6Address(address).exploded.upper()),
    st.ip_addresses(v=4, network="169.254.0.0/16").map(lambda address: f"::ffff:{address}"),
    st.ip_addresses(v=4, network="169.254.0.0/16").map(lambda address: str(ipaddress.ip_address(f"::ffff:{address}"))),
)


def server(address: str) -> str:
    return f"[{address}]:9092" if ":" in address else f"{address}:9092"


@given(LINK_LOCAL, st.booleans())
def test_no_spelling_of_a_link_local_address_is_accepted(address: str, second: bool) -> None:
    servers = f"kafka:9092,{server(address)}" if second else server(address)
    assert "link-local" in refusal(with_field(SERVERS, servers))


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_link_local).map(str))
def test_every_other_ipv4_address_is_accepted(address: str) -> None:
    scaler = KafkaConsumerScaler.parse(with_field(SERVERS, server(address)))
    assert scaler.spec.kafka.bootstrap_servers == f"{address}:9092"


@pytest.mark.parametrize("letter", ["a", "a.", "-", ":", "[", "1.", "_"])
def test_a_long_hostile_list_of_servers_is_judged_at_once(letter: str) -> None:
    began = time.thread_time()
    assert refusal(with_field(SERVERS, (letter * 1024)[:1023] + "!"))
    assert time.thread_time() - began < 0.5


def test_the_full_manifest_leaves_out_no_field_of_the_spec() -> None:
    scaler = KafkaConsumerScaler.parse(SMALLEST | {"spec": FULL_SPEC | {"topicPattern": None}})
    written = json.loads(scaler.spec.model_dump_json(by_alias=True))
    assert {key for key in written if key not in FULL_SPEC} == {"topicPattern"}
    assert json.loads(scaler.spec.model_dump_json(by_alias=True, exclude_none=True)) == FULL_SPEC


@pytest.mark.parametrize("way", GOOD_WAYS)
def test_every_way_to_be_admitted_is_read_as_it_stands(way: str) -> None:
    manifest = with_field("kafka", SMALLEST["spec"]["kafka"] | GOOD_WAYS[way])
    kafka = KafkaConsumerScaler.parse(manifest, strict=True).spec.kafka
    written = json.loads(kafka.model_dump_json(by_alias=True, exclude_unset=True))
    assert written == manifest["spec"]["kafka"]


@pytest.mark.parametrize("url", GOOD_ENDPOINTS)
def test_a_token_endpoint_is_an_https_url(url: str) -> None:
    sasl = BY_TOKEN | {"oauth": OAUTH | {"tokenEndpoint": url}}
    manifest = with_field("kafka", SMALLEST["spec"]["kafka"] | {"tls": {}, "sasl": sasl})
    assert KafkaConsumerScaler.parse(manifest, strict=True).spec.kafka.sasl is not None


def test_a_shared_connection_is_one_of_the_namespace_unless_said_otherwise() -> None:
    kafka = KafkaConsumerScaler.parse(with_field("kafka", {"connectionRef": {"name": "shop"}}), strict=True).spec.kafka
    assert kafka.connection_ref is not None
    assert kafka.connection_ref.kind is ConnectionKind.KAFKA_CONNECTION
    assert kafka.as_connection() is None


def test_what_stands_in_the_resource_is_a_connection_like_any_other() -> None:
    kafka = Kafka.model_validate(FULL_SPEC["kafka"])
    assert kafka.as_connection() == KafkaConnectionSpec.model_validate(FULL_SPEC["kafka"])


@pytest.mark.parametrize("kind", ConnectionKind)
@pytest.mark.parametrize("bad", BAD_CONNECTIONS, ids=lambda bad: bad.why)
def test_a_bad_connection_is_refused_in_one_line_that_names_the_field(kind: ConnectionKind, bad: Bad) -> None:
    good = CONNECTION if kind is ConnectionKind.KAFKA_CONNECTION else CLUSTER_CONNECTION
    with pytest.raises(InvalidSpec) as caught:
        parse_connection(kind, with_connection_field(good, bad.path, bad.value))
    assert all(part in str(caught.value) for part in bad.says), str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("bad", BAD_NAMESPACES, ids=lambda bad: bad.why)
def test_a_clusters_connection_says_plainly_who_may_use_it(bad: Bad) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_connection(
            ConnectionKind.CLUSTER_KAFKA_CONNECTION, with_connection_field(CLUSTER_CONNECTION, bad.path, bad.value))
    assert all(part in str(caught.value) for part in bad.says), str(caught.value)


def test_a_field_of_a_newer_connection_is_never_ignored() -> None:
    body = with_connection_field(CONNECTION, "gssapi", {})
    with pytest.raises(InvalidSpec, match=r"^spec.gssapi: unknown field$"):
        parse_connection(ConnectionKind.KAFKA_CONNECTION, body)
