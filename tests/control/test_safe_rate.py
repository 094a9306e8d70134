"""GET /v1/safe-rate/NAMESPACE/NAME: what it says of a status, by a real HTTP server, as leader and as standby."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from yarl import URL

from kafka_consumer_scaler.api.conditions import timestamp
from kafka_consumer_scaler.api.status import safe_rate_as_status
from kafka_consumer_scaler.api.upstream import Lease, leases_as_status
from kafka_consumer_scaler.control.fleet import Fleet
from kafka_consumer_scaler.control.health import Health
from kafka_consumer_scaler.control.lookups import A_SECOND, AT_ONCE, KEPT_SECONDS, TOO_MANY, LookUps
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.control.safe_rate import SafeRates, answer_of
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.control.fakes import Outside, reconciler, resolver, resource
from tests.fuzz.values import json_values
from tests.waiting import until

NOW = 1_700_000_000.0
SAFE = SafeRate(590.0, 118_000.0, 600.0, 6, "6 consumers of 100/s", is_learned=True)
RATE = safe_rate_as_status(SAFE, NOW + 60)["safeRate"]
LEASED = leases_as_status([Lease(9, NOW, "cluster", client_id="shop")])
TOLD = {"namespace": "shop", "name": "orders", "consumerGroup": "orders", "recordsPerSecond": 590.0,
        "bytesPerSecond": 118000.0, "reason": "6 consumers of 100/s", "isLowerBound": False, "throttling": False,
        "validUntil": timestamp(NOW + 60), "pollAfterSeconds": 15}


def body(**status: Any) -> dict[str, Any]:
    return {**resource(backpressure={}), "status": status}


@dataclass
class Bodies:
    """The resources that an API server has, and which were asked for; it answers while it is not held up."""

    found: dict[str, Mapping[str, Any] | Unknown] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def body(self, namespace: str, name: str) -> Mapping[str, Any] | Unknown | None:
        self.asked.append(name)
        await self.open.wait()
        return self.found.get(name)


@dataclass
class Served:
    """An operator's HTTP side and what it knows."""

    outside: Outside
    registry: Registry
    bodies: Bodies
    lookups: LookUps
    address: str = ""

    async def get(self, path: str) -> tuple[int, Any, Mapping[str, str]]:
        address = URL(f"{self.address}/v1/safe-rate/{path}", encoded=True)
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            words = await answer.text()
            assert answer.content_type == "application/json", words
            return answer.status, json.loads(words), answer.headers


