"""A real HTTP server in this process that answers as an operator would, or as nobody should."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SAYS = {"namespace": "shop", "name": "orders", "consumerGroup": "orders", "recordsPerSecond": 500.0,
        "bytesPerSecond": 50_000.0, "reason": "5 consumers of 100/s", "isLowerBound": False, "throttling": False,
        "pollAfterSeconds": 5}


@dataclass
class Endpoint:
    """What it answers with.

    `ahead_seconds` is how much its clock is ahead; `valid_seconds` how long a rate is; `again_seconds` after how long
    it is to be asked again, as a date. While it `hangs` it answers only once its block ends.
    """

    code: int = 200
    says: Any = None
    valid_seconds: float = 60.0
    headers: dict[str, str] = field(default_factory=dict)
    ahead_seconds: float = 0.0
    again_seconds: float | None = None
    hangs: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    url: str = ""

    def says_rate(self, records: float | None, **more: Any) -> None:
        """From now on this rate."""
        self.code, self.says = 200, {**SAYS, "recordsPerSecond": records, **more}

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        self.asked += 1
        if self.hangs:
            self.ended.wait()
        now = datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)
        body = self.says
        if isinstance(body, dict) and self.code == 200:
            body = {"validUntil": (now + timedelta(seconds=self.valid_seconds)).isoformat(), **body}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Date": http_date(now), **self.headers}
        if self.again_seconds is not None:
            headers["Retry-After"] = http_date(now + timedelta(seconds=self.again_seconds))
        return self.code, content, headers


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


@contextlib.contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Served until the end of the block."""
    one = Endpoint()
    one.says_rate(500.0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, content, headers = one.answer()
            self.send_response_only(code)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                if value:
                    self.send_header(name, value)
            with contextlib.suppress(ConnectionError):  # whoever asked has left
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    one.url = f"http://127.0.0.1:{server.server_address[1]}/v1/safe-rate/shop/orders"
    try:
        yield one
    finally:
        one.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
