"""The recorder while nothing goes right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import Event
from kafka_consumer_scaler.kube import events
from kafka_consumer_scaler.kube.events import FORBIDDEN_SECONDS, KEPT_MAX, EventRecorder
from tests.kube.conftest import Connect
from tests.waiting import until

ORDERS = {"metadata": {"namespace": "shop", "name": "orders", "uid": "uid-1"}}


def sentence(n: int) -> Event:
    return Event(Reason.SCALED_UP, f"scaled up from {n} to {n + 1}")


async def test_a_hundred_events_are_kept_and_the_oldest_is_dropped_with_a_log_line(
    api_of_nothing: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = EventRecorder(api_of_nothing, "operator-1")

    for n in range(KEPT_MAX + 1):
        await recorder.post(ORDERS, sentence(n), None)

    assert recorder.kept == KEPT_MAX
    assert [record.message for record in caplog.records] == [
        "100 events wait for the API server, the oldest is dropped: scaled up from 0 to 1"
    ]
    await recorder.close()


async def test_a_recorder_that_is_closed_during_an_outage_says_what_is_lost(
    api_of_nothing: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = EventRecorder(api_of_nothing, "operator-1")
    await recorder.post(ORDERS, sentence(1), None)

    await recorder.close()

    assert "1 events are lost" in caplog.text


async def test_a_regarded_object_without_a_name_raises_nothing(
    api_of_nothing: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = EventRecorder(api_of_nothing, "operator-1")

    await recorder.post({"metadata": {}}, sentence(1), None)

    assert recorder.kept == 0
    assert "could not be told: scaled up from 1 to 2" in caplog.text


async def test_kept_events_are_posted_in_order_with_the_time_they_were_observed(
    api_answering: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAUSES_SECONDS", (0.02,))
    posted: list[dict[str, Any]] = []
    is_up = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if not is_up.is_set():
            return web.Response(status=503)
        posted.append(await request.json())
        return web.json_response({})

    now = 1_800_000_000.25
    recorder = EventRecorder(await api_answering(answer), "operator-1", clock=lambda: now)
    for n in range(3):
        await recorder.post(ORDERS, sentence(n), None)
    now += 60
    is_up.set()
    await until(lambda: not recorder.kept)

    assert [event["note"] for event in posted] == [sentence(n).message for n in range(3)]
    assert {event["eventTime"] for event in posted} == {"2027-01-15T08:00:00.250000Z"}
    assert len({event["metadata"]["name"] for event in posted}) == 3


async def test_an_event_that_the_role_forbids_is_kept_for_a_while_and_holds_up_no_other(
    api_answering: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "PAUSES_SECONDS", (3600.0,))
    posted: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if "/namespaces/shop/" in request.path:
            return web.Response(status=403, text="no")
        posted.append(request.path)
        return web.json_response({})

    now = 0.0
    recorder = EventRecorder(await api_answering(answer), "operator-1", clock=lambda: now)
    await recorder.post(ORDERS, sentence(1), None)
    await recorder.post({"metadata": {"namespace": "bank", "name": "orders", "uid": "uid-2"}}, sentence(2), None)
    assert recorder.kept == 2

    now = FORBIDDEN_SECONDS + 1
    await recorder.close()

    assert recorder.kept == 0
    assert posted == ["/apis/events.k8s.io/v1/namespaces/bank/events"]
    assert "the API server refuses an event (no): ScaledUp: scaled up from 1 to 2" in caplog.text


async def test_an_event_whose_answer_was_lost_is_not_posted_twice(api_answering: Connect) -> None:
    names: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        name = (await request.json())["metadata"]["name"]
        names.append(name)
        return web.Response(status=409 if names.count(name) > 1 else 500)

    recorder = EventRecorder(await api_answering(answer), "operator-1")
    await recorder.post(ORDERS, sentence(1), None)
    await recorder.close()

    assert len(names) == 2
    assert recorder.kept == 0
