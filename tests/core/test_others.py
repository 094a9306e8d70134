"""Changes of the replicas by others: counted once each, a finding from the second one on, and no storm."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kafka_consumer_scaler.api.memory import memory_of, memory_to_status
from kafka_consumer_scaler.core.findings import findings_of
from kafka_consumer_scaler.core.membership import Unrest
from kafka_consumer_scaler.core.memory import KEEP_SCALES_SECONDS, SCALES_KEPT, Memory, OthersChange, Scaled
from kafka_consumer_scaler.core.others import replicas_changed_by_others, taken_away_by_others
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from tests.core.making import NOW, even

POLICY = Policy(max_replicas=12)
CALM = even(6, 300.0)
OURS = Memory(scales=(Scaled(NOW - 1000, 1, 4),))


def after(*changes: OthersChange) -> Memory:
    return replace(OURS, others=changes)


def test_a_number_that_is_ours_or_that_nothing_was_expected_of_is_no_change_by_others() -> None:
    assert OURS.with_replicas(4, "", NOW) == OURS
    assert Memory().with_replicas(7, "kubectl", NOW) == Memory()


def test_a_number_that_others_set_is_counted_once_with_who_set_it() -> None:
    seen = OURS.with_replicas(1, "argocd-controller", NOW)
    assert seen.others == (OthersChange(NOW, 4, 1, "argocd-controller"),)
    assert seen.with_replicas(1, "argocd-controller", NOW + 15) == seen


def test_after_our_own_change_the_same_number_of_others_counts_again() -> None:
    seen = OURS.with_replicas(1, "argocd", NOW).with_scaled(1, 4, NOW + 15).with_replicas(1, "argocd", NOW + 30)
    assert [(each.before, each.after) for each in seen.others] == [(4, 1), (4, 1)]
    assert [each.after for each in seen.scales] == [4, 4]


def test_the_newest_change_is_kept_for_as_long_as_it_is_what_is_expected() -> None:
    seen = OURS.with_replicas(1, "argocd", NOW)
    assert seen.with_replicas(1, "", NOW + 10 * KEEP_SCALES_SECONDS) == seen
    later = seen.with_replicas(2, "kubectl", NOW + 10 * KEEP_SCALES_SECONDS)
    assert [each.after for each in later.others] == [2]


def test_no_more_changes_are_kept_than_of_ours() -> None:
    memory = OURS
    for number in range(3 * SCALES_KEPT):
        memory = memory.with_replicas(number % 2, "", NOW + number)
    assert len(memory.others) == SCALES_KEPT


@pytest.mark.parametrize(("ages", "is_found"), [
    ((0,), False),
    ((180, 0), True),
    ((360, 180, 0), True),
    ((540, 360), True),
    ((541, 361), False),
    ((4000, 0), False),
])
def test_it_is_found_from_the_second_change_within_an_hour_until_two_gaps_have_passed_without_one(
    ages: tuple[int, ...], is_found: bool
) -> None:
    situation = replace(CALM, memory=after(*(OthersChange(NOW - age, 4, 1, "argocd") for age in ages)))
    assert (replicas_changed_by_others(POLICY, situation, ()) is not None) is is_found


def test_who_does_not_scale_has_nobody_undo_it() -> None:
    situation = replace(CALM, memory=after(OthersChange(NOW - 180, 4, 1), OthersChange(NOW, 4, 1)))
    for policy in (replace(POLICY, mode=Mode.ADVISORY), replace(POLICY, paused=True)):
        assert replicas_changed_by_others(policy, situation, ()) is None


def test_somebody_whose_name_could_not_be_learned_is_somebody_else() -> None:
    situation = replace(CALM, memory=after(OthersChange(NOW - 180, 4, 1), OthersChange(NOW, 4, 1)))
    found = replicas_changed_by_others(POLICY, situation, ())
    assert found is not None
    assert "from 4 to 1 by somebody else, 2 times" in found.evidence


def test_members_that_left_with_the_replicas_that_others_took_away_are_no_storm() -> None:
    restless = replace(CALM, unrest=Unrest(6, 0.0, 6))
    storm = {each.reason for each in findings_of(POLICY, restless, ())}
    assert Reason.REBALANCE_STORM in storm
    taken = replace(restless, memory=after(OthersChange(NOW - 180, 4, 1), OthersChange(NOW, 4, 1)))
    assert Reason.REBALANCE_STORM not in {each.reason for each in findings_of(POLICY, taken, ())}


def test_only_what_others_took_away_since_then_counts() -> None:
    memory = after(OthersChange(NOW - 500, 9, 1), OthersChange(NOW - 100, 4, 1), OthersChange(NOW, 1, 5))
    assert taken_away_by_others(memory, NOW - 300) == 3


def test_it_is_saved_and_restored() -> None:
    memory = after(OthersChange(NOW - 180, 4, 1, "argocd-controller"), OthersChange(NOW, 4, 1))
    assert memory_of(json.loads(memory_to_status(memory)), NOW).others == memory.others


@pytest.mark.parametrize("stored", [
    {"at": NOW, "before": 4, "after": -1}, {"before": 4, "after": 1}, {"at": "x", "before": 4, "after": 1}, 7, None,
])
def test_a_stored_change_that_makes_no_sense_is_dropped(stored: object) -> None:
    assert memory_of({"version": 1, "others": [stored]}, NOW).others == ()


def test_a_stored_name_is_one_line_and_one_that_is_no_text_is_unknown() -> None:
    entry = {"at": NOW, "before": 4, "after": 1}
    found = memory_of({"version": 1, "others": [entry | {"manager": "a\nb"}, entry | {"manager": 7}]}, NOW).others
    assert [each.manager.isprintable() for each in found] == [True, True]
    assert found[1].manager == ""
