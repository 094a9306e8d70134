"""Posting events, on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import Event
from kafka_consumer_scaler.kube.client import call, path_of
from kafka_consumer_scaler.kube.events import EventRecorder
from kafka_consumer_scaler.kube.resources import API_VERSION
from kafka_consumer_scaler.kube.status import StatusWriter
from kafka_consumer_scaler.kube.target import Target
from tests.contracts.kube_objects import Environment, Kubectl, create_scaler, eventually, scaler

pytestmark = pytest.mark.cluster


async def events_in(api: ApiClient, namespace: str, reason: Reason) -> list[dict[str, Any]]:
    """Events of the reason, oldest first."""
    found = await call(api, "GET", path_of("events.k8s.io/v1", "namespaces", namespace, "events"))
    return sorted((event for event in found["items"] if event["reason"] == reason), key=lambda e: str(e["eventTime"]))


async def nothing_is_kept(recorder: EventRecorder) -> bool:
    return recorder.kept == 0


EVENT = Event(Reason.METRICS_UNAVAILABLE, "no broker answered: kafka:9092", warning=True, action="Polling")


@pytest_asyncio.fixture
async def recorder(api: ApiClient) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(api, "operator-5f7c")
    yield recorder
    await recorder.close()


async def test_an_event_regards_the_resource_and_relates_to_the_workload(
    api: ApiClient, recorder: EventRecorder, orders: dict[str, Any], deployment: Target
) -> None:
    await recorder.post(orders, EVENT, deployment)

    [event] = await events_in(api, deployment.namespace, EVENT.reason)
    assert event["regarding"] == {
        "apiVersion": API_VERSION,
        "kind": "KafkaConsumerScaler",
        "namespace": deployment.namespace,
        "name": "orders",
        "uid": orders["metadata"]["uid"],
        "resourceVersion": orders["metadata"]["resourceVersion"],
    }
    assert (event["related"]["kind"], event["related"]["name"]) == ("Deployment", "orders-consumer")
    assert (event["type"], event["action"], event["note"]) == ("Warning", "Polling", EVENT.message)
    assert event["reportingController"] == "kafka-consumer-scaler.dev/operator"
    assert event["reportingInstance"] == "operator-5f7c"


async def test_two_like_events_become_one_with_a_count(
    api: ApiClient, recorder: EventRecorder, orders: dict[str, Any], namespace: str
) -> None:
    await recorder.post(orders, EVENT, None)
    await recorder.post(orders, EVENT, None)

    [event] = await events_in(api, namespace, EVENT.reason)
    assert event["series"]["count"] == 2
    assert event["series"]["lastObservedTime"] > event["eventTime"]


async def test_each_change_of_replicas_is_readable(
    api: ApiClient, recorder: EventRecorder, orders: dict[str, Any], deployment: Target
) -> None:
    notes = [f"scaled up from {n} to {n + 1}: the lag is {n * 1000} records" for n in range(1, 9)]

    for note in notes:
        await recorder.post(orders, Event(Reason.SCALED_UP, note), deployment)

    events = await events_in(api, deployment.namespace, Reason.SCALED_UP)
    assert [event["note"] for event in events] == notes


async def test_an_event_that_was_deleted_is_posted_anew(
    api: ApiClient, recorder: EventRecorder, orders: dict[str, Any], kubectl: Kubectl, namespace: str
) -> None:
    await recorder.post(orders, EVENT, None)
    kubectl("delete", "events.events.k8s.io", "--all", "-n", namespace)

    await recorder.post(orders, EVENT, None)

    assert len(await events_in(api, namespace, EVENT.reason)) == 1


async def test_a_long_note_is_cut_between_characters_and_accepted(
    api: ApiClient, recorder: EventRecorder, orders: dict[str, Any], namespace: str
) -> None:
    await recorder.post(orders, Event(EVENT.reason, "größer\n\x1b[31m" * 200, warning=True), None)

    [event] = await events_in(api, namespace, EVENT.reason)
    assert 1020 <= len(event["note"].encode()) <= 1024
    assert event["note"].isprintable()
    assert event["note"].endswith("…")


async def test_a_resource_with_the_longest_name_has_events_and_a_status(
    api: ApiClient, recorder: EventRecorder, namespace: str, custom_resource_definition: None
) -> None:
    longest = await create_scaler(api, namespace, f"{'a' * 229}-{'b' * 19}.{'c' * 3}")

    await recorder.post(longest, EVENT, None)
    refused = await StatusWriter(api).write(longest, {"observedGeneration": 1})

    [event] = await events_in(api, namespace, EVENT.reason)
    assert len(longest["metadata"]["name"]) == len(event["regarding"]["name"]) == 253
    assert refused is None
    assert (await scaler(api, namespace, longest["metadata"]["name"]))["status"] == {"observedGeneration": 1}


async def test_an_event_in_a_namespace_that_is_gone_is_dropped_with_a_log_line(
    recorder: EventRecorder, orders: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    orders["metadata"]["namespace"] = "no-such-namespace"

    await recorder.post(orders, EVENT, None)

    assert recorder.kept == 0
    assert "the API server refuses an event" in caplog.text


async def test_kubectl_events_shows_them_for_the_resource(
    recorder: EventRecorder, orders: dict[str, Any], kubectl: Kubectl, namespace: str
) -> None:
    for _ in range(3):
        await recorder.post(orders, EVENT, None)

    shown = kubectl("events", "--for", "kafkaconsumerscaler/orders", "-n", namespace)

    assert EVENT.message in shown.stdout
    assert "(x3 over" in shown.stdout
    assert "KafkaConsumerScaler/orders" in shown.stdout


async def test_events_survive_an_outage_of_the_api_server(
    environment: Environment, api: ApiClient, recorder: EventRecorder, orders: dict[str, Any], namespace: str
) -> None:
    sentences = [f"scaled up from {n} to {n + 1}" for n in range(3)]
    await asyncio.to_thread(environment.stop, "kube-apiserver")
    try:
        for sentence in sentences:
            await recorder.post(orders, Event(Reason.SCALED_UP, sentence), None)
        kept = recorder.kept
    finally:
        await asyncio.to_thread(environment.start, "kube-apiserver")
    await eventually(lambda: nothing_is_kept(recorder))

    events = await events_in(api, namespace, Reason.SCALED_UP)
    assert kept == 3
    assert [event["note"] for event in events] == sentences
