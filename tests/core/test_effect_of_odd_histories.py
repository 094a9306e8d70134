"""What changes taught when polls are rare, commits are new, or the drain is uneven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.effect import after_scaling, kept_capacity, learned
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Awaited, Ineffective, Memory, Scaled, Trial
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Replicas, Snapshot, Unknown
from tests.core.making import NOW, even, history, members, seen

EARLIEST = Policy(max_replicas=12, offset_reset=OffsetReset.EARLIEST)


def at_rates(*rates: float, step: int, consumers: int, uncommitted: int = 0) -> History:
    """12 partitions, so many records/s drained by all together for a step each; the first ones not yet committed."""
    done, rows = 50_000.0, list[Snapshot]()
    for index in range(len(rates) + 1):
        commit = None if index < uncommitted else round(done)
        rows.append(seen(NOW - step * (len(rates) - index), *[(150_000, commit)] * 12, start=round(done),
                         group=members(consumers)))
        done += rates[index] * step / 12 if index < len(rates) else 0.0
    return history(*rows)


def behind(replicas: int, memory: Memory) -> Situation:
    return replace(even(replicas, 900.0, 100.0), memory=memory, backlog=Backlog.BEHIND, group=members(replicas))


def judged(found: History, before: int = 6, after: int = 12) -> Memory:
    trial = Trial(NOW - 200, before, after, 300.0, joined_at=NOW - 60)
    return learned(EARLIEST, found, behind(after, Memory(trial=trial, capacity=Capacity(50.0, learned=True))))


@pytest.mark.parametrize(("rates", "is_judged"), [
    ((200, 100, 60, 140), True),
    ((100, 100, 100, 100), True),
    ((100, 100, 60, 60), False),
])
def test_the_drain_is_even_when_both_halves_of_the_last_minute_are(rates: tuple[float, ...], is_judged: bool) -> None:
    """Four looks within 60 s: the first 20 s against the last 40 s; what was before counts for nothing."""
    assert (judged(at_rates(*rates, step=20, consumers=12)).ineffective is not None) is is_judged


@pytest.mark.parametrize(("second", "is_judged"), [(288.0, True), (312.0, False)])
def test_halves_that_differ_by_more_than_a_quarter_are_uneven(second: float, is_judged: bool) -> None:
    found = at_rates(*[240.0] * 3, *[second] * 3, step=10, consumers=12)
    assert (judged(found).ineffective is not None) is is_judged


def test_a_first_commit_within_the_window_is_judged_from_where_the_reset_begins() -> None:
    found = judged(at_rates(*[300.0] * 6, step=10, consumers=12, uncommitted=1)).ineffective
    assert found is not None
    assert found.drained == pytest.approx(300.0, abs=2.0)


def test_what_was_promised_is_told_by_the_busiest_consumer() -> None:
    """Four partitions each by 3, two by 6: twice as much, so with 330 fewer are kept, and with 420 all of them."""
    kept = judged(at_rates(*[332.0] * 6, step=10, consumers=6), before=3, after=6).ineffective
    assert kept is not None
    assert kept.replicas == 4
    assert judged(at_rates(*[424.0] * 6, step=10, consumers=6), before=3, after=6).ineffective is None
    found = judged(at_rates(*[326.0] * 6, step=10, consumers=6), before=3, after=6)
    assert found.ineffective is not None
    assert found.ineffective.replicas == 3
    assert found.capacity == Capacity(50.0, learned=True)


def regretted(drained: float, ago: float, uncommitted: int = 0) -> bool:
    memory = Memory(ineffective=Ineffective(2, NOW + 500, 1, 4, 170.0, 172.0)).with_scaled(4, 2, NOW - ago)
    found = at_rates(*[drained] * 6, step=10, consumers=2, uncommitted=uncommitted)
    return learned(EARLIEST, found, behind(2, memory)).ineffective is None


def test_a_withdrawal_of_just_now_is_not_yet_regretted() -> None:
    assert not regretted(86.4, ago=1.0)


def test_a_withdrawal_is_judged_from_where_the_reset_begins() -> None:
    assert not regretted(170.4, ago=65.0, uncommitted=1)


def paused(first: Snapshot, last: Snapshot, scaled_at: float, trial: Trial) -> float | None:
    memory = Memory(awaited=Awaited(scaled_at), trial=trial)
    return learned(EARLIEST, history(seen(NOW - 60, *[(90_000, 0)] * 12), first, last), behind(6, memory)).pause_seconds


def looks(processed: int, commit: int | None = 0) -> tuple[Snapshot, Snapshot]:
    return (seen(NOW - 30, *[(90_000, commit)] * 12),
            seen(NOW, *[(90_000, processed // 12)] * 12, group=members(6)))


def test_a_pause_counts_from_the_look_at_which_the_change_was_made() -> None:
    assert paused(*looks(6600), NOW - 30, Trial(NOW - 30, 3, 6, 300.0)) == pytest.approx(8.0)


def test_a_pause_counts_a_first_commit_from_where_the_reset_begins() -> None:
    assert paused(*looks(6600, commit=None), NOW - 25, Trial(NOW - 25, 3, 6, 300.0)) == pytest.approx(8.0)


def test_a_slow_group_has_a_pause_too() -> None:
    assert paused(*looks(12), NOW - 25, Trial(NOW - 25, 3, 6, 1.0)) == pytest.approx(18.0)


def test_the_pause_of_another_change_or_before_the_first_look_is_unknown() -> None:
    assert paused(*looks(6600), NOW - 25, Trial(NOW - 99, 3, 6, 300.0)) is None
    assert paused(*looks(6600), NOW - 99, Trial(NOW - 99, 3, 6, 300.0)) is None


def test_a_change_is_remembered_with_its_numbers() -> None:
    assert after_scaling(Memory(), 3, 6, NOW, None).last_scale == Scaled(NOW, 3, 6)


def test_the_same_capacity_is_taken_with_what_is_known_of_it_now() -> None:
    before = Memory(capacity=Capacity(60.0, learned=False), trial=Trial(NOW, 3, 6, 300.0))
    assert kept_capacity(before, Capacity(60.0, learned=True)) == Capacity(60.0, learned=True)


AT_REST = history(seen(NOW, *[(100, 100)] * 12))


def members_left(joined: int, existing: int = 6, state: str = "Stable") -> Awaited | None:
    group = replace(members(joined), state=state)
    left = replace(behind(6, Memory()), group=group, replicas=Replicas(6, existing))
    return learned(EARLIEST, AT_REST, left).awaited


def test_members_that_leave_while_their_replicas_exist_are_awaited() -> None:
    assert members_left(5) == Awaited(NOW, lost=True)
    assert members_left(6) is None
    assert members_left(5, existing=5) is None, "a rollout"
    assert members_left(5, state="PreparingRebalance") is None
    unknown = replace(behind(6, Memory()), group=Unknown("no coordinator"))
    assert learned(EARLIEST, AT_REST, unknown).awaited is None


def test_members_that_come_back_tell_nothing_of_joining() -> None:
    lost = Memory(awaited=Awaited(NOW - 30, lost=True))
    found = learned(EARLIEST, AT_REST, behind(6, lost))
    assert (found.awaited, found.join_seconds, found.pause_seconds) == (None, None, None)


@pytest.mark.parametrize("step", [15, 30, 31, 45, 60, 90])
def test_a_bound_downstream_is_found_at_any_polling_interval(step: int) -> None:
    found = judged(at_rates(*[300.0] * 6, step=step, consumers=12))
    assert found.trial is None
    assert found.ineffective is not None
    assert (found.ineffective.replicas, found.ineffective.tried) == (6, 12)
