"""A way to a broker by another address, where connections are counted."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class CountingProxy:
    """Forwards every connection to `host:port`.

    It listens at `address`, which the broker's certificate does not name, and at `named_address`, which it does.
    """

    def __init__(self, target: str) -> None:
        host, _, target_port = target.rpartition(":")
        self._target = host, int(target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.address, self.named_address = f"127.0.0.1:{port}", f"localhost:{port}"
        self.accepted = 0

    def __enter__(self) -> CountingProxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                broker = socket.create_connection(self._target)
                for pair in ((client, broker), (broker, client)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
