"""A small HTTP server that gives the answers a healthy API server cannot be made to give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from tests.ports import refusing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connect = Callable[[Handler], Awaitable[ApiClient]]


def patient(api: ApiClient) -> ApiClient:
    """A client that waits a minute where it would wait some seconds: a machine may stand still for so long."""
    ask = api.call_api

    async def call_api(*request: Any, _request_timeout: ClientTimeout, **more: Any) -> Any:
        is_short = _request_timeout.total is not None and _request_timeout.total < 1
        return await ask(*request, _request_timeout=_request_timeout if is_short else ClientTimeout(total=60), **more)

    api.call_api = call_api
    return api


@pytest_asyncio.fixture
async def api_answering() -> AsyncIterator[Connect]:
    """Connects to a server whose every answer is the handler's."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def start(handler: Handler) -> ApiClient:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        api = patient(ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))))
        closing.extend([api.close, server.close])
        return api

    yield start
    for close in closing:
        await close()


@pytest_asyncio.fixture
async def api_of_nothing() -> AsyncIterator[ApiClient]:
    """A client whose server does not run."""
    with refusing() as port:
        api = patient(ApiClient(Configuration(host=f"http://127.0.0.1:{port}")))
        yield api
        await api.close()
