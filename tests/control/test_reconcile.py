"""Observe, decide, act, report: what is written where, and what is not."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from tests.control.fakes import Outside, reconciler, resource, sample


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def registry(outside: Outside) -> Registry:
    registry = Registry(outside)
    registry.put(resource(target={"lagPerReplica": 100}))
    return registry


@pytest.fixture
def watched(registry: Registry) -> Watched:
    return registry.all()[0]


@pytest.fixture
def body(outside: Outside, registry: Registry) -> Reconciler:
    return reconciler(outside, registry)


async def poll(body: Reconciler, watched: Watched, lag: int = 0, times: int = 1) -> None:
    """So many polls, 5 s apart."""
    outside = body.clock
    assert isinstance(outside, Outside)
    for _ in range(times):
        outside.time += 5
        assert watched.subject is not None
        await body.reconcile(watched, watched.subject, sample(lag))


async def test_a_backlog_is_written_to_the_scale_once_and_announced(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, lag=500, times=3)
    assert outside.writes == [(1, 4)]
    assert outside.posted.count(Reason.SCALED_UP) == 1
    assert watched.memory.last_scale is not None
    assert outside.statuses[0]["memory"]["scales"]


async def test_a_refused_write_is_not_credited_and_tried_again(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.refusal = Unknown("out of reach", Reason.API_SERVER_UNREACHABLE)
    await poll(body, watched, lag=500, times=3)
    assert watched.memory.last_scale is None
    assert outside.posted.count(Reason.SCALE_FAILED) == 1
    outside.refusal = None
    await poll(body, watched, lag=500)
    assert outside.writes == [(1, 4)]


async def test_a_failed_status_write_does_not_repeat_the_scaling(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.status_refusal = Unknown("out of reach", Reason.API_SERVER_UNREACHABLE)
    await poll(body, watched, lag=500, times=3)
    assert outside.writes == [(1, 4)]
    outside.status_refusal = None
    await poll(body, watched, lag=500)
    assert outside.statuses[-1]["memory"]["scales"], "what was done is told as soon as it can be"


async def test_a_resource_recreated_since_it_was_seen_scales_nothing(
    body: Reconciler, watched: Watched, outside: Outside, registry: Registry
) -> None:
    outside.uids["orders"] = "another"
    await poll(body, watched, lag=500)
    assert outside.writes == []
    assert outside.statuses == []
    assert watched not in registry


async def test_a_caught_up_group_costs_no_reads_and_no_writes(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, times=2)
    reads, statuses = outside.reads, len(outside.statuses)
    await poll(body, watched, times=8)
    assert outside.reads - reads <= 1
    assert len(outside.statuses) == statuses


async def test_a_change_is_decided_on_replicas_that_were_read_just_now(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, times=2)
    outside.replicas = Replicas(3, 3)
    await poll(body, watched, lag=500)
    assert outside.writes == [(3, 4)]


async def test_another_autoscaler_on_the_target_is_a_conflict(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.rival = "HorizontalPodAutoscaler shop/orders"
    await poll(body, watched, lag=500, times=2)
    assert outside.writes == []
    assert outside.posted == [Reason.TARGET_CONFLICT]


async def test_an_advisory_resource_may_be_tried_beside_another_autoscaler(
    body: Reconciler, outside: Outside, registry: Registry
) -> None:
    outside.rival = "HorizontalPodAutoscaler shop/orders"
    registry.put(resource(generation=2, target={"lagPerReplica": 100}, mode="Advisory"))
    await poll(body, registry.all()[0], lag=500)
    assert outside.writes == []
    assert "would scale up from 1 to 4" in outside.statuses[-1]["lastDecision"]


@pytest.mark.parametrize(("answer", "writes"), [
    (Unknown("the role lacks list", Reason.NOT_AUTHORIZED), [(1, 4)]),
    (Unknown("out of reach", Reason.API_SERVER_UNREACHABLE), []),
])
async def test_unknown_rivals_hold_unless_the_admin_does_not_let_us_ask(
    body: Reconciler, watched: Watched, outside: Outside, answer: Unknown, writes: list[tuple[int, int]]
) -> None:
    outside.rival = answer
    await poll(body, watched, lag=500)
    assert outside.writes == writes


async def test_an_invalid_resource_says_so_once(body: Reconciler, outside: Outside, registry: Registry) -> None:
    registry.put(resource("bad", "u2", minReplicas=5, maxReplicas=2))
    bad = registry.all()[1]
    await body.report_invalid(bad)
    await body.report_invalid(bad)
    (status,) = outside.statuses
    ready = next(each for each in status["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