@contextlib.asynccontextmanager
async def serving(found: Mapping[str, Any] | Unknown | None) -> AsyncIterator[Served]:
    outside, bodies = Outside(), Bodies({} if found is None else {"orders": found})
    bodies.open.set()
    registry = Registry(outside)
    lookups = LookUps(bodies, outside)
    fleet = Fleet(registry, outside, reconciler(outside, registry), outside, object(), outside,  # type: ignore[arg-type]
                  resolver(registry))
    health = Health(registry, fleet, outside, lambda: b"", Recorder(), lambda: None,
                    SafeRates(registry, lookups, outside).routes())
    runner = await health.serve(0)
    port = next(port for host, port, *_ in runner.addresses if host == "0.0.0.0")  # IPv6 has a port of its own
    try:
        yield Served(outside, registry, bodies, lookups, f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


@pytest.fixture
async def standby() -> AsyncIterator[Served]:
    """One that has listed nothing; the API server has shop/orders with a rate."""
    async with serving(body(safeRate=RATE)) as served:
        yield served


async def test_a_leader_and_a_standby_give_the_same_answer(standby: Served) -> None:
    of_the_standby = await standby.get("shop/orders")
    standby.registry.replace([body(safeRate=RATE)])
    of_the_leader = await standby.get("shop/orders")
    assert standby.bodies.asked == ["orders"]
    for code, told, headers in (of_the_standby, of_the_leader):
        assert (code, told, headers["Cache-Control"]) == (200, TOLD, "max-age=15")


async def test_a_leader_tells_the_status_that_it_wrote_last(standby: Served) -> None:
    standby.registry.replace([body()])
    (watched,) = standby.registry.all()
    assert (await standby.get("shop/orders"))[0] == 503
    watched.status = {"safeRate": RATE, **LEASED}
    assert (await standby.get("shop/orders"))[1] == {**TOLD, "throttling": True}


@pytest.mark.parametrize("path", ["shop/nobody", "nowhere/orders"])
async def test_a_leader_knows_of_no_other_resource_than_those_it_watches(standby: Served, path: str) -> None:
    standby.registry.replace([body(safeRate=RATE)])
    code, told, headers = await standby.get(path)
    assert (code, headers["Cache-Control"]) == (404, "max-age=5")
    assert told["reason"] == f"no KafkaConsumerScaler {path} is watched here"
    assert standby.bodies.asked == []


@pytest.mark.parametrize("path", ["shop/%1b[31m", "shop/a%0d%0ax", "Shop/orders", "shop/-a", "a.b/orders",
                                  f"shop/{'a' * 300}", "shop/a..b", "shop/%2e%2e", "shop/%ff"])
async def test_what_is_no_name_is_not_looked_for_and_told_in_printable_words(standby: Served, path: str) -> None:
    code, told, _ = await standby.get(path)
    assert code == 404
    assert standby.bodies.asked == []
    assert all(word.isprintable() and len(word) < 600 for word in told.values())


async def test_an_answer_serves_all_who_ask_within_five_seconds_and_nobody_later(standby: Served) -> None:
    for later, asked in ((0.0, 1), (KEPT_SECONDS - 0.1, 1), (0.2, 2)):
        standby.outside.time += later
        for path in ("shop/orders", "shop/nobody"):
            await standby.get(path)
            await standby.get(path)
        assert sorted(standby.bodies.asked) == sorted(["orders", "nobody"] * asked)


async def test_all_who_ask_at_once_are_answered_by_one_question(standby: Served) -> None:
    standby.bodies.open.clear()
    asking = [asyncio.create_task(standby.get("shop/orders")) for _ in range(20)]
    await until(lambda: bool(standby.bodies.asked))
    standby.bodies.open.set()
    assert {code for code, _, _ in await asyncio.gather(*asking)} == {200}
    assert standby.bodies.asked == ["orders"]


async def test_whoever_leaves_before_the_answer_spoils_it_for_nobody(standby: Served) -> None:
    standby.bodies.open.clear()
    leaving = asyncio.create_task(standby.lookups.body("shop", "orders"))
    await asyncio.sleep(0)
    leaving.cancel()
    staying = asyncio.create_task(standby.lookups.body("shop", "orders"))
    await asyncio.sleep(0)
    standby.bodies.open.set()
    assert await staying == body(safeRate=RATE)


async def test_a_thousand_names_are_few_questions_and_little_memory(standby: Served) -> None:
    found = [await standby.lookups.body("shop", f"name-{number}") for number in range(1000)]
    assert found.count(TOO_MANY) == 1000 - A_SECOND
    assert len(standby.bodies.asked) == len(standby.lookups._kept) == A_SECOND
    standby.outside.time += 1.1
    assert await standby.lookups.body("shop", "orders") == body(safeRate=RATE)


async def test_no_more_than_four_questions_are_under_way(standby: Served) -> None:
    standby.bodies.open.clear()
    asking = [asyncio.create_task(standby.lookups.body("shop", f"name-{number}")) for number in range(AT_ONCE + 1)]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert [each.result() for each in done] == [TOO_MANY]
    standby.bodies.open.set()
    await asyncio.gather(*asking)
    assert len(standby.bodies.asked) == AT_ONCE


@pytest.mark.parametrize(("found", "reason"), [
    (Unknown("connection refused by 10.0.0.1"), "the resource cannot be read now"),
    (body(), "no safe rate is known yet"),
    (body(safeRate={**RATE, "validUntil": timestamp(NOW - 1)}),
     f"no safe rate is known since {timestamp(NOW - 1)}"),
    (body(safeRate={"reason": "x", "validUntil": timestamp(NOW + 60)}), "no safe rate is known yet"),
])
async def test_what_is_not_known_is_503_with_when_to_ask_again(
    found: Mapping[str, Any] | Unknown, reason: str
) -> None:
    async with serving(found) as served:
        code, told, headers = await served.get("shop/orders")
    assert (code, told) == (503, {"namespace": "shop", "name": "orders", "reason": reason})
    assert (headers["Retry-After"], headers["Cache-Control"]) == ("15", "no-store")


def test_a_resource_that_asks_for_no_safe_rate_says_so() -> None:
    found = answer_of("shop", "orders", resource(), NOW)
    assert (found.code, found.body["reason"]) == (
        503, "no safe rate is told, as the resource has no spec.backpressure")


def test_a_resource_that_is_being_deleted_is_not_there() -> None:
    dying = body(safeRate=RATE)
    dying["metadata"]["deletionTimestamp"] = timestamp(NOW)
    assert answer_of("shop", "orders", dying, NOW).code == 404


@pytest.mark.parametrize(("left", "seconds"), [(600, 15), (45, 15), (30, 10), (2, 1), (1, 1)])
def test_it_is_to_be_asked_three_times_while_it_is_valid(left: int, seconds: int) -> None:
    found = answer_of("shop", "orders", body(safeRate={**RATE, "validUntil": timestamp(NOW + left)}), NOW)
    assert found.body["pollAfterSeconds"] == seconds
    assert found.headers == {"Cache-Control": f"max-age={seconds}"}


def test_a_size_that_is_not_known_is_null() -> None:
    told = answer_of("shop", "orders", body(safeRate={"recordsPerSecond": 5, "validUntil": RATE["validUntil"]}), NOW)
    assert (told.body["recordsPerSecond"], told.body["bytesPerSecond"], told.body["isLowerBound"]) == (5.0, None, True)


@given(json_values, json_values, json_values)
def test_whatever_a_status_says_the_answer_is_json_with_numbers(rate: Any, records: Any, leases: Any) -> None:
    for bent in (rate, {**RATE, "recordsPerSecond": records}, {**RATE, "reason": rate, "validUntil": records}):
        found = answer_of("shop", "orders", body(safeRate=bent, quotaLeases=leases), NOW)
        told = json.loads(json.dumps(found.body, allow_nan=False))
        assert found.code == 503 or 0 <= told["recordsPerSecond"] < 1e16
