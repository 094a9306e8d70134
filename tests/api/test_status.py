"""From a verdict to the status that users read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.api.memory import memory_from_status, memory_to_status
from kafka_consumer_scaler.api.status import (
    ExplanationStatus,
    Status,
    explained,
    explanation_as_status,
    is_another_rate,
    safe_rate_as_status,
    same_meaning,
    status_of,
    status_of_invalid,
)
from kafka_consumer_scaler.core.advice import Advice
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.explain import Explanation, PartitionStanding
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.core.verdict import Abstain, ConditionType, Hold, Measurements, Verdict
from tests.api.verdicts import MEMORY, NOW, VERDICT
from tests.core.making import even

POLICY = Policy(max_replicas=12)
AT_NOW = "2026-11-23T07:00:00Z"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DARK = Measurements(*[Unknown("no broker answered")] * 10)


def status(verdict: Verdict = VERDICT, previous: dict[str, Any] | None = None, now: float = NOW) -> dict[str, Any]:
    return explained(status_of(verdict, 3, previous or {}, now), POLICY, verdict)


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in found["conditions"] if each["type"] == kind)


def with_ready(holds: bool | None, message: str = "no broker answered") -> Verdict:
    ready = replace(
        VERDICT.condition(ConditionType.READY), status=holds, reason=Reason.BROKERS_UNREACHABLE, message=message
    )
    return replace(VERDICT, conditions=(ready, *VERDICT.conditions[1:]))


def test_a_status_says_what_was_measured_and_decided() -> None:
    found = status()
    assert {key: value for key, value in found.items() if key not in ("conditions", "memory", "explanation")} == {
        "observedGeneration": 3,
        "currentReplicas": 5,
        "desiredReplicas": 6,
        "partitions": 12,
        "lag": {"records": 14742, "seconds": 61.2, "trend": "Growing"},
        "rates": {"arrival": 1200, "drain": 0.031, "capacityPerConsumer": 102},
        "backlog": "Behind",
        "lastScaleTime": "2026-11-23T06:58:59Z",
        "lastDecision": "Scaled from 5 to 6: 14742 records behind",
    }


def test_a_status_fits_its_own_schema() -> None:
    assert Status.model_validate(status()).lag is not None
    assert Status.model_validate(status_of_invalid("spec: bad", 1, {}, NOW)).backlog == "Unknown"


def test_memory_comes_back_from_the_status() -> None:
    assert memory_from_status(status(), NOW) == MEMORY


def test_what_is_unknown_is_left_out_and_never_zero() -> None:
    dark = replace(
        VERDICT,
        decision=Abstain(Reason.BROKERS_UNREACHABLE, "no broker answered"),
        measurements=DARK,
        memory=Memory(),
        backlog=Backlog.UNKNOWN,
    )
    kept = {"observedGeneration", "conditions", "backlog", "lastDecision", "explanation", "memory"}
    assert set(status(dark)) == kept
    assert set(status(dark)["explanation"]) == {"why", "otherwise"}


def test_a_hold_desires_the_number_it_holds() -> None:
    assert status(replace(VERDICT, decision=Hold(5, Reason.STABILIZING)))["desiredReplicas"] == 5


@pytest.mark.parametrize(
    ("arrival", "drain", "trend"),
    [
        (100.0, 90.0, "Growing"),
        (90.0, 100.0, "Shrinking"),
        (100.0, 95.0, "Steady"),
        (0.0, 0.0, "Steady"),
        (1.0, 0.0, "Growing"),
        (Unknown("one sample"), 5.0, None),
        (5.0, Unknown("one sample"), None),
    ],
)
def test_the_trend_compares_arrival_and_drain(
    arrival: float | Unknown, drain: float | Unknown, trend: str | None
) -> None:
    measured = replace(VERDICT.measurements, arrival=arrival, drain=drain)
    assert status(replace(VERDICT, measurements=measured))["lag"].get("trend") == trend


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [(0.0, "0"), (0.01234, "0.012"), (3.25, "3.2"), (59.96, "60"), (100.4, "100"), (1234567.8, "1234568")],
)
def test_seconds_are_rounded_to_what_a_person_reads(seconds: float, printed: str) -> None:
    measured = replace(VERDICT.measurements, lag_seconds=seconds)
    assert str(status(replace(VERDICT, measurements=measured))["lag"]["seconds"]) == printed


def test_a_condition_carries_reason_message_generation_and_time() -> None:
    assert condition(status(), "ScalingLimited") == {
        "type": "ScalingLimited",
        "status": "Unknown",
        "reason": "MetricsUnavailable",
        "message": "nothing was recommended",
        "observedGeneration": 3,
        "lastTransitionTime": AT_NOW,
    }


def test_the_transition_time_stays_while_the_status_of_a_condition_does() -> None:
    first = status()
    later = status(with_ready(True, "other words"), first, NOW + 60)
    assert condition(later, "Ready")["lastTransitionTime"] == AT_NOW
    assert condition(later, "Ready")["message"] == "other words"


def test_the_transition_time_moves_with_the_status_of_a_condition() -> None:
    later = status(with_ready(False), status(), NOW + 60)
    assert condition(later, "Ready")["lastTransitionTime"] == "2026-11-23T07:01:00Z"
    assert condition(later, "AbleToScale")["lastTransitionTime"] == AT_NOW


@pytest.mark.parametrize("junk", [None, 5, "yesterday", "2026-13-45T99:00:00Z", "2026-11-23T07:00:00Z\n"])
def test_a_transition_time_that_is_no_time_is_not_kept(junk: Any) -> None:
    previous = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": junk}], "lastScaleTime": junk}
    found = status(replace(VERDICT, memory=Memory()), previous)
    assert condition(found, "Ready")["lastTransitionTime"] == AT_NOW
    assert "lastScaleTime" not in found


def test_the_last_scale_time_outlives_the_memory_of_it() -> None:
    found = status(replace(VERDICT, memory=Memory()), {"lastScaleTime": "2026-11-20T00:00:00Z"})
    assert found["lastScaleTime"] == "2026-11-20T00:00:00Z"


def test_control_characters_in_messages_are_escaped() -> None:
    found = status(replace(with_ready(False, "group a\nb\x1b[31m"), message="x\r\ny\u2028z"))
    assert condition(found, "Ready")["message"] == r"group a\nb\x1b[31m"
    assert found["lastDecision"] == r"x\r\ny\u2028z"


def test_the_explanation_tells_why_limits_otherwise_partitions_and_advice() -> None:
    situation = replace(even(6, 350.0, age=12.0), hot=frozenset({TopicPartition("orders", 3)}))
    trail = (Limit(6, Reason.AT_MAX_REPLICAS, "maxReplicas 6"),)
    found = status(replace(VERDICT, situation=situation, trail=trail))["explanation"]
    assert list(found) == ["why", "limits", "otherwise", "partitions", "advice"]
    assert "the oldest 12 s old" in found["why"][0]
    assert found["limits"][0].startswith("9 wanted, 6 allowed: ")
    assert len(found["partitions"]) == 5
    numbers = {"lag": 350, "seconds": 12, "arrival": 29.2}
    assert found["partitions"][3] == {"partition": "orders/3", "note": "hot", **numbers}
    assert found["partitions"][0] == {"partition": "orders/0", **numbers}
    assert found["advice"][0] == {
        "about": "processing",
        "evidence": "one consumer does 100 records/s: 10 ms a record",
        "remedy": "if that is mostly waiting, process the records of a poll as one batch, or several at once "
                  "(asynchronously)",
        "gain": "in half the time a record, 2 instead of 4 consumers keep up",
    }


def test_what_an_explanation_does_not_know_or_have_is_left_out() -> None:
    partition = PartitionStanding(TopicPartition("orders", 3), 5, Unknown("one sample"), Unknown("one sample"))
    explanation = Explanation(("Because.",), partitions=(partition,), advice=(Advice("keys", "skew", "spread", ""),))
    assert explanation_as_status(explanation) == {
        "why": ["Because."],
        "partitions": [{"partition": "orders/3", "lag": 5}],
        "advice": [{"about": "keys", "evidence": "skew", "remedy": "spread"}],
    }


def test_an_explanation_is_bounded_and_on_single_lines() -> None:
    foreign = "x\x1b[31m\n" + "y" * 5000
    partition = PartitionStanding(TopicPartition(foreign, 3), 5, 1.0, 1.0)
    prose, advice = (foreign,) * 99, (Advice(foreign, foreign, foreign, foreign),) * 99
    long = Explanation(prose, prose, prose, prose, (partition,) * 99, advice)
    found = explanation_as_status(long)
    bounds = {"why": 30, "limits": 30, "upstream": 30, "otherwise": 30, "partitions": 5, "advice": 30}
    assert {name: len(each) for name, each in found.items()} == bounds
    told = [*found["why"], *found["advice"][0].values(), found["partitions"][0]["partition"]]
    assert all(text.startswith(r"x\x1b[31m\ny") and len(text) <= 1024 for text in told)
    assert ExplanationStatus.model_validate(found).why == found["why"]


def test_a_very_long_message_is_cut() -> None:
    assert len(status(replace(VERDICT, message="x" * 100_000))["lastDecision"]) == 1024


def test_an_invalid_spec_is_told_in_the_status_and_memory_stays() -> None:
    found = status_of_invalid("spec.maxReplicas: Field required", 4, status(), NOW + 60)
    assert condition(found, "Ready") == {
        "type": "Ready",
        "status": "False",
        "reason": "InvalidSpec",
        "message": "spec.maxReplicas: Field required",
        "observedGeneration": 4,
        "lastTransitionTime": "2026-11-23T07:01:00Z",
    }
    assert [each["status"] for each in found["conditions"]] == ["False", "Unknown", "Unknown", "Unknown"]
    assert found["lastDecision"] == "Nothing is changed: spec.maxReplicas: Field required"
    assert memory_from_status(found, NOW + 60) == MEMORY
    assert not {"lag", "rates", "currentReplicas", "desiredReplicas"} & set(found)


@given(st.dictionaries(st.sampled_from(["conditions", "memory", "lastScaleTime", "lag", "explanation"]), JSON))
def test_any_previous_status_gives_a_status_that_fits_the_schema(previous: dict[str, Any]) -> None:
    for found in (status_of(VERDICT, 1, previous, NOW), status_of_invalid("spec: bad", 1, previous, NOW)):
        assert Status.model_validate(found).observed_generation == 1
        assert same_meaning(found, previous) is False


def test_statuses_that_differ_in_their_explanation_mean_the_same() -> None:
    behind, more = (replace(VERDICT, situation=even(6, rate, age=12.0)) for rate in (350.0, 351.0))
    assert status(behind)["explanation"] != status(more)["explanation"]
    assert same_meaning(status(behind), status(more))


def test_statuses_that_differ_in_numbers_words_and_memory_mean_the_same() -> None:
    measured = replace(VERDICT.measurements, lag_records=1, lag_seconds=0.5, arrival=3.0, capacity_per_consumer=7.0)
    other = replace(with_ready(True), measurements=measured, message="other words")
    other = replace(other, memory=replace(MEMORY, highs=(), lows=()))
    reason = VERDICT.condition(ConditionType.READY).reason
    ready = replace(other.condition(ConditionType.READY), reason=reason)
    other = replace(other, conditions=(ready, *other.conditions[1:]))
    assert same_meaning(status(), status(other, status(), NOW + 30))


@pytest.mark.parametrize(
    "other",
    [
        with_ready(False),
        with_ready(True),
        replace(VERDICT, backlog=Backlog.DRAINING),
        replace(VERDICT, decision=Hold(5, Reason.STABILIZING)),
        replace(VERDICT, measurements=replace(VERDICT.measurements, replicas_current=6)),
        replace(VERDICT, measurements=replace(VERDICT.measurements, partitions=13)),
        replace(VERDICT, memory=MEMORY.with_scaled(5, 6, NOW)),
    ],
    ids=["condition", "reason", "backlog", "desired", "current", "partitions", "scaled"],
)
def test_statuses_that_differ_in_state_do_not_mean_the_same(other: Verdict) -> None:
    assert not same_meaning(status(), status(other))


SAFE = SafeRate(100.0, 20_000.0, 120.0, 6, "6 consumers of 20/s", is_learned=True)


def told(rate: SafeRate | Unknown) -> dict[str, Any]:
    return safe_rate_as_status(rate, NOW)


@pytest.mark.parametrize(("other", "is_another"), [
    (SAFE, False),
    (replace(SAFE, records=92.0, because="other words"), False),
    (replace(SAFE, records=88.0), True),
    (replace(SAFE, records=112.0), True),
    (replace(SAFE, records=0.0), True),
    (replace(SAFE, is_learned=False), True),
    (Unknown("no broker answered"), True),
], ids=["same", "near", "less", "more", "none", "bound", "unknown"])
def test_producers_hear_soon_of_a_safe_rate_that_differs_by_over_a_tenth_or_in_kind(
    other: SafeRate | Unknown, is_another: bool
) -> None:
    assert is_another_rate(told(SAFE), told(other)) is is_another


def test_a_group_without_a_safe_rate_has_no_other_one_and_a_first_one_is_news() -> None:
    assert not is_another_rate({}, {})
    assert is_another_rate({}, told(SAFE))
    assert is_another_rate({"safeRate": {"isLowerBound": False, "recordsPerSecond": "many"}}, told(SAFE))


def test_another_generation_does_not_mean_the_same() -> None:
    assert not same_meaning(status_of(VERDICT, 3, {}, NOW), status_of(VERDICT, 4, {}, NOW))


def test_the_stored_memory_names_its_version() -> None:
    assert memory_to_status(Memory()) == '{"version":1}'
