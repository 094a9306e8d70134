"""Objects read from the API server. A kubectl for each question would take a tenth of a second of a core."""

from __future__ import annotations

import asyncio
import atexit
import functools
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from kafka_consumer_scaler.kube.client import ApiError, call, connect

Answer = TypeVar("Answer")
UNREACHABLE_SECONDS = 120.0
"""How long an API server that is busy or comes back may leave a question without an answer."""


class ApiServer:
    """Answers questions to the thread that asks, over connections that stay open. Any thread may ask."""

    def __init__(self, kubeconfig: Path) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="api-server", daemon=True).start()
        self._api = self._run(connect(str(kubeconfig)))
        atexit.register(lambda: self._run(self._api.close()))

    def find(self, path: str) -> dict[str, Any] | None:
        """The object or list at the path; None where there is none."""
        until = time.monotonic() + UNREACHABLE_SECONDS
        while True:
            try:
                return self._run(call(self._api, "GET", path, timeout_seconds=30))
            except ApiError as error:
                if error.code == 404:
                    return None
                if not error.is_unreachable or time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def _run(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(question, self._loop).result()


@functools.cache
def api_server(kubeconfig: Path) -> ApiServer:
    """One for each cluster in this process."""
    return ApiServer(kubeconfig)
