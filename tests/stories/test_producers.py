"""Stories of the whole loop: an overload comes and goes, and what is decided, remembered and said meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.explain import explain
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.simulation.ours import T0, KafkaConsumerScaler
from kafka_consumer_scaler.simulation.overloads import policy_of
from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.upstream import HeldPlant

POLICY = policy_of(with_loop=True)
LOADS = [300.0] * 300 + [2400.0] * 400 + [300.0] * 800
"""300 records/s, and from 300 s to 700 s twice what twelve consumers do."""


@cache
def told(policy: Policy = POLICY, replicas: int = 3) -> list[tuple[float, Verdict]]:
    """(at, verdict) of every look."""
    plant, scaler = HeldPlant(PlantSpec(initial_replicas=replicas), LOADS, 1), KafkaConsumerScaler(policy)
    for second in range(1, len(LOADS) + 1):
        plant.step()
        if second % 15 == 0:
            wanted = scaler.look(plant.observe())
            if wanted is not None:
                plant.scale(wanted)
            verdict = scaler.verdicts[-1][1]
            plant.hold(verdict.throttle if verdict.memory.throttling else None)
    return scaler.verdicts


def events(policy: Policy = POLICY) -> list[Reason]:
    return [event.reason for _, verdict in told(policy) for event in verdict.events]


def at_the_height(policy: Policy = POLICY) -> Verdict:
    return next(verdict for at, verdict in told(policy) if at == 600)


def test_it_is_said_once_that_producers_are_held_and_once_that_they_are_free() -> None:
    assert events().count(Reason.THROTTLING_PRODUCERS) == 1
    assert events().count(Reason.THROTTLE_RELEASED) == 1
    last = told()[-1][1]
    assert last.throttle is None
    assert last.memory.throttling is None


def test_while_they_are_held_replicas_are_counted_with_what_they_asked_for_and_the_sentence_says_so() -> None:
    verdict = at_the_height()
    assert verdict.decision.replicas == 12  # type: ignore[union-attr]
    assert verdict.measurements.arrival < 1300  # type: ignore[operator]
    assert "counted with 2,400 records/s asked for before" in verdict.message
    assert "producers are held to" in verdict.message


def test_the_finding_has_the_rate_the_floor_and_what_binds() -> None:
    found = next(each for each in at_the_height().findings if each.reason is Reason.THROTTLING_PRODUCERS)
    assert "at least 12,000: 12 replicas sustain 1,200 records/s" in found.evidence
    assert "records/s, and 1,081 while 72,104 records wait, to be back in 300 s" in found.evidence
    assert "; " not in found.evidence, "behind it stands the remedy"
    assert "partitions" in found.remedy


def test_the_explanation_tells_both_sides() -> None:
    explanation = explain(POLICY, at_the_height())
    assert any("useful" in each or "partitions give work" in each for each in explanation.limits)
    safe, held, asked = explanation.upstream
    assert "records/s are safe" in safe
    assert held.startswith("Producers are held to ")
    assert "on each broker for client id shop" in held
    assert "2,400 records/s were asked for before" in asked
    assert explain(POLICY, told()[0][1]).upstream == ()


def test_a_floor_over_what_is_sustained_is_told_with_what_to_lower() -> None:
    policy = replace(POLICY, quotas=(replace(POLICY.quotas[0], min_bytes_per_second=150_000),))
    found = next(each for each in at_the_height(policy).findings if each.reason is Reason.AT_QUOTA_FLOOR)
    assert "the floor is 150,000 bytes/s and the group sustains 120,000" in found.evidence
    assert "minBytesPerSecond" in found.remedy
    assert Reason.AT_QUOTA_FLOOR not in {each.reason for each in at_the_height().findings}


def test_a_resource_that_only_advises_says_what_it_would_hold_producers_to_and_holds_nobody() -> None:
    advisory = replace(POLICY, mode=Mode.ADVISORY)
    told_of = [verdict for _, verdict in told(advisory, replicas=12) if verdict.throttle is not None]
    assert told_of
    assert all("would be held to" in verdict.message for verdict in told_of)
    assert all(verdict.memory.throttling is None for _, verdict in told(advisory, replicas=12))
    assert not any(each.reason is Reason.THROTTLE_RELEASED for _, verdict in told(advisory, replicas=12)
                   for each in verdict.events)


def test_producers_stay_held_for_ten_minutes_of_blindness_and_no_longer() -> None:
    memory, blind = at_the_height().memory, Unknown("no broker answers")
    for seconds, is_held in ((15, True), (585, True), (600.5, False)):
        verdict = decide(POLICY, History(), Replicas(12, 12), memory, T0 + 600 + seconds)
        other = decide(POLICY, History(), blind, memory, T0 + 600 + seconds)
        assert (verdict.throttle is not None, other.throttle is not None) == (is_held, is_held)
        assert (Reason.THROTTLE_RELEASED in {event.reason for event in verdict.events}) is not is_held


def test_without_a_quota_in_the_resource_nothing_is_said_of_producers_but_what_would_be_safe() -> None:
    free = policy_of(with_loop=False)
    assert all(verdict.throttle is None for _, verdict in told(free))
    assert not {Reason.THROTTLING_PRODUCERS, Reason.THROTTLE_RELEASED, Reason.AT_QUOTA_FLOOR} & set(events(free))
    assert not any("producers" in verdict.message for _, verdict in told(free))
    assert "records/s are safe" in explain(free, at_the_height(free)).upstream[0]
