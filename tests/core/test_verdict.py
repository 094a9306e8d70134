"""Conditions and events by themselves: what each look adds, withdraws and does not say again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.diagnosis import Backlog, Finding
from kafka_consumer_scaler.core.memory import Memory, Scaled
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.verdict import (
    Abstain,
    Condition,
    ConditionType,
    Event,
    Hold,
    ScaleTo,
    Verdict,
    complaints,
    condition_of,
    conditions_of,
)
from tests.core.explaining import POLICY, empty
from tests.core.making import NOW

DARK = Unknown("no broker answered", Reason.BROKERS_UNREACHABLE)
GONE = Unknown("there is no Deployment", Reason.TARGET_NOT_FOUND)
FIRST = Unknown("no sample yet", Reason.WAITING_FOR_FIRST_SAMPLE)
HOT = Finding(Reason.HOT_PARTITION, "one gets most", "spread the keys")
PARTITIONS = Finding(Reason.AT_PARTITION_LIMIT, "12 useful", "add partitions")
MOST = Finding(Reason.AT_MAX_REPLICAS, "8 allowed", "raise maxReplicas")
READY = Condition(ConditionType.READY, True, Reason.AS_EXPECTED, "lag is watched and the target follows it")
AVAILABLE = Condition(ConditionType.METRICS_AVAILABLE, True, Reason.AS_EXPECTED, "every partition's lag is known")
ABLE = Condition(ConditionType.ABLE_TO_SCALE, True, Reason.AS_EXPECTED, "the target's scale subresource is readable")
UNLIMITED = Condition(ConditionType.SCALING_LIMITED, False, Reason.NOT_LIMITED,
                      "as many as are allowed suffice, or more would not help")
NOT_JUDGED = Condition(ConditionType.SCALING_LIMITED, None, Reason.METRICS_UNAVAILABLE, "nothing was recommended")


def unlike(condition: Condition, problem: Unknown, status: bool | None = False) -> Condition:
    return replace(condition, status=status, reason=problem.reason, message=problem.why)


# conditions

@pytest.mark.parametrize(("metrics", "target", "expected"), [
    (None, None, (READY, AVAILABLE, ABLE)),
    (DARK, None, (unlike(READY, DARK), unlike(AVAILABLE, DARK), ABLE)),
    (FIRST, None, (unlike(READY, FIRST, None), unlike(AVAILABLE, FIRST, None), ABLE)),
    (None, GONE, (unlike(READY, GONE), AVAILABLE, unlike(ABLE, GONE))),
    (DARK, GONE, (unlike(READY, GONE), unlike(AVAILABLE, DARK), unlike(ABLE, GONE))),
])
def test_what_is_unknown_is_a_condition_and_the_target_comes_first_in_ready(
    metrics: Unknown | None, target: Unknown | None, expected: tuple[Condition, ...]
) -> None:
    assert conditions_of(POLICY, metrics, target, (), True) == (*expected, UNLIMITED)
    assert conditions_of(POLICY, metrics, target, (), False) == (*expected, NOT_JUDGED)


@pytest.mark.parametrize(("policy", "reason", "message"), [
    (replace(POLICY, paused=True), Reason.PAUSED, "paused: lag is watched, nothing is changed"),
    (replace(POLICY, mode=Mode.ADVISORY), Reason.ADVISORY, "advisory: decisions are reported, nothing is changed"),
    (replace(POLICY, paused=True, mode=Mode.ADVISORY), Reason.PAUSED, "paused: lag is watched, nothing is changed"),
])
def test_ready_tells_that_nothing_is_changed_where_all_is_well(policy: Policy, reason: Reason, message: str) -> None:
    assert conditions_of(policy, None, None, (), True)[0] == Condition(ConditionType.READY, True, reason, message)
    assert conditions_of(policy, DARK, None, (), True)[0] == unlike(READY, DARK)


@pytest.mark.parametrize(("findings", "limited"), [
    ((HOT,), UNLIMITED),
    ((PARTITIONS,), Condition(ConditionType.SCALING_LIMITED, True, Reason.AT_PARTITION_LIMIT,
                              "12 useful; add partitions")),
    ((PARTITIONS, MOST, HOT), Condition(ConditionType.SCALING_LIMITED, True, Reason.AT_MAX_REPLICAS,
                                        "8 allowed; raise maxReplicas")),
])
def test_findings_are_conditions_and_the_last_bound_is_the_limit(
    findings: tuple[Finding, ...], limited: Condition
) -> None:
    told = conditions_of(POLICY, None, None, findings, True)
    assert told == (READY, AVAILABLE, ABLE, limited, *map(condition_of, findings))
    assert condition_of(HOT) == Condition(Reason.HOT_PARTITION, True, Reason.HOT_PARTITION,
                                          "one gets most; spread the keys")


# events

UNAVAILABLE = Event(Reason.METRICS_UNAVAILABLE, "Nothing is changed: no broker answered", warning=True)
MISSING = Event(Reason.TARGET_NOT_FOUND, "Nothing is changed: there is no Deployment", warning=True)
RECOVERED = Event(Reason.METRICS_RECOVERED, "Every partition's lag is known again: lag 7")
FOUND = Event(Reason.TARGET_FOUND, "The target can be scaled again")
LIMITED = Event(Reason.SCALING_LIMITED, "12 useful; add partitions", warning=True)
SPREAD = Event(Reason.HOT_PARTITION, "one gets most; spread the keys", warning=True)
NO_METRICS, LIMIT = Reason.METRICS_UNAVAILABLE, Reason.SCALING_LIMITED
Said = tuple[Reason, ...]


@pytest.mark.parametrize(("metrics", "target", "findings", "said", "behind", "blip", "events", "then"), [
    (None, None, (), (), False, False, (), ()),
    # metrics: said once, not for a blip, and withdrawn once
    (DARK, None, (), (), False, False, (UNAVAILABLE,), (NO_METRICS,)),
    (DARK, None, (), (NO_METRICS,), False, False, (), (NO_METRICS,)),
    (DARK, None, (), (), False, True, (), ()),
    (DARK, None, (), (NO_METRICS,), False, True, (), (NO_METRICS,)),
    (FIRST, None, (), (), False, False, (), ()),
    (FIRST, None, (), (NO_METRICS,), False, False, (), ()),
    (None, None, (), (NO_METRICS,), False, False, (RECOVERED,), ()),
    # the target
    (None, GONE, (), (), False, False, (MISSING,), (Reason.TARGET_NOT_FOUND,)),
    (None, GONE, (), (Reason.TARGET_NOT_FOUND,), False, False, (), (Reason.TARGET_NOT_FOUND,)),
    (None, None, (), (Reason.TARGET_NOT_FOUND,), False, False, (FOUND,), ()),
    (None, None, (), (Reason.TARGET_CONFLICT, Reason.TARGET_FORBIDDEN), False, False, (FOUND,), ()),
    # a limit is withdrawn once the group has caught up
    (None, None, (PARTITIONS,), (), True, False, (LIMITED,), (LIMIT,)),
    (None, None, (PARTITIONS,), (LIMIT,), False, False, (), (LIMIT,)),
    (None, None, (), (LIMIT,), True, False, (), (LIMIT,)),
    (None, None, (), (LIMIT,), False, False, (), ()),
    # findings that come and go in one backlog are said once
    (None, None, (HOT,), (), True, False, (SPREAD,), (Reason.HOT_PARTITION,)),
    (None, None, (HOT,), (Reason.HOT_PARTITION,), True, False, (), (Reason.HOT_PARTITION,)),
    (None, None, (), (Reason.HOT_PARTITION,), True, False, (), (Reason.HOT_PARTITION,)),
    (None, None, (), (Reason.HOT_PARTITION,), False, False, (), ()),
    (DARK, None, (), (Reason.HOT_PARTITION, NO_METRICS), False, False, (), (Reason.HOT_PARTITION, NO_METRICS)),
    (None, None, (), (Reason.TOPIC_RECREATED,), True, False, (), ()),
    # a failed write is withdrawn by one that succeeds
    (None, None, (), (Reason.SCALE_FAILED,), False, False, (), (Reason.SCALE_FAILED,)),
    # all at once, in this order
    (DARK, GONE, (PARTITIONS, HOT), (), True, False, (UNAVAILABLE, MISSING, LIMITED, SPREAD),
     (NO_METRICS, Reason.TARGET_NOT_FOUND, LIMIT, Reason.HOT_PARTITION)),
    (None, None, (), (NO_METRICS, Reason.TARGET_NOT_FOUND), False, False, (RECOVERED, FOUND), ()),
])
def test_an_event_marks_a_change_and_not_a_state(
    metrics: Unknown | None, target: Unknown | None, findings: tuple[Finding, ...], said: Said, behind: bool,
    blip: bool, events: tuple[Event, ...], then: Said
) -> None:
    conditions = conditions_of(POLICY, metrics, target, findings, True)
    assert complaints(conditions, findings, "lag 7", frozenset(said), behind, blip) == (events, frozenset(then))


def test_a_limit_is_not_withdrawn_while_nothing_was_judged() -> None:
    conditions = conditions_of(POLICY, None, None, (), False)
    assert complaints(conditions, (), "", frozenset({LIMIT}), False, False) == ((), frozenset({LIMIT}))


# what becomes of a decision

def verdict(decision: ScaleTo | Hold | Abstain, memory: Memory) -> Verdict:
    """With a backlog of which all is known."""
    announced = Event(Reason.SCALED_UP, "Scaled up") if isinstance(decision, ScaleTo) else None
    conditions = conditions_of(POLICY, None, None, (HOT,), True)
    return replace(empty(), decision=decision, memory=memory, conditions=conditions, events=(SPREAD,),
                   announcement=announced, backlog=Backlog.BEHIND, busy_drain=250.0)


def test_a_refused_write_is_said_once_and_shown_for_as_long_as_it_lasts() -> None:
    refused = Unknown("exceeded quota", Reason.SCALE_FAILED)
    failed = Event(Reason.SCALE_FAILED, "Scaling failed: exceeded quota", warning=True)
    tried = verdict(ScaleTo(6, Reason.SCALED_UP), Memory(said=frozenset({Reason.HOT_PARTITION})))
    first = tried.with_failed_scaling(refused)
    said = frozenset({Reason.HOT_PARTITION, Reason.SCALE_FAILED})
    shown = Unknown("Scaling failed: exceeded quota", Reason.SCALE_FAILED)
    assert first == replace(
        tried, conditions=(unlike(READY, shown), AVAILABLE, unlike(ABLE, shown), UNLIMITED, condition_of(HOT)),
        memory=Memory(said=said), events=(SPREAD, failed), announcement=None, message="Scaling failed: exceeded quota")
    again = replace(tried, memory=Memory(said=said)).with_failed_scaling(refused)
    assert again == replace(first, events=(SPREAD,))


def test_only_what_was_carried_out_is_remembered_and_a_trial_by_what_was_done_before() -> None:
    said = frozenset({Reason.SCALE_FAILED, Reason.HOT_PARTITION})
    scaled = verdict(ScaleTo(6, Reason.SCALED_UP), Memory(said=said)).memory_after_scaling(3, NOW)
    assert scaled.scales == (Scaled(NOW, 3, 6),)
    assert scaled.said == {Reason.HOT_PARTITION}
    assert scaled.trial is not None
    assert (scaled.trial.before, scaled.trial.after, scaled.trial.drain) == (3, 6, 250.0)
    held = verdict(Hold(6, Reason.ADVISORY), Memory()).memory_after_scaling(3, NOW)
    assert (held.scales, held.trial) == ((Scaled(NOW, 3, 3),), None)


def test_a_condition_is_found_by_its_type() -> None:
    told = verdict(Hold(6, Reason.WITHIN_OBJECTIVE), Memory())
    assert told.condition(ConditionType.ABLE_TO_SCALE) == ABLE
    assert told.condition(ConditionType.SCALING_LIMITED) == UNLIMITED
