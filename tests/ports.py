"""Ports for programs that bind them later. A socket of this process holds each, so that nobody else is given it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_HELD: Final[list[socket.socket]] = []


def reserved_port() -> int:
    """A port of this host that no other test gets, in this process or in another one.

    The socket that holds it never listens and allows its address to be used again: a program that allows that too, as
    asyncio, uvicorn and Go do, can listen on the port, and listen again after its end. A program that asks the kernel
    for any free port gets another one.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _HELD.append(holder)
    return int(holder.getsockname()[1])


@contextmanager
def refusing() -> Iterator[int]:
    """A port that refuses every connection: it is held, so nobody else gets it, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port
