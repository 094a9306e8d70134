"""Asking the API server: what its answers and failures become."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import certifi
import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.config import incluster_config

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kube import client
from kafka_consumer_scaler.kube.client import ApiError, ClusterConfigError, call, connect, one_line, path_of
from tests.kube.conftest import Connect


async def test_too_many_requests_are_obeyed_once(api_answering: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_SECONDS_MAX", 0.05)
    answers = [web.Response(status=429, headers={"Retry-After": "3600"}), web.json_response({"kind": "Scale"})]

    async def answer(_: web.Request) -> web.Response:
        return answers.pop(0)

    assert await call(await api_answering(answer), "GET", "/") == {"kind": "Scale"}


async def test_a_server_that_keeps_refusing_is_not_asked_a_third_time(
    api_answering: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAUSE_SECONDS_MAX", 0.0)
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=429, headers={"Retry-After": "soon"}, text="slow down")

    with pytest.raises(ApiError) as refused:
        await call(await api_answering(refuse), "GET", "/scale")

    assert asked == ["/scale", "/scale"]
    assert refused.value.as_unknown().reason is Reason.API_SERVER_UNREACHABLE
    assert refused.value.as_unknown().why == "the API server answered 429: slow down"


async def test_a_server_that_hangs_is_left_after_the_timeout(api_answering: Connect) -> None:
    over = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    try:
        with pytest.raises(ApiError, match=r"the API server did not answer within 0\.05 s") as failed:
            await call(await api_answering(hang), "GET", "/", timeout_seconds=0.05)
    finally:
        over.set()

    assert failed.value.is_unreachable


async def test_a_server_that_does_not_run_is_named_by_its_address(api_of_nothing: ApiClient) -> None:
    with pytest.raises(ApiError, match=r"cannot be reached: 127\.0\.0\.1:\d+: connection refused$") as failed:
        await call(api_of_nothing, "GET", "/")

    assert failed.value.code == 0


@pytest.mark.parametrize("text", ["<html>", "[]", ""])
async def test_an_answer_that_is_no_object_is_an_error(api_answering: Connect, text: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    with pytest.raises(ApiError, match="is not a JSON object"):
        await call(await api_answering(answer), "GET", "/")


async def test_an_error_without_a_kubernetes_status_keeps_its_words(api_answering: Connect) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>\n bad \x07 gateway")

    with pytest.raises(ApiError) as failed:
        await call(await api_answering(answer), "GET", "/")

    assert (failed.value.code, failed.value.message) == (502, "<html> bad \\x07 gateway")
    assert failed.value.is_unreachable


async def test_the_credentials_of_the_configuration_are_sent(api_answering: Connect) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"token": request.headers["Authorization"]})

    api = await api_answering(answer)
    api.configuration.api_key["BearerToken"] = "Bearer secret"

    assert await call(api, "GET", "/") == {"token": "Bearer secret"}


async def test_the_rotated_token_of_a_service_account_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", certifi.where())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    at_once = property(lambda _: timedelta(0), lambda _, minute: None)
    monkeypatch.setattr(incluster_config.InClusterConfigLoader, "_token_refresh_period", at_once, raising=False)
    api = await connect(None)

    before = await api.configuration.auth_settings()
    token.write_text("second")
    after = await api.configuration.auth_settings()

    assert api.configuration.host == "https://10.0.0.1:443"
    assert (before["BearerToken"]["value"], after["BearerToken"]["value"]) == ("bearer first", "bearer second")
    await api.close()


@pytest.mark.parametrize(
    "content", [None, "", "clusters: [", "apiVersion: v1\nkind: Config\ncurrent-context: nowhere\n"]
)
async def test_a_bad_kubeconfig_is_one_line_of_error(tmp_path: Path, content: str | None) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)

    with pytest.raises(ClusterConfigError) as failed:
        await connect(str(kubeconfig))

    assert str(failed.value).startswith(f"no API server configured by {kubeconfig}: ")
    assert "\n" not in str(failed.value)


def test_the_core_group_has_a_path_of_its_own() -> None:
    assert path_of("v1", "namespaces", "shop") == "/api/v1/namespaces/shop"
    assert path_of("apps/v1", "namespaces", "shop") == "/apis/apps/v1/namespaces/shop"


def test_a_name_never_becomes_a_path() -> None:
    assert path_of("apps/v1", "a/../b?c") == "/apis/apps/v1/a%2F..%2Fb%3Fc"


def test_foreign_words_become_one_printable_line_of_bounded_length() -> None:
    assert one_line("a\n  b\t\x1b[31mc") == "a b \\x1b[31mc"
    assert one_line("x" * 400) == "x" * 299 + "…"
