"""Laws of the explanation, for any history that a broker could make up."""

from __future__ import annotations

import json
import re

from hypothesis import given

from kafka_consumer_scaler.api.status import ExplanationStatus, explanation_as_status
from kafka_consumer_scaler.core.explain import PARTITIONS_SHOWN, explain
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from tests.properties.test_decide import histories, judge, memories, policies, replicas

NO_PROSE = re.compile(r"\b(nan|inf|None|Unknown\()|  |\.\.|-\d+ (s|records)\b")
"""Marks of a value that was printed and not told, and of time or records below nothing."""


@given(policies(), histories(), replicas, memories)
def test_every_verdict_is_told_in_prose_with_numbers_that_are_known(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    found = explain(policy, judge(policy, history, current, memory))
    assert found.why
    assert [text for text in (*found.why, *found.limits, *found.otherwise) if NO_PROSE.search(text)] == []
    assert [each for each in found.advice if NO_PROSE.search(f"{each.evidence} {each.remedy} {each.gain}")] == []
    assert all(each.about and each.evidence and each.remedy for each in found.advice)


@given(policies(), histories(), replicas, memories)
def test_every_explanation_fits_the_status_and_is_the_same_twice(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    verdict = judge(policy, history, current, memory)
    found = explain(policy, verdict)
    assert explain(policy, verdict) == found
    stored = json.loads(json.dumps(explanation_as_status(found), allow_nan=False))
    assert ExplanationStatus.model_validate(stored).why == stored["why"]


@given(policies(), histories(), replicas, memories)
def test_the_partitions_shown_are_those_with_most_lag(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    verdict = judge(policy, history, current, memory)
    shown = explain(policy, verdict).partitions
    assert len(shown) <= PARTITIONS_SHOWN
    if not isinstance(verdict.situation, Unknown):
        lag = verdict.situation.lag
        assert [each.lag for each in shown] == sorted((lag[each.partition] for each in shown), reverse=True)
        others = [lag[tp] for tp in lag if tp not in {each.partition for each in shown}]
        assert all(each.lag >= max(others, default=0) for each in shown) or not others
