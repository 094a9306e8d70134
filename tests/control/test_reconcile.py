"""Observe, decide, act, report: what is written where, and what is not."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from kafka_consumer_scaler.api.snapshots import looks_of
from kafka_consumer_scaler.control.reconcile import START_ASKED_SECONDS, Reconciler
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.core.memory import Memory, Scaled
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kube.target import Target
from tests.control.fakes import Outside, reconciler, resource, sample


async def poll(body: Reconciler, watched: Watched, lag: int = 0, times: int = 1, members: int = 1) -> None:
    """So many polls, 5 s apart."""
    outside = body.clock
    assert isinstance(outside, Outside)
    for _ in range(times):
        outside.time += 5
        assert watched.subject is not None
        await body.reconcile(watched, watched.subject, sample(lag, members=members))


async def test_a_backlog_is_written_to_the_scale_once_and_announced(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, lag=500, times=3)
    assert outside.writes == [(1, 4)]
    assert outside.posted.count(Reason.SCALED_UP) == 1
    assert watched.memory.last_scale is not None
    assert json.loads(outside.statuses[0]["memory"])["scales"]


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


async def test_who_changed_the_replicas_is_asked_only_when_they_are_another_number_than_expected(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, lag=500)
    await poll(body, watched, lag=500, times=2, members=4)
    assert (outside.writes, outside.asked_who) == ([(1, 4)], 0)
    outside.replicas, outside.changer = Replicas(2, 2), "argocd-controller"
    await poll(body, watched, lag=500, times=10, members=4)
    assert outside.asked_who == 1
    assert [(each.before, each.after, each.manager) for each in watched.memory.others] == [(4, 2, "argocd-controller")]


async def test_a_change_whose_answer_was_lost_is_not_put_down_to_others(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    watched.memory = watched.memory.with_scaled(2, 1, outside.time - 1000)
    outside.refusal, outside.loses_answers = Unknown("no answer", Reason.API_SERVER_UNREACHABLE), True
    await poll(body, watched, lag=500)
    outside.refusal, outside.loses_answers = None, False
    await poll(body, watched, lag=500, members=4)
    assert outside.writes == [(1, 4)]
    assert watched.memory.last_scale is not None
    assert watched.memory.last_scale.after == 4
    assert (outside.asked_who, watched.memory.others) == (0, ())


async def test_a_change_whose_answer_was_lost_is_credited_once_its_effect_is_seen(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    """Else its cooldown would not be kept: the next change could come with the next poll."""
    outside.refusal, outside.loses_answers = Unknown("no answer", Reason.API_SERVER_UNREACHABLE), True
    await poll(body, watched, lag=500)
    lost_at = outside.time
    assert watched.memory.last_scale is None
    outside.refusal, outside.loses_answers = None, False
    await poll(body, watched, lag=500)
    assert watched.memory.last_scale == Scaled(lost_at, 1, 4)
    assert outside.posted.count(Reason.SCALED_UP) == 1
    assert Reason.SCALE_FAILED not in watched.memory.said


async def test_a_change_whose_answer_was_lost_is_not_credited_to_us_when_the_replicas_are_others(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.refusal = Unknown("no answer", Reason.API_SERVER_UNREACHABLE)
    await poll(body, watched, lag=500)
    outside.replicas = Replicas(2, 2)
    await poll(body, watched, lag=500)
    assert watched.memory.last_scale is None


async def test_a_failed_status_write_does_not_repeat_the_scaling(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.status_refusal = Unknown("out of reach", Reason.API_SERVER_UNREACHABLE)
    await poll(body, watched, lag=500, times=3)
    assert outside.writes == [(1, 4)]
    outside.status_refusal = None
    await poll(body, watched, lag=500)
    assert json.loads(outside.statuses[-1]["memory"])["scales"], "what was done is told as soon as it can be"


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
    await poll(body, watched, lag=500, members=3)
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


CRASHES = "1 of 4 pods in CrashLoopBackOff (exit code 1)"


async def test_the_pods_of_a_healthy_group_are_never_asked_about(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.replicas = Replicas(2, 2)
    await poll(body, watched, members=2, times=40)
    await poll(body, watched, lag=10, members=2, times=40)
    assert outside.reads > 3
    assert outside.asked_about_pods == []


async def test_consumers_of_a_scale_up_that_do_not_join_are_told_with_what_is_the_matter_with_their_pods(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.pod_trouble = CRASHES
    await poll(body, watched, lag=500, times=2)
    assert outside.writes == [(1, 4)]
    assert set(outside.asked_about_pods) == {Target("apps/v1", "Deployment", "shop", "orders-consumer")}
    await poll(body, watched, lag=500, times=30)
    finding = next(each for each in outside.statuses[-1]["conditions"] if each["type"] == "ReplicasNotJoining")
    assert CRASHES in finding["message"]


async def test_a_scale_up_whose_consumers_joined_asks_no_more(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, lag=500, times=2)
    await poll(body, watched, lag=500, times=5, members=4)
    asked, reads = len(outside.asked_about_pods), outside.reads
    await poll(body, watched, lag=500, times=5, members=4)
    assert outside.reads > reads
    assert len(outside.asked_about_pods) == asked > 0


@pytest.mark.parametrize(("replicas", "is_asked"), [(1, True), (0, False)])
async def test_a_group_without_members_asks_about_pods_if_there_should_be_some(
    body: Reconciler, watched: Watched, outside: Outside, replicas: int, is_asked: bool
) -> None:
    outside.replicas = Replicas(replicas, replicas)
    await poll(body, watched, members=0)
    assert (outside.reads, len(outside.asked_about_pods)) == (1, int(is_asked))
    await poll(body, watched, members=0, times=3)
    assert len(outside.asked_about_pods) in {0, outside.reads}, "only with replicas that were read just now"


@pytest.mark.parametrize(("members", "is_asked"), [(3, True), (2, False)])
async def test_members_that_come_and_go_are_a_reason_to_ask_about_pods(
    body: Reconciler, watched: Watched, outside: Outside, members: int, is_asked: bool
) -> None:
    for number in (1, members, 1):
        await poll(body, watched, members=number)
    assert watched.memory.awaited is None
    assert outside.asked_about_pods == []
    await poll(body, watched, times=10)
    assert bool(outside.asked_about_pods) is is_asked


async def test_pods_of_a_target_that_is_not_ours_are_not_asked_about(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    outside.rival = "HorizontalPodAutoscaler shop/orders"
    await poll(body, watched, members=0, times=3)
    assert outside.asked_about_pods == []


async def test_trouble_with_the_pods_is_in_the_looks_that_are_recorded(outside: Outside, registry: Registry) -> None:
    recorder = Recorder(10)
    outside.pod_trouble = CRASHES
    watched = registry.all()[0]
    await poll(reconciler(outside, registry, recorder), watched, members=0)
    (look,) = looks_of(line.encode() for line in recorder.lines(watched.uid))
    assert look.replicas == Replicas(1, 1, CRASHES)


async def test_how_long_pods_take_to_start_is_asked_until_it_is_known(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, times=3)
    assert outside.asked_for_start == 1
    outside.pod_start, outside.time = 720.0, outside.time + START_ASKED_SECONDS
    await poll(body, watched, times=2)
    outside.time += START_ASKED_SECONDS
    await poll(body, watched)
    assert outside.asked_for_start == 2
    assert watched.replicas is not None
    assert watched.replicas.start_seconds == 720.0


async def test_what_a_scale_up_measured_is_not_asked_of_pods(
    body: Reconciler, watched: Watched, outside: Outside
) -> None:
    watched.memory = Memory(join_seconds=22.0)
    await poll(body, watched)
    assert outside.asked_for_start == 0


@pytest.mark.parametrize(("backpressure", "seconds"), [({"backpressure": {}}, 10), ({}, 60)])
async def test_a_safe_rate_that_is_another_one_is_told_every_ten_seconds_where_producers_are_told_it(
    outside: Outside, backpressure: dict[str, Any], seconds: float
) -> None:
    """It falls by an eighth with each poll, 5 s apart; nothing else changes but numbers, which wait for a minute."""
    capacity = {"version": 1, "capacity": {"perConsumer": 100, "learned": True}}
    registry, outside.replicas = Registry(outside), Replicas(4, 4)
    known = {**resource(mode="Advisory", maxReplicas=4, **backpressure), "status": {"memory": json.dumps(capacity)}}
    registry.put(known)
    body, (watched,) = reconciler(outside, registry), registry.all()
    written = []
    for number in range(40):
        await poll(body, watched, lag=round(30_000 - 29_000 * 0.875**number), members=4)
        written.append((outside.time, len(outside.statuses)))
    writes = [at for (_, before), (at, after) in pairwise(written[12:]) if after > before]
    assert {later - earlier for earlier, later in pairwise(writes)} == {seconds}
