"""Statuses that whatever answers of a broker lead to, written to a real API server: it keeps every word of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kube.client import call, connect, path_of
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL
from kafka_consumer_scaler.kube.status import StatusWriter
from tests.api.manifests import SMALLEST
from tests.control.fakes import resource
from tests.environment import Environment
from tests.fuzz.test_broker_answers import SPECS, Looks, found_replicas, looked, looks
from tests.fuzz.worlds import World

EXAMPLES = 25


async def kept(environment: Environment, namespace: str, statuses: list[Mapping[str, Any]]) -> list[Any]:
    """Each status as the API server has it once it was written to a resource; or why it was not written."""
    api = await connect(str(environment.kubeconfig))
    path = path_of(API_VERSION, "namespaces", namespace, PLURAL)
    try:
        body = await call(api, "POST", path, body=SMALLEST)
        found: list[Any] = []
        for status in statuses:
            refused = await StatusWriter(api).write(body, status)
            found.append(refused or (await call(api, "GET", f"{path}/{SMALLEST['metadata']['name']}")).get("status"))
        return found
    finally:
        await api.close()


def as_floats(statuses: list[Any]) -> Any:
    """Go writes 1.0248191152060862e+17 as the whole number that it prints for it."""
    return json.loads(json.dumps(statuses), parse_int=float)


@pytest.mark.cluster
def test_the_status_after_whatever_a_broker_answers_is_kept_as_it_is(
    environment: Environment, namespace: str, custom_resource_definition: None
) -> None:
    statuses: list[Mapping[str, Any]] = []

    @given(st.sampled_from(SPECS), looks, found_replicas)
    @settings(max_examples=EXAMPLES)
    def told(spec: dict[str, Any], looks: Looks, replicas: Replicas | Unknown) -> None:
        world = World.of(resource(**spec), replicas)
        asyncio.run(looked(world, looks))
        statuses.append(world.outside.statuses[-1])

    told()
    assert len(statuses) >= EXAMPLES
    found = asyncio.run(kept(environment, namespace, statuses))
    assert [each for each in found if isinstance(each, Unknown)] == []
    assert as_floats(found) == as_floats(statuses)
