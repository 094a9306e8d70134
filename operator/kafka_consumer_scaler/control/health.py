"""/healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from kafka_consumer_scaler.control.fleet import Fleet
from kafka_consumer_scaler.control.ports import Clock
from kafka_consumer_scaler.control.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WATCH_STALE_SECONDS = 180.0
"""Three LISTs missed: the API server is out of reach, or the loop hangs."""
POLL_STALE_SECONDS = 120.0
"""A poll ends after 30 s at most, whatever the brokers do; what is four times as late hangs."""


@dataclass(frozen=True, slots=True)
class Health:
    """Answers for the probes. Alive: the event loop answers. Ready: what it knows is fresh.

    Staleness is no reason to be killed: a restart mends neither the API server nor a broker, and forgets the history.
    """

    registry: Registry
    fleet: Fleet
    clock: Clock
    exposition: Callable[[], bytes]

    def stale(self) -> str | None:
        """What is too old, in one line; None when nothing is."""
        listed_at = self.registry.listed_at
        if listed_at is None:
            return "the resources have not been listed yet"
        age = self.clock.now() - listed_at
        if age > WATCH_STALE_SECONDS:
            return f"the resources were last listed {age:.0f} s ago"
        return None if (late := self.fleet.overdue_seconds()) <= POLL_STALE_SECONDS else f"a poll is {late:.0f} s late"

    async def healthz(self, _: web.Request) -> web.Response:
        """200 while the event loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """200 when watch and polls are fresh, else 503 with the reason."""
        problem = self.stale()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        """The series in Prometheus' text format."""
        return web.Response(body=self.exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def serve(self, port: int) -> web.AppRunner:
        """Start to listen; the caller cleans the runner up. Raises OSError when the port is taken."""
        app = web.Application()
        app.add_routes([web.get("/healthz", self.healthz), web.get("/readyz", self.readyz),
                        web.get("/metrics", self.metrics)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=port).start()
        return runner
