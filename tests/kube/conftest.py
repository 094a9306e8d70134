"""A small HTTP server that gives the answers a healthy API server cannot be made to give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connect = Callable[[Handler], Awaitable[ApiClient]]


@pytest_asyncio.fixture
async def api_answering() -> AsyncIterator[Connect]:
    """Connects to a server whose every answer is the handler's."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def start(handler: Handler) -> ApiClient:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        api = ApiClient(Configuration(host=str(server.make_url("")).rstrip("/")))
        closing.extend([api.close, server.close])
        return api

    yield start
    for close in closing:
        await close()


@pytest_asyncio.fixture
async def api_of_nothing(unused_tcp_port: int) -> AsyncIterator[ApiClient]:
    """A client whose server does not run."""
    api = ApiClient(Configuration(host=f"http://127.0.0.1:{unused_tcp_port}"))
    yield api
    await api.close()
