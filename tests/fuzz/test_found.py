"""The bugs that fuzzing found, one by one."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from kafka_consumer_scaler.api.reaching import ConnectionKind, KafkaConnectionSpec
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, parse_connection
from kafka_consumer_scaler.control.credentials import connection_of
from kafka_consumer_scaler.control.logs import JsonLines, Text
from kafka_consumer_scaler.control.permissions import Pattern, Permissions
from kafka_consumer_scaler.core.assignment import Spread, deal
from kafka_consumer_scaler.core.classic import _fewest_for
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.core.waiting import age_seconds, ages
from kafka_consumer_scaler.kafka.connection import Connection, Tls
from kafka_consumer_scaler.kafka.protocol import BODY_BYTES_MAX, body_length, samples_from_json
from kafka_consumer_scaler.kafka.sample import GroupSample
from kafka_consumer_scaler.kube.client import ApiError, call
from kafka_consumer_scaler.kube.connections import Connections
from kafka_consumer_scaler.kube.lease import LeaseClient
from kafka_consumer_scaler.kube.resources import list_scalers, uid_of
from kafka_consumer_scaler.kube.rivals import Rivals
from kafka_consumer_scaler.kube.scale import ScaleClient
from kafka_consumer_scaler.kube.secrets import Secret, Secrets
from kafka_consumer_scaler.kube.target import Target
from tests.api.manifests import BY_TOKEN, OAUTH
from tests.control.fakes import resource
from tests.control.test_credentials import pki
from tests.core.making import orders
from tests.fuzz.test_broker_answers import looked
from tests.fuzz.values import INT64
from tests.fuzz.worlds import World
from tests.kube.conftest import Connect, api_answering

__all__ = ["api_answering", "pki"]

TP = TopicPartition("orders", 0)
TARGET = Target("apps/v1", "Deployment", "shop", "orders-consumer")


@pytest.mark.parametrize("reading", [Reading(-1, 0), Reading(5, -1001), Reading(5, 0, -2)])
def test_an_offset_below_zero_is_not_known(reading: Reading) -> None:
    history = History().append(Snapshot(0.0, {TP: reading}))
    assert isinstance(history.latest, Unknown)
    assert "an offset below 0 was told" in history.latest.why
    assert isinstance(age_seconds(history, Policy(max_replicas=3)), Unknown)


@pytest.mark.parametrize("assignor", ["range", "sticky"])
def test_ten_million_consumers_are_dealt_to_as_quickly_as_twelve(assignor: str) -> None:
    began = time.thread_time()
    assert len(deal(orders(12), assignor, 10_000_000)) == 12
    assert time.thread_time() - began < 1


def test_two_billion_replicas_are_judged_as_quickly_as_the_useful_ones() -> None:
    began = time.thread_time()
    assert _fewest_for(Spread((12,)), 1e9, 1.0, 2**31 - 1) == 2**31 - 1
    assert time.thread_time() - began < 1


def test_an_age_is_told_where_a_float_cannot_tell_two_offsets_apart() -> None:
    end = 2**62
    history = History()
    for at in (0.0, 15.0, 30.0):
        history = history.append(Snapshot(at, {TP: Reading(end, end)}))
    assert ages(history, {TP: 0.5}) == {TP: 30.0}


def test_a_lag_of_more_than_63_bits_is_written_as_far_as_the_api_server_takes_it() -> None:
    world = World.of(resource())
    sample = GroupSample({tp: Reading(INT64, 0) for tp in orders(3)}, Group("Stable", "range", (Member("m"),)))
    asyncio.run(looked(world, [(15.0, sample)]))
    assert world.outside.statuses[-1]["lag"]["records"] == INT64
    assert world.outside.statuses[-1]["explanation"]["partitions"][0]["lag"] == INT64


def test_members_of_others_that_take_every_partition_end_no_explanation() -> None:
    tps = [TopicPartition(topic, 0) for topic in ("orders", "refunds")]
    foreign = Group("Stable", "range", tuple(Member(f"m{n}", frozenset(tps[n:n + 1])) for n in range(9)))
    looks = [(15.0, GroupSample({tp: Reading(9000 * n + 9000, 90 * n) for tp in tps}, foreign)) for n in range(12)]
    world = World.of(resource(), Replicas(1, 1))
    asyncio.run(looked(world, looks))
    assert world.outside.statuses[-1]["explanation"]["why"] != []


@pytest.mark.parametrize("formatter", [JsonLines(), Text()])
def test_foreign_words_in_a_log_stay_on_their_line(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "orders\nERROR all is lost\x1b[2J\x7f", "problem": "a\nb\x7f"})
    assert formatter.format(record).isprintable()


@pytest.mark.parametrize("answer", [
    None, 7, "x", {"partitions": {}}, [{"partitions": {"orders": [[0, "9", None, 0]]}, "group": ["why", "NoMembers"]}],
    [{"partitions": {"orders": [[0, True, None, 0]]}, "group": ["", "x"]}], [],
])
def test_what_the_child_sends_is_taken_for_samples_only_if_it_is(answer: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        samples_from_json(answer, 1)


def test_a_frame_longer_than_any_answer_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        body_length((BODY_BYTES_MAX + 1).to_bytes(4, "big"))


@pytest.mark.parametrize("scale", [
    {"spec": {"replicas": "3"}}, {"spec": [3]}, {"spec": {"replicas": -1}}, {"spec": {"replicas": 2**31}},
    {"spec": {"replicas": True}}, {"status": "x"},
])
async def test_a_scale_that_is_none_is_unknown(api_answering: Connect, scale: dict[str, Any]) -> None:
    listing = [{"name": "deployments", "kind": "Deployment", "namespaced": True},
               {"name": "deployments/scale", "kind": "Scale"}]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(scale if request.path.endswith("/scale") else {"resources": listing})

    found = await ScaleClient(await api_answering(answer)).read(TARGET)
    assert isinstance(found, Unknown)
    assert "has not the form that was expected" in found.why


@pytest.mark.parametrize("answer", [
    {"items": [{}]}, {"items": ["x"]}, {"items": {"a": 1}}, {"metadata": {"uid": 7}, "items": 3},
    {"items": [{"metadata": {"namespace": "shop", "name": "a", "uid": "u", "generation": "x"}}]},
])
async def test_a_list_of_something_else_is_unknown(api_answering: Connect, answer: dict[str, Any]) -> None:
    async def answered(_: web.Request) -> web.Response:
        return web.json_response(answer)

    api = await api_answering(answered)
    listed, rival = await list_scalers(api, None), await Rivals(api).other_scalers(TARGET)
    assert isinstance(listed, Unknown)
    assert rival is None or isinstance(rival, Unknown)
    assert isinstance(await uid_of(api, "shop", "orders"), str | Unknown)


async def test_a_list_whose_pages_never_end_is_unknown(api_answering: Connect) -> None:
    async def again(_: web.Request) -> web.Response:
        return web.json_response({"items": [], "metadata": {"continue": "again"}})

    listed = await list_scalers(await api_answering(again), None)
    assert isinstance(listed, Unknown)
    assert "the same page" in listed.why


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000])
async def test_an_answer_that_is_nested_without_end_is_an_error_of_the_api_server(
    api_answering: Connect, body: bytes
) -> None:
    async def nested(request: web.Request) -> web.Response:
        return web.Response(status=500 if "500" in request.path else 200, body=body)

    api = await api_answering(nested)
    for path in ("/", "/500"):
        with pytest.raises(ApiError):
            await call(api, "GET", path)


async def test_a_refusal_whose_details_are_none_is_told(api_answering: Connect) -> None:
    async def refused(_: web.Request) -> web.Response:
        return web.Response(status=404, text=json.dumps({"kind": "Status", "message": "no", "details": ["x"]}))

    assert isinstance(await ScaleClient(await api_answering(refused)).read(TARGET), Unknown)


@pytest.mark.parametrize("answer", [
    {"kind": "Status", "status": "Success", "metadata": {}}, {"kind": "Lease", "metadata": {"name": "operators"}},
    {"kind": "Lease", "metadata": "x"}, {"metadata": {"name": "operators", "resourceVersion": "7"}},
    {"kind": "LeaseList", "metadata": {"resourceVersion": "7"}, "items": []},
    {"kind": "Lease", "metadata": {"name": "operators", "resourceVersion": "7"}, "spec": ["x"]},
    {"kind": "Lease", "metadata": {"name": "operators", "resourceVersion": "7"},
     "spec": {"leaseDurationSeconds": float("inf")}},
])
async def test_an_answer_that_is_no_lease_is_unknown(api_answering: Connect, answer: dict[str, Any]) -> None:
    async def answered(_: web.Request) -> web.Response:
        return web.json_response(answer)

    found = await LeaseClient(await api_answering(answered), "operator", "operators", 5).read()
    assert isinstance(found, Unknown)
    assert found.reason is Reason.API_SERVER_UNREACHABLE


@pytest.mark.parametrize("answer", [
    {"kind": "Status", "status": "Success", "metadata": {}}, {"kind": "SecretList", "items": []},
    {"data": {"a": "YQ=="}}, {"kind": "Secret", "metadata": {"name": "other"}},
    {"kind": "Secret", "metadata": {"name": "shop"}, "data": ["YQ=="]},
])
async def test_what_is_no_secret_and_no_connection_takes_nothing_back_that_was_known(
    api_answering: Connect, answer: dict[str, Any]
) -> None:
    async def answered(_: web.Request) -> web.Response:
        return web.json_response(answer)

    api = await api_answering(answered)
    connections = Connections(api)
    for found in (await Secrets(api).secret("shop", "shop"), await connections.namespaced("shop", "shop"),
                  await connections.clusterwide("shop")):
        assert isinstance(found, Unknown)
        assert found.reason is Reason.API_SERVER_UNREACHABLE


@pytest.mark.parametrize("body", [
    b'{"kind": "Secret", "data": {"password": "cDRzc3cwcmQ="', b'{"message": "cDRzc3cwcmQ="}', b"cDRzc3cwcmQ=",
])
async def test_a_secret_in_the_text_of_an_error_is_not_told(api_answering: Connect, body: bytes) -> None:
    async def refused(_: web.Request) -> web.Response:
        return web.Response(status=502, body=body)

    found = await Secrets(await api_answering(refused)).secret("shop", "kafka-user")
    assert found == Unknown("the API server answered 502 when it was asked for Secret shop/kafka-user",
                            Reason.API_SERVER_UNREACHABLE)


async def test_a_secret_in_an_answer_that_breaks_off_is_not_told(api_answering: Connect) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncDRzc3cwcmQ=\r\n")
        request.transport.close()
        return web.Response()

    found = await Secrets(await api_answering(broken)).secret("shop", "kafka-user")
    assert isinstance(found, Unknown)
    assert "cannot be reached" in found.why
    assert "cDRzc3cwcmQ" not in found.why


def test_a_comment_in_utf_8_beside_certificates_is_no_trouble(pki: Mapping[str, str]) -> None:
    data = {"ca.crt": base64.b64encode(f"# größer\n{pki['one.crt']}".encode()).decode()}
    spec = KafkaConnectionSpec.model_validate(
        {"bootstrapServers": "kafka:9093", "tls": {"caSecretRef": {"name": "kafka-ca"}}})
    found = connection_of(spec, {"kafka-ca": Secret("shop", "kafka-ca", data)})
    assert found == Connection("kafka:9093", Tls(f"# gr??er\n{pki['one.crt']}"))


@pytest.mark.parametrize("host", ["[:::::]", "[1:2:3:4:5:6:7:8:9]", "[fe::.]"])
def test_a_token_endpoint_that_is_no_address_is_on_no_list(host: str) -> None:
    oauth = OAUTH | {"tokenEndpoint": f"https://{host}:8443/token"}
    spec = KafkaConnectionSpec.model_validate(
        {"bootstrapServers": "kafka:9093", "tls": {}, "sasl": BY_TOKEN | {"oauth": oauth}})
    assert Permissions().refusal(spec, of_administrator=False) is None
    refused = Permissions(identity_providers=(Pattern.parse("::/0"),)).refusal(spec, of_administrator=False)
    assert refused is not None
    assert f"{host.strip('[]')}:8443 is not in the list" in refused.why


@pytest.mark.parametrize("nested", ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900])
def test_a_connection_that_is_nested_without_end_is_refused(nested: str) -> None:
    with pytest.raises(InvalidSpec, match="nested too deeply"):
        parse_connection(ConnectionKind.KAFKA_CONNECTION, {"spec": {"tls": json.loads(nested)}})
