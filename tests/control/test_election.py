"""The election at work: what it asks, tells and lets pass."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from kafka_consumer_scaler.control.election import (
    NOT_LEADING,
    Elector,
    LeadershipLost,
    LedFinalizers,
    LedQuotas,
    LedScale,
    LedStatus,
)
from kafka_consumer_scaler.control.leadership import Create, Election, Read, Timing, Update
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Change, Entity, Quotas
from kafka_consumer_scaler.kube.claim import Claim, Found, Missing
from kafka_consumer_scaler.kube.target import Target
from tests.control.fakes import Brokers, Outside, ScaleSide, StatusSide, reconciler, resource, sample
from tests.control.lease_world import Server
from tests.waiting import until

VIRTUAL_TIME = True

TARGET = Target("apps/v1", "Deployment", "shop", "orders-consumer")
TIMING = Timing()


@dataclass
class Lease:
    """The server's Lease, or no answer while there is a `problem`."""

    server: Server = field(default_factory=Server)
    problem: Unknown | None = None

    def __str__(self) -> str:
        return "Lease shop/operators"

    async def read(self) -> Found | Missing | Unknown:
        return self.problem or self.server.carry_out(Read())

    async def create(self, claim: Claim) -> Found | Missing | Unknown:
        return self.problem or self.server.carry_out(Create(claim))

    async def update(self, claim: Claim, version: str) -> Found | Missing | Unknown:
        return self.problem or self.server.carry_out(Update(claim, version))


@pytest.fixture
def lease() -> Lease:
    """One that was just released."""
    lease = Lease()
    lease.server.put(Claim("", 1, "", "", 0))
    return lease


@dataclass
class SlowScale(ScaleSide):
    """A scale whose server never answers a write."""

    async def write(self, target: Target, replicas: int, expected: int) -> Unknown | None:
        await asyncio.Event().wait()
        return None


def elector_of(lease: Lease, me: str = "a") -> Elector:
    """One whose clock is the loop's."""
    return Elector(lease, Election(me, TIMING), asyncio.get_running_loop().time)


async def leading(lease: Lease, me: str = "a") -> Elector:
    """One that leads now and renews no more."""
    elector = elector_of(lease, me)
    running = asyncio.create_task(elector.run())
    await elector.led()
    running.cancel()
    await asyncio.wait([running])
    return elector


async def test_a_scale_is_written_by_the_leader_and_by_nobody_whose_lease_may_have_passed(lease: Lease) -> None:
    outside, elector = Outside(), await leading(lease)
    scale = LedScale(ScaleSide(outside), elector)
    assert await scale.write(TARGET, 4, 1) is None
    await asyncio.sleep(TIMING.renew_seconds)
    assert await scale.write(TARGET, 5, 4) == NOT_LEADING
    assert outside.writes == [(1, 4)]
    assert (await scale.read(TARGET)) == outside.replicas


async def test_quotas_and_finalizers_are_changed_by_the_leader_only_and_read_by_anybody(lease: Lease) -> None:
    outside, brokers, elector = Outside(), Brokers(), await leading(lease)
    quotas, finalizers = LedQuotas(brokers, elector), LedFinalizers(outside, elector)
    web, kafka = Entity(client_id="web"), Connection("kafka:9092")
    change, body = Change(web, frozenset({None, 5}), 5), resource()
    assert await quotas.change_quotas(kafka, [change], 10) == {web: None}
    assert await finalizers.hold(body) is None
    await asyncio.sleep(TIMING.renew_seconds)
    assert await quotas.change_quotas(kafka, [change], 10) == {web: NOT_LEADING}
    assert await finalizers.let_go(body) == NOT_LEADING
    assert await finalizers.hold(body) == NOT_LEADING
    assert (brokers.told, outside.done) == ([(web, 5)], ["hold"])
    assert isinstance(await quotas.quotas(kafka, [web], 10), Quotas)


