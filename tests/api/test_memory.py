"""Memory survives in the status, and whatever else stands there does no harm."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.api.memory import memory_from_status, memory_of, memory_to_status, pieces_of
from kafka_consumer_scaler.api.spec import MAX_CHANGES
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import (
    Awaited,
    Commits,
    Found,
    Held,
    Ineffective,
    Memory,
    OthersChange,
    Peak,
    Recommended,
    Scaled,
    TakenBack,
    Threads,
    Throttling,
    Trial,
    Unread,
    Usual,
)
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import LASTING

NOW = 1_795_417_200.0
TIMES = st.floats(min_value=0, max_value=NOW)
REPLICAS = st.integers(0, 10_000)
RATES = st.floats(min_value=0, max_value=1e9)
RECOMMENDED = st.lists(st.builds(Recommended, TIMES, REPLICAS), max_size=5).map(
    lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))
)
MEMORIES = st.builds(
    Memory,
    scales=st.lists(st.builds(Scaled, TIMES, REPLICAS, REPLICAS), max_size=5).map(
        lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))
    ),
    highs=RECOMMENDED,
    lows=RECOMMENDED,
    peaks=st.lists(st.builds(Peak, TIMES, RATES), max_size=5).map(
        lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))
    ),
    join_seconds=st.none() | st.floats(0, 600),
    pause_seconds=st.none() | st.floats(0, 120),
    awaited=st.none() | st.builds(Awaited, TIMES, st.none() | TIMES, st.booleans()),
    trial=st.none() | st.builds(Trial, TIMES, REPLICAS, REPLICAS, st.none() | RATES, st.none() | TIMES),
    ineffective=st.none() | st.builds(Ineffective, REPLICAS, TIMES, REPLICAS, REPLICAS, RATES, RATES),
    paused_at=st.none() | TIMES,
    uneven_since=st.none() | TIMES,
    taken_back=st.none() | st.builds(TakenBack, REPLICAS, RATES, TIMES, REPLICAS, TIMES),
    held=st.lists(st.builds(Held, st.text(min_size=1, max_size=9), RATES, TIMES), max_size=3).map(
        lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))),
    commits=st.none() | st.builds(Commits, RATES, TIMES),
    unread=st.none() | st.builds(Unread, st.lists(st.text(max_size=9), min_size=1, max_size=3).map(tuple), TIMES),
    threads=st.none() | st.builds(Threads, st.integers(1, 50), REPLICAS, REPLICAS, TIMES, st.booleans()),
    capacity=st.none() | st.builds(Capacity, st.floats(min_value=1e-6, max_value=1e9), st.booleans(), st.booleans()),
    assignor=st.sampled_from(["", "range", "cooperative-sticky", "com.example.Assignor$1"]),
    usual=st.none() | st.builds(Usual, TIMES, RATES, RATES, st.none() | RATES),
    memberless_since=st.none() | TIMES,
    unseen_at=st.none() | TIMES,
    found=st.lists(st.builds(Found, st.sampled_from(sorted(LASTING)), TIMES, st.text("a;.", max_size=9), st.just("do")),
                   max_size=3).map(lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))),
    said=st.frozensets(st.sampled_from(Reason)),
    others=st.lists(st.builds(OthersChange, TIMES, REPLICAS, REPLICAS, st.sampled_from(["", "kubectl"])),
                    max_size=3).map(lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))),
    ups=st.sets(TIMES, max_size=5).map(lambda times: tuple(sorted(times))),
    downs=st.sets(TIMES, max_size=5).map(lambda times: tuple(sorted(times))),
    throttling=st.none() | st.builds(
        Throttling, TIMES, RATES, TIMES, RATES, TIMES, RATES, st.booleans(), st.none() | TIMES,
        st.lists(RATES, max_size=3).map(tuple)),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FULL = Memory(
    scales=(Scaled(NOW - 60, 2, 5, 450.5),),
    highs=(Recommended(NOW - 30, 5),),
    lows=(Recommended(NOW - 15, 4),),
    peaks=(Peak(NOW - 15, 350.5),),
    join_seconds=22.5,
    pause_seconds=4.5,
    awaited=Awaited(NOW - 60, NOW - 15),
    trial=Trial(NOW - 60, 2, 5, 203.5, NOW - 30),
    ineffective=Ineffective(6, NOW + 500, 2, 12, 300.5, 305.5),
    threads=Threads(3, 2, 6, NOW - 90, is_learned=True),
    paused_at=NOW - 60,
    uneven_since=NOW - 45,
    taken_back=TakenBack(4, 450.5, NOW - 90, 2, NOW + 3000),
    unread=Unread(("legacy",), NOW - 15),
    held=(Held("orders-retry", 600.0, NOW - 15),),
    commits=Commits(600.5, NOW - 15),
    capacity=Capacity(101.5, learned=True),
    assignor="range",
    usual=Usual(NOW - 15, 900.5, 350.5, 101.5),
    memberless_since=NOW - 120,
    unseen_at=NOW - 15,
    found=(Found(Reason.HOT_PARTITION, NOW - 15, "orders/3 gets 150 records/s", "spread the keys"),),
    said=frozenset({Reason.SCALING_LIMITED}),
    others=(OthersChange(NOW - 30, 5, 2, "argocd-controller"),),
    ups=(NOW - 7200, NOW - 60),
    downs=(NOW - 86_000,),
    throttling=Throttling(NOW - 600, 120_000.5, NOW - 60, 2400.5, NOW - 15, 100.5, True, NOW - 30, (30_000.5, 10.0)),
)


@given(MEMORIES)
def test_what_was_saved_is_what_is_read(memory: Memory) -> None:
    stored = json.loads(json.dumps({"memory": memory_to_status(memory)}))
    assert memory_from_status(stored, NOW) == memory


@given(MEMORIES)
def test_the_stored_form_is_one_printable_line_of_json(memory: Memory) -> None:
    text = memory_to_status(memory)
    assert text.isprintable()
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word)) == json.loads(json.dumps(pieces_of(memory)))


def test_no_field_of_the_memory_is_forgotten() -> None:
    read = memory_from_status({"memory": memory_to_status(FULL)}, NOW)
    empty = Memory()
    assert all(getattr(read, field.name) != getattr(empty, field.name) for field in fields(Memory))


@given(JSON)
def test_any_status_is_read_without_an_error(status: Any) -> None:
    assert isinstance(memory_from_status(status, NOW), Memory)


@given(st.dictionaries(st.sampled_from(sorted(pieces_of(FULL))), JSON))
def test_any_piece_of_junk_leaves_a_memory_that_makes_sense(spoilt: dict[str, Any]) -> None:
    memory = memory_of(pieces_of(FULL) | spoilt | {"version": 1}, NOW)
    times = [scale.at for scale in memory.scales] + [entry.at for entry in (*memory.highs, *memory.lows)]
    assert all(math.isfinite(at) and 0 <= at <= NOW for at in times)
    assert all(0 <= entry.replicas <= 10_000 for entry in (*memory.highs, *memory.lows))
    assert memory.ineffective is None or memory.ineffective.until <= NOW + 3600
    assert memory.capacity is None or 0 < memory.capacity.per_consumer < math.inf
    assert memory_of(pieces_of(memory), NOW) == memory


def test_junk_in_one_piece_leaves_the_others() -> None:
    stored = pieces_of(FULL)
    stored["scales"] = [{"at": "yesterday"}, 7, stored["scales"][0], {"at": 1, "before": 1, "after": 10**30}]
    stored["said"] = ["NoSuchReason", 5, "ScalingLimited"]
    stored["lows"] = "none"
    read = memory_of(stored, NOW)
    assert read == replace(FULL, lows=())


def test_what_is_no_finding_is_not_found_in_the_memory() -> None:
    stored = pieces_of(FULL)
    stored["found"] += [{"reason": "ScaledUp", "at": 1, "evidence": "x", "remedy": "y"}, {"reason": "HotPartition"}]
    assert memory_of(stored, NOW) == FULL


def test_half_a_trial_is_no_trial() -> None:
    stored = pieces_of(FULL)
    del stored["trial"]["before"]
    del stored["awaited"]["missingAt"]
    read = memory_of(stored, NOW)
    assert (read.trial, read.awaited) == (None, Awaited(NOW - 60))


def test_a_back_off_ends_an_hour_from_now_at_the_latest() -> None:
    stored = pieces_of(FULL)
    stored["ineffective"]["until"] = 1e15
    read = memory_of(stored, NOW)
    assert read.ineffective is not None
    assert read.ineffective.until == NOW + 3600


def test_a_time_in_the_future_becomes_now() -> None:
    later = Memory(scales=(Scaled(NOW + 900, 1, 2),))
    assert memory_of(pieces_of(later), NOW).scales == (Scaled(NOW, 1, 2),)


def test_a_time_of_a_change_that_makes_no_sense_is_left_out() -> None:
    stored = pieces_of(FULL) | {"ups": [NOW + 900, "noon", None, -1, True, 5, 5], "downs": {"at": 5}}
    read = memory_of(stored, NOW)
    assert (read.ups, read.downs) == ((5.0, NOW), ())


def test_no_more_times_of_changes_are_read_than_a_limit_may_ask_for() -> None:
    read = memory_of({"version": 1, "ups": list(range(5000))}, NOW)
    assert (len(read.ups), read.ups[0], read.ups[-1]) == (MAX_CHANGES, 4000.0, 4999.0)


def test_the_memory_of_another_version_is_not_used() -> None:
    assert memory_of(pieces_of(FULL) | {"version": 2}, NOW) == Memory()


def test_only_the_newest_entries_of_an_endless_list_are_read() -> None:
    entries = [{"at": at, "replicas": 1} for at in range(5000)]
    read = memory_of({"version": 1, "highs": entries}, NOW)
    assert (len(read.highs), read.highs[-1].at) == (1000, 4999.0)


STRANGE: list[Any] = [
    None, 5, True, [], {}, pieces_of(FULL), "", "null", "5", "[]", "{}", "{",
    '{"version": 1, "sca', "NaN", "[" * 100_000,
    "9" * 10_000, json.dumps(memory_to_status(FULL)), '{"version": 1e0, "scales": [{"at": NaN}]}',
]


@pytest.mark.parametrize("stored", STRANGE, ids=range(len(STRANGE)))
def test_what_is_no_memory_is_the_empty_one(stored: Any) -> None:
    assert memory_from_status({"memory": stored}, NOW) == Memory()


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert memory_from_status({"memory": text}, NOW) == memory_of(_loaded(text), NOW)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
