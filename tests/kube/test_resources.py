"""Listing resources while pages expire."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.resources import TRIES, list_scalers
from tests.kube.conftest import Connect


def item(name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "uid": f"u-{name}"}}


def page(*names: str, following: str = "") -> web.Response:
    items = [item(name) for name in names]
    return web.json_response({"items": items, "metadata": {"continue": following}})


async def test_a_list_whose_page_expired_begins_anew(api_answering: Connect) -> None:
    answers = [
        page("a", following="x"),
        web.json_response({"reason": "Expired", "code": 410}, status=410),
        page("b", following="y"),
        page("c"),
    ]
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query.get("continue"))
        return answers.pop(0)

    found = await list_scalers(await api_answering(answer), "shop")

    assert found == [item("b"), item("c")]
    assert asked == [None, "x", None, "y"]


async def test_a_list_whose_pages_always_expire_is_unknown_and_not_a_part(api_answering: Connect) -> None:
    lists_begun = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal lists_begun
        if "continue" in request.query:
            return web.Response(status=410)
        lists_begun += 1
        return page("a", following="x")

    found = await list_scalers(await api_answering(answer), None)

    assert isinstance(found, Unknown)
    assert lists_begun == TRIES


async def test_a_missing_definition_is_told(api_answering: Connect) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=404, text="404 page not found")

    found = await list_scalers(await api_answering(answer), None)

    assert isinstance(found, Unknown)
    assert found.why == "the API server does not know kafkaconsumerscalers: is the CRD installed?"


async def test_no_api_server_is_unknown_and_not_an_empty_list(api_of_nothing: ApiClient) -> None:
    found = await list_scalers(api_of_nothing, None)

    assert isinstance(found, Unknown)
    assert found.reason is Reason.API_SERVER_UNREACHABLE
