"""GET /v1/safe-rate/NAMESPACE/NAME: what producers may send for the group to keep up. For gateways and producers.

The answer is made of the resource's status alone, so a leader, which has it at hand, and a standby, which asks the API
server, give the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from kafka_consumer_scaler.api.conditions import is_timestamp
from kafka_consumer_scaler.api.memory import mapping
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.control.lookups import Body, LookUps
from kafka_consumer_scaler.control.ports import Clock
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.snapshot import Unknown

PATH = "/v1/safe-rate/{namespace}/{name}"
POLL_SECONDS_MAX = 15
UNKNOWN_SECONDS = 5
"""How long caches may keep that there is no such resource."""
RETRY_SECONDS = 15
UNASKED = "no safe rate is told, as the resource has no spec.backpressure"
RATE_MAX = 1e15
"""No group gets a thousand terabytes a second: more is junk."""
LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
NAMESPACE, NAME = re.compile(LABEL), re.compile(rf"(?=.{{1,253}}$){LABEL}(?:\.{LABEL})*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, the object to send as JSON, and headers."""

    code: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SafeRates:
    """Serves the safe rates of all resources: from the registry once they were listed, by a look-up before."""

    registry: Registry
    lookups: LookUps
    clock: Clock

    def routes(self) -> tuple[web.RouteDef, ...]:
        """What is served."""
        return (web.get(PATH, self.serve),)

    async def serve(self, request: web.Request) -> web.Response:
        """200 with the rate, 404 for a resource that is not there, 503 with Retry-After while nothing is known."""
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        is_name = NAMESPACE.fullmatch(namespace) and NAME.fullmatch(name)
        body = await self._body(namespace, name) if is_name else None
        answer = answer_of(namespace, name, body, self.clock.now())
        return web.json_response(answer.body, status=answer.code, headers=answer.headers)

    async def _body(self, namespace: str, name: str) -> Body:
        if self.registry.listed_at is None:
            return await self.lookups.body(namespace, name)
        named = (each for each in self.registry.all() if (each.namespace, each.name) == (namespace, name))
        return next(({**each.body, "status": each.status} for each in named), None)


def answer_of(namespace: str, name: str, body: Body, now: float) -> Answer:
    """What is said of a resource; `body` is None where there is none, Unknown where it could not be read."""
    which = {"namespace": one_line(namespace, 64), "name": one_line(name, 254)}
    if body is None or mapping(body.get("metadata") if isinstance(body, Mapping) else None).get("deletionTimestamp"):
        return _not_there(which)
    if isinstance(body, Unknown):
        return _not_known(which, "the resource cannot be read now")
    return _answer(which, mapping(body.get("spec")), mapping(body.get("status")), now)


def _answer(which: Mapping[str, str], spec: Mapping[str, Any], status: Mapping[str, Any], now: float) -> Answer:
    rate = mapping(status.get("safeRate"))
    valid_until, records = rate.get("validUntil"), _rate(rate.get("recordsPerSecond"))
    if records is None or not is_timestamp(valid_until):
        return _not_known(which, "no safe rate is known yet" if "backpressure" in spec else UNASKED)
    left = datetime.fromisoformat(str(valid_until)).timestamp() - now
    if left <= 0:
        return _not_known(which, f"no safe rate is known since {valid_until}")
    poll = poll_after(left)
    return Answer(200, {
        **which,
        "consumerGroup": one_line(str(spec.get("consumerGroup", "")), 300),
        "recordsPerSecond": records,
        "bytesPerSecond": _rate(rate.get("bytesPerSecond")),
        "reason": one_line(str(rate.get("reason", ""))),
        "isLowerBound": rate.get("isLowerBound") is not False,
        "throttling": bool(status.get("quotaLeases")),
        "validUntil": valid_until,
        "pollAfterSeconds": poll,
    }, {"Cache-Control": f"max-age={poll}"})


def poll_after(left: float) -> int:
    """Three looks before it ends, in whole seconds: 60 s are asked again after 15, 30 after 10, 2 after 1."""
    return max(1, min(POLL_SECONDS_MAX, int(left / 3)))


def _rate(value: Any) -> float | None:
    """A rate that a status may have; None for what is none, whoever wrote it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= RATE_MAX else None


def _not_there(which: Mapping[str, str]) -> Answer:
    words = f"no KafkaConsumerScaler {which['namespace']}/{which['name']} is watched here"
    return Answer(404, {**which, "reason": words}, {"Cache-Control": f"max-age={UNKNOWN_SECONDS}"})


def _not_known(which: Mapping[str, str], why: str) -> Answer:
    return Answer(503, {**which, "reason": why},
                  {"Cache-Control": "no-store", "Retry-After": str(RETRY_SECONDS)})
