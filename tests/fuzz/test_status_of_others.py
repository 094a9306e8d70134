"""A status that a newer or older version wrote, or a hand: it is read without harm, and the next one is accepted."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.api.memory import memory_from_status, pieces_of
from kafka_consumer_scaler.api.spec import MAX_REPLICAS
from kafka_consumer_scaler.core.effect import BACK_OFF_SECONDS_MAX, JOIN_SECONDS_MAX
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.pauses import PAUSE_SECONDS_MAX
from kafka_consumer_scaler.core.snapshot import Replicas
from tests.api.verdicts import MEMORY
from tests.control.fakes import Outside, resource
from tests.fuzz.answers import plausible_looks
from tests.fuzz.schemas import STATUS, broken
from tests.fuzz.test_broker_answers import Looks, looked
from tests.fuzz.values import json_values, odd_numbers
from tests.fuzz.worlds import Lines, World, unfit_statuses, unfit_texts

NOW = Outside().time
NAMES = sorted(pieces_of(MEMORY))


@st.composite
def bent_memories(draw: st.DrawFn) -> Any:
    """A memory as it is stored, in which some numbers, pieces or types are others; cut off, or no text at all."""
    stored = copy.deepcopy(pieces_of(MEMORY))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True)):
        stored[name] = draw(json_values | bent(stored[name]))
    text = json.dumps(stored)
    if draw(st.integers(0, 9)) > 0:
        return text
    return draw(json_values | st.just(stored) | st.integers(0, len(text)).map(lambda end: text[:end]))


def bent(piece: Any) -> st.SearchStrategy[Any]:
    """The piece with the numbers in it replaced by odd ones, or by times and counts that could be."""
    if isinstance(piece, Mapping):
        return st.fixed_dictionaries({name: bent(value) for name, value in piece.items()})
    if isinstance(piece, list):
        return st.lists(bent(piece[0]), max_size=30) if piece else st.just([])
    if isinstance(piece, int | float):
        return odd_numbers | st.floats(NOW - 4000, NOW + 4000) | st.integers(0, 20)
    return json_values


statuses = st.fixed_dictionaries({}, optional={"memory": bent_memories()}) | broken(STATUS) | st.builds(
    lambda status, memory: {**status, "memory": memory}, st.dictionaries(st.sampled_from(
        ["conditions", "lag", "rates", "explanation", "lastScaleTime", "observedGeneration"]), json_values),
    bent_memories())


def untrusted(memory: Memory) -> list[str]:
    """What of a memory that was read would let its writer decide for longer, or for more, than the rules do."""
    times = [each.at for each in memory.scales] + [each.at for each in memory.peaks]
    times += [each.at for each in (*memory.highs, *memory.lows)]
    numbers = [each.replicas for each in (*memory.highs, *memory.lows)] + [each.after for each in memory.scales]
    until = memory.ineffective.until if memory.ineffective else 0.0
    capacity = memory.capacity.per_consumer if memory.capacity else 1.0
    held = {
        "a time is not yet": all(0 <= at <= NOW for at in times),
        "the replicas are more than any resource may have": all(0 <= number <= MAX_REPLICAS for number in numbers),
        "the back-off is longer than the longest": until <= NOW + BACK_OFF_SECONDS_MAX,
        "the capacity is no rate": 0 < capacity <= 1e15,
        "joining takes too long": (memory.join_seconds or 0.0) <= JOIN_SECONDS_MAX,
        "the pause is too long": (memory.pause_seconds or 0.0) <= PAUSE_SECONDS_MAX,
    }
    return [complaint for complaint, holds in held.items() if not holds]


@given(statuses, plausible_looks(), st.integers(0, 12))
def test_whatever_stands_in_the_status_is_not_trusted_and_the_next_status_is_accepted(
    status: Any, looks: Looks, replicas: int
) -> None:
    assert untrusted(memory_from_status(status, NOW)) == []
    world = World.of({**resource(minReplicas=1), "status": status}, Replicas(replicas, replicas))
    with Lines() as said:
        asyncio.run(looked(world, looks))
    assert all(1 <= to <= 12 for _, to in world.outside.writes)
    assert world.outside.statuses != []
    assert unfit_statuses(world.outside.statuses) == []
    assert unfit_texts([*world.outside.notes, *said.lines]) == []


@given(statuses)
def test_a_resource_that_cannot_be_read_gets_a_status_whatever_stood_there(status: Any) -> None:
    world = World.of({**resource(maxReplicas=0), "status": status})
    (watched,) = world.registry.all()
    with Lines() as said:
        asyncio.run(world.loop.report_invalid(watched))
    assert unfit_statuses(world.outside.statuses) == []
    assert unfit_texts(said.lines) == []
