"""Whatever a broker answers, one look after another at the same resource: no crash, no wrong write, no unfit word."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kafka.sample import GroupSample
from tests.control.fakes import resource
from tests.fuzz.answers import pauses, plausible_looks, samples, unknowns
from tests.fuzz.values import odd_texts
from tests.fuzz.worlds import Lines, World, unfit_statuses, unfit_texts

SPECS: list[dict[str, Any]] = [
    {"minReplicas": 2, "maxReplicas": 7},
    {"minReplicas": 0, "maxReplicas": 4, "target": {"lagPerReplica": 1}},
    {"minReplicas": 1, "maxReplicas": 10_000, "offsetReset": "earliest", "consumerThreads": 1000},
    {"minReplicas": 1, "maxReplicas": 5, "offsetReset": "none", "fallback": {"failureThreshold": 1, "replicas": 4}},
    {"maxReplicas": 3, "mode": "Advisory", "target": {"lagSeconds": 604800, "utilization": 0.1}},
    {"maxReplicas": 3, "paused": True, "target": {"lagSeconds": 1}, "recoverySeconds": 1},
    {"minReplicas": 0, "maxReplicas": 6, "target": {"activationLag": 10**12},
     "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0, "cooldownSeconds": 0}}},
    {"maxReplicas": 2, "target": {"lagSeconds": 1},
     "backpressure": {"quotas": [{"user": "u", "minBytesPerSecond": 1}]}},
]
Looks = list[tuple[float, GroupSample]]
looks = st.lists(st.tuples(pauses, samples), min_size=1, max_size=10) | plausible_looks()
found_replicas = (st.builds(Replicas, st.integers(0, 12), st.integers(0, 12)) | st.just(Replicas(2**31 - 1, 0))
                  | unknowns)


async def looked(world: World, looks: Looks) -> list[tuple[GroupSample, list[tuple[int, int]]]]:
    """Each look with the writes that it led to."""
    (watched,) = world.registry.all()
    told = []
    for pause, sample in looks:
        world.outside.time += pause
        before = len(world.outside.writes)
        assert watched.subject is not None
        await world.loop.reconcile(watched, watched.subject, sample)
        told.append((sample, world.outside.writes[before:]))
    return told


def is_whole(sample: GroupSample) -> bool:
    return not isinstance(sample.partitions, Unknown) and not any(
        isinstance(reading, Unknown) for reading in sample.partitions.values())


@given(st.sampled_from(SPECS), looks, found_replicas, odd_texts)
def test_no_answer_of_a_broker_leads_to_a_crash_a_wrong_write_or_an_unfit_word(
    spec: dict[str, Any], looks: Looks, replicas: Replicas | Unknown, trouble: str
) -> None:
    world = World.of(resource(**spec), replicas)
    world.outside.pod_trouble = trouble
    with Lines() as said:
        told = asyncio.run(looked(world, looks))
    fallback = spec.get("fallback", {}).get("replicas")
    written = [replicas for _, writes in told for _, replicas in writes]
    assert all(spec.get("minReplicas", 1) <= each <= spec["maxReplicas"] for each in written)
    assert not written or spec.get("mode") is spec.get("paused") is None
    assert all(to == fallback for sample, writes in told if not is_whole(sample) for _, to in writes)
    assert unfit_statuses(world.outside.statuses) == []
    assert unfit_texts([*world.outside.notes, *said.lines]) == []
    assert list(text_string_to_metric_families(world.scrape())) != []
