"""The ports that tests hand to programs."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.ports import reserved_port


async def test_a_reserved_port_is_for_the_program_that_gets_it_and_for_nobody_else() -> None:
    ports = [reserved_port() for _ in range(50)]
    assert len(set(ports)) == 50
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", ports[0]))
    for _ in range(2):
        server = await asyncio.start_server(lambda _, writer: writer.close(), None, ports[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        assert await reader.read() == b""
        writer.close()
        server.close()