async def test_a_status_is_not_written_by_a_standby(lease: Lease) -> None:
    outside = Outside()
    status = LedStatus(StatusSide(outside), elector_of(lease))
    assert await status.write({}, {"partitions": 4}) == NOT_LEADING
    assert outside.statuses == []


async def test_a_write_is_given_up_before_the_lease_can_pass(lease: Lease) -> None:
    scale = LedScale(SlowScale(Outside()), await leading(lease))
    refused = await scale.write(TARGET, 4, 1)
    assert isinstance(refused, Unknown)
    assert refused.reason is Reason.API_SERVER_UNREACHABLE
    assert f"within {TIMING.write_seconds:g} s" in refused.why
    assert TIMING.write_seconds < TIMING.lease_seconds - TIMING.renew_seconds


async def test_a_scaling_that_was_refused_is_not_remembered_as_done_and_said_once(lease: Lease) -> None:
    outside = Outside()
    registry = Registry(outside)
    registry.put(resource(target={"lagPerReplica": 100}))
    (watched,) = registry.all()
    body = reconciler(outside, registry)
    object.__setattr__(body, "scale", LedScale(ScaleSide(outside), elector_of(lease)))
    for _ in range(3):
        outside.time += 5
        assert watched.subject is not None
        await body.reconcile(watched, watched.subject, sample(500))
    assert outside.writes == []
    assert watched.memory.last_scale is None
    able = _condition(outside.statuses[-1], "AbleToScale")
    assert (able["status"], able["reason"]) == ("False", "NotLeader")
    assert outside.posted.count(Reason.SCALE_FAILED) == 1


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next(each for each in status["conditions"] if each["type"] == kind)


async def test_a_lost_lease_ends_the_election_with_the_reason(lease: Lease) -> None:
    elector = elector_of(lease)
    running = asyncio.create_task(elector.run())
    await elector.led()
    lease.server.edit(holder="b")
    with pytest.raises(LeadershipLost, match=r"^no longer the leader: the lease is held by b \(Lease shop/oper"):
        await running
    assert not elector.may_write()


async def test_a_release_lets_the_next_one_lead_at_once(lease: Lease) -> None:
    elector = await leading(lease)
    await elector.release()
    assert not elector.may_write()
    assert (await leading(lease, "b")).may_write()
    assert lease.server.lease is not None
    assert (lease.server.lease.claim.holder, lease.server.lease.claim.transitions) == ("b", 2)


async def test_a_lease_is_not_released_while_a_write_is_under_way(lease: Lease) -> None:
    elector = await leading(lease)
    with elector.writing():
        await elector.release()
    assert lease.server.lease is not None
    assert lease.server.lease.claim.holder == "a"


async def test_a_question_that_was_cancelled_may_have_won_the_lease_and_is_released(lease: Lease) -> None:
    elector = elector_of(lease)
    await elector._step()
    step = elector.election.step(0.0, "s")
    assert isinstance(step, Update)
    lease.server.carry_out(step)
    elector.election = elector.election.with_answer(step, 0.0, 0.0, Unknown("cancelled"))
    await elector.release()
    assert lease.server.lease is not None
    assert lease.server.lease.claim.is_released


async def test_trouble_with_the_lease_is_told_once_and_its_end_too(
    lease: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    elector = elector_of(lease)
    running = asyncio.create_task(elector.run())
    await elector.led()
    lease.problem = Unknown("out of reach")
    await asyncio.sleep(TIMING.renew_seconds * 2)
    assert not elector.may_write()
    lease.problem = None
    await until(elector.may_write)  # nobody led meanwhile
    running.cancel()
    told = [record.message for record in caplog.records]
    trouble = ["the lease cannot be read or renewed", "the lease can be read and renewed again"]
    assert [words for words in told if words.startswith("the lease")] == trouble
    assert [words for words in told if words.startswith("election")] == [
        "election: standby", "election: leader", "election: paused", "election: leader"]
