"""/healthz, /readyz, /metrics, and the looks recorded for `replay`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.control.fleet import Fleet
from kafka_consumer_scaler.control.ports import Clock
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SNAPSHOTS_PATH = "/debug/scalers/{namespace}/{name}/snapshots"
RECORDING_IS_OFF = (
    "recording is off: run the operator with --record-snapshots N (KCS_RECORD_SNAPSHOTS=N, or debug.recordSnapshots=N "
    "in the chart's values) to keep the last N looks at each resource"
)
WATCH_STALE_SECONDS = 180.0
"""Three LISTs missed: the API server is out of reach, or the loop hangs."""
POLL_STALE_SECONDS = 120.0
"""A poll ends after 30 s at most, whatever the brokers do; what is four times as late hangs."""


@dataclass(frozen=True, slots=True)
class Health:
    """Answers for the probes. Alive: the event loop answers. Ready: what it knows is fresh.

    `standby` tells since how many seconds the lease of another operator was not read; None for who leads. `more` is
    served besides.

    Staleness is no reason to be killed: a restart mends neither the API server nor a broker, and forgets the history.
    """

    registry: Registry
    fleet: Fleet
    clock: Clock
    exposition: Callable[[], bytes]
    recorder: Recorder
    standby: Callable[[], float | None] = lambda: None
    more: tuple[web.RouteDef, ...] = ()

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
        """200 when watch and polls are fresh (of a standby: its look at the lease), else 503 with the reason."""
        silent = self.standby()
        problem, well = (self.stale(), "ok") if silent is None else (_unread(silent), "standby")
        return web.Response(text=f"{problem or well}\n", status=503 if problem else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        """The series in Prometheus' text format."""
        body = await asyncio.to_thread(self.exposition)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def snapshots(self, request: web.Request) -> web.StreamResponse:
        """The looks recorded of one resource, as JSON lines; 404 with the reason when there can be none.

        The loop goes on between two lines, so a long recording holds up no poll.
        """
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        uid = next((one.uid for one in self.registry.all() if (one.namespace, one.name) == (namespace, name)), None)
        if not self.recorder.is_on or uid is None:
            unknown = one_line(f"no KafkaConsumerScaler {namespace}/{name} is watched here")
            return web.Response(text=f"{unknown if self.recorder.is_on else RECORDING_IS_OFF}\n", status=404)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        with contextlib.suppress(ConnectionResetError):  # whoever asked has left
            await response.prepare(request)
            for line in self.recorder.lines(uid):
                await response.write(line.encode())
                await asyncio.sleep(0)
        return response

    async def serve(self, port: int) -> web.AppRunner:
        """Start to listen; the caller cleans the runner up. Raises OSError when the port is taken."""
        app = web.Application()
        app.add_routes([web.get("/healthz", self.healthz), web.get("/readyz", self.readyz),
                        web.get("/metrics", self.metrics), web.get(SNAPSHOTS_PATH, self.snapshots), *self.more])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=port).start()
        return runner


def _unread(silent_seconds: float) -> str | None:
    return f"the lease was last read {silent_seconds:.0f} s ago" if silent_seconds > WATCH_STALE_SECONDS else None
