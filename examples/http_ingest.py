"""An HTTP service that takes records and turns them away when the consumers cannot keep up: 429 with Retry-After.

    POST /records?key=KEY   the body is the record's value
        202  taken: it is in the producer's queue, and goes to the broker with the next batch
        429  not taken: the safe rate is used up, or the queue is full; Retry-After says when to try again
        413  larger than a record may be
    GET /healthz            200 while it runs; what it follows, and what it has counted, as JSON

Environment:
    KAFKA_BOOTSTRAP_SERVERS, TOPIC, SAFE_RATE_URL, SHARE, OTHERWISE: as in paced_producer.py.
    PORT: to listen on (default 8000).
    RECORD_BYTES_MAX: the largest value that is taken (default 900000; the client's own limit is 1000000 with its key).
    LINGER_MS, BATCH_BYTES, COMPRESSION: as in batch_producer.py.

It is an ASGI application without a framework, run by uvicorn in one process: several would need a SHARE each. After
SIGTERM it answers what it has begun, sends what is queued, and ends with 0; 2 for a bad environment. It needs
kafka-consumer-scaler-pacing.

202 is no promise that the broker has the record: a process that is killed loses its queue. Who needs the promise waits
for the delivery report before answering, and answers 503 when it is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import common
import uvicorn
from batch_producer import FLUSH_SECONDS, producer_settings
from paced_producer import source_of

from kafka_consumer_scaler.pacing import PacedProducer, RateSource, SlowDown, WhenFull

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
POLL_SECONDS = 0.05
EVERYWHERE = "0.0.0.0"  # noqa: S104 -- as a service is to be reached


class Gone(Exception):
    """Whoever sent the record has left before it was whole."""


class TooLarge(Exception):
    """The body is larger than a record may be."""


@dataclass(frozen=True)
class Answer:
    """A status code, an object to send as JSON, and headers."""

    code: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Ingest:
    """The application. It runs in one event loop; the producer never makes it wait."""

    producer: PacedProducer
    source: RateSource
    topic: str
    record_bytes_max: int
    counted: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What an ASGI server calls."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await respond(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        match scope["method"], scope["path"]:
            case "POST", "/records":
                return await self._take(scope, receive)
            case "GET", "/healthz":
                rate = self.source.rate()
                return Answer(200, {"origin": rate.origin, "reason": rate.reason, "queued": len(self.producer),
                                    **self.counted})
            case _, "/records" | "/healthz":
                return Answer(405, {"reason": "POST /records or GET /healthz"})
        return Answer(404, {"reason": "POST /records or GET /healthz"})

    async def _take(self, scope: Scope, receive: Receive) -> Answer:
        try:
            value = await body_of(receive, self.record_bytes_max)
            key = parse_qs(scope["query_string"]).get(b"key", [None])[0]
            self.producer.produce(self.topic, value, key, on_delivery=self._delivered)
        except Gone:
            return Answer(400, {"reason": "the request was not whole"})
        except TooLarge:
            return Answer(413, {"reason": f"more than {self.record_bytes_max} bytes"}, {"Connection": "close"})
        except SlowDown as told:
            self.counted["turned away"] += 1
            return Answer(429, {"reason": told.reason}, {"Retry-After": str(math.ceil(told.retry_after))})
        self.counted["taken"] += 1
        return Answer(202, {})

    def _delivered(self, error: Any, _: object) -> None:
        self.counted["acknowledged" if error is None else error.str()] += 1

    async def _live(self, receive: Receive, send: Send) -> None:
        """From the start of the server to its end."""
        await receive()
        await asyncio.to_thread(self.source.start)
        polling = asyncio.create_task(self._poll())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        polling.cancel()
        self.source.close()
        left = await asyncio.to_thread(self.producer.flush, FLUSH_SECONDS)
        common.say(f"{dict(self.counted)}, {left} not sent")
        await send({"type": "lifespan.shutdown.complete"})

    async def _poll(self) -> None:
        """Delivery reports are served here, and full queues emptied of them."""
        while True:
            self.producer.poll(0)
            await asyncio.sleep(POLL_SECONDS)


async def body_of(receive: Receive, most: int) -> bytes:
    """The whole body. Raises TooLarge once it is longer than `most` bytes, and Gone when it ends too soon."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > most:
            raise TooLarge
        if not message.get("more_body"):
            return body


async def respond(send: Send, answer: Answer) -> None:
    """Send the answer; whoever asked may have left."""
    content = json.dumps(answer.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **answer.headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    with contextlib.suppress(OSError):
        await send({"type": "http.response.start", "status": answer.code, "headers": pairs})
        await send({"type": "http.response.body", "body": content})


def make(env: common.Environment) -> Callable[[], None]:
    """The service as the environment wants it. Raises ValueError or KafkaException for what it cannot be."""
    topic, source = common.required(env, "TOPIC"), source_of(env)
    port = common.whole(env, "PORT", 8000)
    if port > 65535:
        raise ValueError(f"PORT must be a number up to 65535, not {port}")
    most = common.whole(env, "RECORD_BYTES_MAX", 900_000)
    producer = PacedProducer(producer_settings(env), source, when_full=WhenFull.RAISE)
    app = Ingest(producer, source, topic, most)
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has ended
    return lambda: uvicorn.run(app, host=EVERYWHERE, port=port, log_level="warning", access_log=False, lifespan="on")


if __name__ == "__main__":
    raise SystemExit(common.main("http_ingest", make))
