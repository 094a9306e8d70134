"""Explanations: every reason has its words, every number is true, and what does not change is said alike."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import kafka_consumer_scaler
from kafka_consumer_scaler.core.advice import advise
from kafka_consumer_scaler.core.capacity import Capacity, Rates
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.explain import explain, partitions_behind
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory, Recommended, Scaled
from kafka_consumer_scaler.core.otherwise import _fallback_replicas
from kafka_consumer_scaler.core.policy import Fallback, FallbackBehavior, Policy, StepPolicy, StepUnit
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.spoken import BECAUSE, UNTIL, count, number, verb
from kafka_consumer_scaler.core.verdict import Abstain, Decision, Hold, ScaleTo
from tests.core.explaining import DARK, NOT_SEEN, POLICY, TPS, judged, said, told
from tests.core.making import NOW, even, history, known, members, seen, steady

NEVER_DECIDED = {
    Reason.SCALING_LIMITED, Reason.AT_MAX_REPLICAS, Reason.AT_MIN_REPLICAS, Reason.AT_PARTITION_LIMIT,
    Reason.NOT_LIMITED, Reason.PRODUCER_SPIKE, Reason.SLOW_CONSUMERS, Reason.NO_MEMBERS, Reason.REBALANCE_STORM,
    Reason.HUNG_TRANSACTION, Reason.OFFSETS_EXPIRING, Reason.HOT_PARTITION, Reason.STUCK_PARTITION,
    Reason.UNREAD_PARTITIONS,
    Reason.INEFFECTIVE_SCALING, Reason.RETENTION_RISK, Reason.RECORDS_LOST, Reason.TOPIC_RECREATED,
    Reason.BROKERS_SLOW, Reason.REPLICAS_NOT_JOINING, Reason.REPLICAS_CHANGED_BY_OTHERS, Reason.METRICS_RECOVERED,
    Reason.TARGET_FOUND, Reason.AS_EXPECTED, Reason.THROTTLING_PRODUCERS, Reason.AT_QUOTA_FLOOR,
    Reason.THROTTLE_RELEASED,
}
"""Limits, findings, and what only conditions and events tell."""
OF_QUOTAS = {Reason.QUOTA_CHANGED, Reason.QUOTA_NOT_PERMITTED, Reason.QUOTA_REFUSED, Reason.QUOTA_WITHOUT_EFFECT}
"""What keeps producers from being held back keeps nobody from scaling."""


# every reason


def test_every_reason_that_a_decision_may_carry_has_its_words() -> None:
    assert set(BECAUSE) == set(Reason) - NEVER_DECIDED - OF_QUOTAS
    with_numbers = {Reason.SCALED_UP, Reason.SCALED_DOWN, Reason.WITHIN_OBJECTIVE, Reason.STABILIZING,
                    Reason.COOLING_DOWN, Reason.STEP_LIMIT, Reason.STILL_BEHIND}
    assert set(UNTIL) == set(BECAUSE) - with_numbers


def test_every_reason_that_the_code_holds_or_does_not_know_by_has_its_words() -> None:
    root = Path(kafka_consumer_scaler.__file__).parent
    vetoes = (root / "core/stabilization.py").read_text()
    unknown = [path.read_text() for room in ("kafka", "kube", "control") for path in (root / room).glob("*.py")]
    used = set(re.findall(r"Reason\.([A-Z_]+)", vetoes))
    used |= {name for text in unknown for name in re.findall(r"Unknown\([^()]*Reason\.([A-Z_]+)", text)}
    assert len(used) > 15
    assert {Reason[name] for name in used} <= set(BECAUSE) | OF_QUOTAS


@pytest.mark.parametrize("reason", BECAUSE)
@pytest.mark.parametrize("kind", [ScaleTo, Hold, Abstain])
@pytest.mark.parametrize("situation", [DARK, even(6, 350.0)], ids=["dark", "seen"])
def test_the_reason_is_told_last_and_in_full_sentences(
    reason: Reason, kind: type[Decision], situation: Situation | Unknown
) -> None:
    decision = Abstain(reason, "so it is") if kind is Abstain else kind(4, reason)  # type: ignore[arg-type]
    verdict = replace(judged(even(6, 350.0)), decision=decision, situation=situation)
    found = explain(POLICY, verdict)
    assert BECAUSE[reason] in found.why[-1]
    sentences = [*found.why, *found.limits, *found.otherwise]
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in sentences)
    assert all(sentence.endswith(".") and ".." not in sentence for sentence in sentences)
    assert reason not in UNTIL or any(UNTIL[reason] in sentence for sentence in found.otherwise)


# why


def test_why_tells_lag_rates_capacity_and_what_the_replicas_keep_up_with() -> None:
    situation = replace(even(4, 350.0, age=12.0), rates=known(350.0, 100.0, drain=300.0, newest=420.0))
    assert told(situation).why == (
        "4,200 records lag on 12 partitions, the oldest 12 s old; the objective is 60 s.",
        "350 records/s arrive (420 of late) and 300 are processed: the lag grows by 50 a second.",
        "One consumer does 100 records/s, learned while consumers were busy.",
        "4 replicas keep up with 400 records/s.",
        "In 45 s, when more could help, the oldest record will be 12 s old.",
        "Held at 4: as many as are wanted. 4 replicas are wanted: 420 records/s to be ready for and a consumer does "
        "100.",
    )


def test_what_is_not_known_is_told_with_its_why() -> None:
    found = told(replace(even(4, 350.0, age=12.0), rates=known(NOT_SEEN, NOT_SEEN), age=NOT_SEEN)).why
    assert "of an age that is not known (not measured)" in found[0]
    assert found[1] == "What arrives is not known: not measured."
    assert found[2] == "What one consumer can do is not known: not measured."
    assert not any("keep up" in sentence for sentence in found)


@pytest.mark.parametrize(("drain", "trend"), [
    (300.0, "the lag grows by 50 a second"), (400.0, "the lag shrinks by 50 a second"), (340.0, "the lag is steady")])
def test_arrival_and_drain_tell_where_the_lag_goes(drain: float, trend: str) -> None:
    assert trend in told(replace(even(4, 350.0), rates=known(350.0, 100.0, drain=drain))).why[1]


@pytest.mark.parametrize(("newest", "late"), [(350.0, ""), (367.5, ""), (367.6, " (368 of late)")])
def test_what_arrives_of_late_is_told_where_it_is_a_twentieth_more(newest: float, late: str) -> None:
    found = told(replace(even(4, 350.0), rates=known(350.0, 100.0, drain=300.0, newest=newest))).why[1]
    assert found == f"350 records/s arrive{late} and 300 are processed: the lag grows by 50 a second."


def test_a_twentieth_of_the_larger_is_no_trend_yet() -> None:
    assert told(replace(even(4, 400.0), rates=known(400.0, 200.0, drain=380.0))).why[1].endswith("the lag is steady.")
    assert told(replace(even(4, 400.0), rates=known(400.0, 200.0, drain=379.9))).why[1].endswith("by 20 a second.")


def test_a_single_replica_keeps_up_too_and_a_share_that_is_kept_spare_is_told() -> None:
    assert said(told(even(1, 50.0)).why, "up with") == "1 replica keeps up with 100 records/s."
    spare = told(even(1, 50.0), replace(POLICY, utilization=0.8)).why
    assert said(spare, "up with") == "1 replica keeps up with 80 records/s, planned with 80% of what they can do."


def test_the_classic_rule_and_an_unknown_age_look_not_ahead() -> None:
    ahead = "when more could help"
    assert not any(ahead in each for each in told(even(4, 350.0), replace(POLICY, lag_per_replica=100)).why)
    unknown = replace(even(4, 350.0, age=12.0), ages=dict.fromkeys(TPS, NOT_SEEN))
    assert not any(ahead in each for each in told(unknown).why)


def test_the_oldest_record_ahead_is_that_of_partitions_that_can_be_helped() -> None:
    assert "the oldest record will be" in said(told(even(4, 350.0)).why, "when more could help")
    for trouble in ({"stuck": frozenset({TPS[0]})}, {"hot": frozenset({TPS[0]})}):
        found = told(replace(even(4, 350.0), **trouble))  # type: ignore[arg-type]
        assert "the oldest record of the other partitions will be" in said(found.why, "when more could help")


def test_consumers_that_are_still_missing_leave_the_partitions_to_those_that_are_there() -> None:
    """4 of 12 have joined and 30 s are left for it: 12 partitions of 50 records/s on 4 that do 100 each fall behind."""
    slow = replace(even(12, 600.0), group=members(4), memory=Memory(scales=(Scaled(NOW, 4, 12),)))
    assert said(told(slow).why, "when more could help") == (
        "In 45 s, when more could help, the oldest record will be 0 s old.")
    assert said(told(replace(slow, memory=Memory(), group=members(4))).why, "when more could help") == (
        "In 45 s, when more could help, the oldest record will be 15 s old.")


def test_who_is_held_at_the_most_is_told_so_and_who_is_held_by_a_rule_is_told_the_rule() -> None:
    assert told(even(12, 1300.0, age=60.0)).why[-1].startswith("Held at 12: as many as are allowed. ")
    cooling = replace(even(1, 350.0, age=30.0), memory=Memory(scales=(Scaled(NOW - 10, 2, 1),)))
    assert told(cooling).why[-1].startswith(f"Held at 1: {BECAUSE[Reason.COOLING_DOWN]}. 4 replicas are wanted: ")


def test_a_lower_bound_is_told_as_one() -> None:
    found = told(replace(even(4, 350.0), rates=known(350.0, 100.0, learned=False))).why
    assert found[2] == "One consumer does at least 100 records/s: a lower bound, as none was seen busy."
    assert said(found, "keep up") == "4 replicas keep up with at least 400 records/s."


def test_a_capacity_that_was_seen_busy_is_told_as_about() -> None:
    busy = replace(even(4, 350.0), rates=Rates(Arrival(350.0, 350.0), 350.0, Capacity(100.0, learned=False, busy=True)))
    assert told(busy).why[2:4] == (
        "One consumer does about 100 records/s, seen busy but not for a whole window yet.",
        "4 replicas keep up with 400 records/s.")


def test_nothing_is_told_of_a_rate_where_no_partition_can_be_helped() -> None:
    found = told(replace(even(4, 350.0, age=12.0), stuck=frozenset(TPS)))
    assert not any("up with" in sentence for sentence in (*found.why, *found.otherwise))


def test_what_was_probably_done_since_the_commits_is_told() -> None:
    situation = replace(even(4, 350.0, age=12.0), waiting=dict.fromkeys(TPS, 10.0))
    assert "about 120 of them still wait" in told(situation).why[0]


def test_no_lag_is_told_as_none() -> None:
    assert told(even(4, 350.0)).why[0] == "No record waits on 12 partitions; the objective is 60 s."


def test_findings_are_told_with_evidence_and_remedy_and_bounds_only_once() -> None:
    stuck = replace(even(4, 350.0, age=12.0), stuck=frozenset({TPS[0]}))
    assert said(told(stuck).why, "StuckPartition: ").startswith("StuckPartition: orders/0 not moving with 350 records")
    assert "without 1 partition that more consumers cannot help" in said(told(stuck).why, "keep up")
    bounded = told(even(12, 1300.0, age=60.0))
    assert not any("AtPartitionLimit" in sentence for sentence in bounded.why)
    assert said(bounded.limits, "partitions")


def test_a_write_that_was_refused_is_not_told_as_done() -> None:
    verdict = judged(even(1, 350.0, age=30.0))
    assert isinstance(verdict.decision, ScaleTo)
    assert explain(POLICY, verdict).why[-1].startswith("Scaled up from 1 to 4: more replicas are needed.")
    failed = explain(POLICY, verdict.with_failed_scaling(Unknown("quota exceeded", Reason.SCALE_FAILED)))
    assert failed.why[-1].startswith("Not scaled up from 1 to 4: Scaling failed: quota exceeded.")


# what is not known


def test_an_unknown_lag_is_told_with_what_would_make_it_known() -> None:
    verdict = decide(POLICY, history(seen(0, None, (5, 5))), Replicas(2, 2), Memory(), 1.0)
    found = explain(POLICY, verdict)
    assert found.why[0] == (
        "The lag is not known: 1 of 2 partitions unknown, first orders/0: the leader did not answer.")
    assert found.why[1].startswith("Nothing is changed, as a part of what must be known is not: 1 of 2 partitions")
    assert found.otherwise == (
        UNTIL[Reason.METRICS_PARTIAL],
        "A spec.fallback would name replicas to go to after so many polls in a row without a usable sample.")
    assert (found.limits, found.partitions, found.advice) == ((), (), ())


@pytest.mark.parametrize(("behavior", "words"), [
    (FallbackBehavior.CURRENT_REPLICAS, "the present number of replicas"),
    (FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER, "at least 5 replicas"),
    (FallbackBehavior.CURRENT_REPLICAS_IF_LOWER, "at most 5 replicas"),
])
def test_a_fallback_is_told_with_how_it_looks_at_the_present_replicas(behavior: FallbackBehavior, words: str) -> None:
    assert _fallback_replicas(Fallback(2, 5, behavior)) == words


def test_a_fallback_is_told_before_and_when_it_is_taken() -> None:
    policy = replace(POLICY, fallback=Fallback(failure_threshold=2, replicas=5))
    once = history(seen(0, None))
    before = explain(policy, decide(policy, once, Replicas(2, 2), Memory(), 1.0))
    assert before.otherwise[-1] == (
        "After 2 polls in a row without a usable sample the fallback is taken: 5 replicas.")
    then = explain(policy, decide(policy, once.append(seen(15, None)), Replicas(2, 2), Memory(), 16.0))
    assert then.why[-1].startswith("Scaled up from 2 to 5: nothing usable was read for too long")
    assert then.otherwise[0] == UNTIL[Reason.FALLBACK]


def test_an_unknown_target_is_told_and_no_replicas_are_made_up() -> None:
    gone = Unknown("Deployment orders does not exist", Reason.TARGET_NOT_FOUND)
    found = explain(POLICY, decide(POLICY, steady(range(0, 90, 15), 10, 10), gone, Memory(), 75.0))
    assert found.why[-1] == (
        "Nothing is changed, as the target does not exist: Deployment orders does not exist.")
    assert found.otherwise == (UNTIL[Reason.TARGET_NOT_FOUND],)
    assert not any("replica" in sentence for sentence in found.why)


def test_both_that_lag_and_target_are_unknown_are_told() -> None:
    gone = Unknown("Deployment orders does not exist", Reason.TARGET_NOT_FOUND)
    found = explain(POLICY, decide(POLICY, history(seen(0, None)), gone, Memory(), 1.0))
    assert found.otherwise == (UNTIL[Reason.TARGET_NOT_FOUND], UNTIL[Reason.METRICS_PARTIAL])


# limits


def test_each_limit_tells_from_what_to_what_and_whose_setting_it_is() -> None:
    policy = replace(POLICY, max_replicas=8)
    assert told(even(1, 1300.0, age=60.0), policy).limits == (
        "23 wanted, 12 allowed: the partitions give work to no more than 12 replicas; the topic's owner may add "
        "partitions.",
        "12 wanted, 8 allowed: spec.maxReplicas is 8; raise it to allow more.",
        "8 wanted, 6 allowed: as fast as 8, as partitions divide; a spec.maxReplicas that divides them evenly would be "
        "used whole.")


def test_the_least_replicas_are_told_as_a_limit() -> None:
    found = told(replace(even(6, 100.0), memory=Memory()), replace(POLICY, min_replicas=3))
    assert found.limits == ("1 wanted, 3 allowed: spec.minReplicas is 3; lower it to allow fewer.",)


def test_a_window_and_steps_are_told_with_their_direction() -> None:
    steps = replace(POLICY.scale_up, policies=(StepPolicy(StepUnit.PODS, 2, 60),))
    found = told(even(1, 350.0, age=30.0), replace(POLICY, scale_up=steps))
    assert found.limits == (
        "4 wanted, 3 allowed: behavior policies of spec.behavior.scaleUp allow no larger step; change its policies or "
        "selectPolicy.",)
    spent = replace(steps, policies=(StepPolicy(StepUnit.PODS, 2, 60),), cooldown_seconds=0)
    held = replace(even(3, 900.0, age=30.0), memory=Memory(scales=(Scaled(NOW - 20, 1, 3),)))
    assert "of spec.behavior.scaleUp allow no larger step" in told(held, replace(POLICY, scale_up=spent)).limits[-1]
    classic = replace(POLICY, lag_per_replica=1000)
    memory = Memory(highs=(Recommended(NOW - 100, 4),))
    found = told(replace(even(6, 10.0), memory=memory), classic)
    assert found.limits == (
        "1 wanted, 4 allowed: the most wanted within 300 s; shorten "
        "spec.behavior.scaleDown.stabilizationWindowSeconds to follow sooner.",)


# partitions and advice


def test_five_partitions_with_most_lag_are_shown_with_their_notes() -> None:
    lag = {tp: 100 * index for index, tp in enumerate(TPS)}
    situation = replace(even(6, 120.0), lag=lag, hot=frozenset({TPS[11]}), stuck=frozenset({TPS[9]}),
                        ages=dict.fromkeys(TPS, 3.0) | {TPS[8]: NOT_SEEN})
    shown = partitions_behind(situation)
    assert [(str(each.partition), each.lag, each.note) for each in shown] == [
        ("orders/11", 1100, "hot"), ("orders/10", 1000, ""), ("orders/9", 900, "stuck"), ("orders/8", 800, ""),
        ("orders/7", 700, "")]
    assert [each.arrival for each in shown] == [10.0] * 5
    assert [each.seconds for each in shown] == [3.0, 3.0, 3.0, NOT_SEEN, 3.0]


def test_partitions_without_lag_are_not_shown() -> None:
    assert partitions_behind(even(6, 120.0)) == ()
    assert [each.note for each in partitions_behind(replace(even(6, 120.0), hot=frozenset({TPS[4]})))] == ["hot"]


def test_a_single_record_of_lag_is_shown_and_a_partition_of_which_no_share_is_known_gets_nothing() -> None:
    (shown,) = partitions_behind(replace(even(6, 120.0), lag=dict.fromkeys(TPS, 0) | {TPS[7]: 1}, shares={}))
    assert (shown.partition, shown.lag, shown.arrival) == (TPS[7], 1, 0.0)


def test_the_partitions_are_told_with_the_rest() -> None:
    situation = even(4, 350.0, age=12.0)
    assert told(situation).partitions == partitions_behind(situation) != ()


def test_the_advice_is_that_of_the_situation() -> None:
    situation = even(6, 350.0)
    assert told(situation).advice == advise(POLICY, situation) != ()


# nothing new, nothing said


@pytest.mark.parametrize("policy", [
    POLICY, replace(POLICY, min_replicas=0), replace(POLICY, lag_per_replica=100), replace(POLICY, min_replicas=3)])
@pytest.mark.parametrize("rate", [0, 20])
def test_a_steady_group_without_news_is_explained_in_the_same_words_at_every_poll(policy: Policy, rate: int) -> None:
    """Three quarters of an hour of polls, each scaling carried out; the last quarter says one and the same."""
    found, current, memory, watched = [], max(1, policy.min_replicas), Memory(), History()
    for at in range(0, 2700, 15):
        watched = watched.append(seen(at, *[(1000 + rate * at, 1000 + rate * at)] * 2))
        verdict = decide(policy, watched, Replicas(current, current), memory, float(at))
        memory = verdict.memory
        if isinstance(verdict.decision, ScaleTo):
            memory = verdict.memory_after_scaling(current, float(at))
            current = verdict.decision.replicas
        found.append(explain(policy, verdict))
    assert len(set(found[-60:])) == 1


# words


@pytest.mark.parametrize(("value", "words"), [
    (0.0, "0"), (0.0312, "0.031"), (4.25, "4.2"), (9.0, "9"), (12.4, "12"), (1234.5, "1,234")])
def test_numbers_are_rounded_to_what_a_person_reads(value: float, words: str) -> None:
    assert number(value) == words


def test_one_is_told_in_the_singular() -> None:
    assert (count(1, "replica"), count(2, "replica")) == ("1 replica", "2 replicas")
    assert [verb(1, word) for word in ("keep", "are", "do")] == ["keeps", "is", "does"]
    assert verb(2, "are") == "are"
