"""What changes taught, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.effect import (
    after_scaling,
    expected_members,
    is_bound_downstream,
    kept_capacity,
    learned,
    not_joining_seconds,
)
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Awaited, Ineffective, Memory, Scaled, TakenBack, Trial
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Member, Replicas, Unknown
from tests.core.making import NOW, even, history, known, members, orders, seen

POLICY = Policy(max_replicas=12)


def draining(consumers: int, total: float, seconds: int = 70, behind: int = 50_000) -> History:
    """12 partitions on so many busy consumers, `total` records/s drained by all together, a sample every 10 s."""
    return history(*(
        seen(NOW - ago, *[(behind + 100_000, 50_000 - round(total / 12 * ago))] * 12, group=members(consumers))
        for ago in range(seconds, -1, -10)))


def behind(replicas: int, memory: Memory, joined: int | None = None) -> Situation:
    count = replicas if joined is None else joined
    return replace(even(replicas, 900.0, 100.0), memory=memory, backlog=Backlog.BEHIND, group=members(count))


QUIET = draining(6, 0.0)


def taught(situation: Situation, found: History = QUIET) -> Memory:
    return learned(POLICY, found, situation)


# joining

def test_expected_members_are_those_that_can_have_a_partition() -> None:
    assert expected_members(even(4, 0.0)) == 4
    assert expected_members(replace(even(4, 0.0), replicas=Replicas(15, 15))) == 12
    situation = even(4, 0.0)
    assert expected_members(replace(situation, spread=replace(situation.spread, threads=3, foreign=2))) == 12


def test_joining_took_until_between_the_last_look_without_and_the_first_with_them() -> None:
    memory = taught(behind(6, Memory(awaited=Awaited(NOW - 30, missing_at=NOW - 10))))
    assert (memory.join_seconds, memory.awaited) == (25.0, None)
    assert taught(behind(6, Memory(awaited=Awaited(NOW - 30)))).join_seconds == 15.0


def test_what_was_known_of_joining_counts_half() -> None:
    assert taught(behind(6, Memory(awaited=Awaited(NOW - 30), join_seconds=45.0))).join_seconds == 30.0


@pytest.mark.parametrize("situation", [
    behind(6, Memory(awaited=Awaited(NOW - 30)), joined=5),
    replace(behind(6, Memory(awaited=Awaited(NOW - 30))), replicas=Replicas(6, 5)),
    replace(behind(6, Memory(awaited=Awaited(NOW - 30))), group=Unknown("no coordinator")),
    replace(behind(6, Memory(awaited=Awaited(NOW - 30))), group=replace(members(6), state="CompletingRebalance")),
])
def test_who_has_not_joined_is_awaited_further(situation: Situation) -> None:
    assert taught(situation).awaited == Awaited(NOW - 30, missing_at=NOW)


def test_who_joins_after_an_hour_tells_nothing_of_joining() -> None:
    assert taught(behind(6, Memory(awaited=Awaited(NOW - 3601)))).join_seconds is None
    assert taught(behind(6, Memory(awaited=Awaited(NOW - 600)))).join_seconds == 300.0


def test_replicas_whose_busiest_consumer_gets_more_than_it_can_do_are_too_few_for_such_a_load() -> None:
    """900 records/s for 6 consumers of 100."""
    assert taught(behind(6, Memory())).taken_back == TakenBack(6, 900.0, NOW, 1, NOW + 3600)
    assert taught(replace(behind(6, Memory()), rates=known(600.0, 100.0))).taken_back is None
    assert taught(replace(behind(6, Memory()), backlog=Backlog.CAUGHT_UP)).taken_back is None
    worse = TakenBack(7, 900.0, NOW - 60, 2, NOW + 7140)
    assert taught(behind(6, Memory(taken_back=worse))).taken_back == worse
    over = replace(worse, held_until=NOW)
    assert taught(behind(6, Memory(taken_back=over))).taken_back == TakenBack(6, 900.0, NOW, 1, NOW + 3600)
    tried = behind(6, Memory(scales=(Scaled(NOW - 60, 12, 6),)))
    assert taught(tried).taken_back is None, "a step down that is taken back is remembered as such"


def test_the_trial_begins_when_all_have_joined() -> None:
    trial = Trial(NOW - 30, 3, 6, 300.0)
    memory = taught(behind(6, Memory(awaited=Awaited(NOW - 30), trial=trial)), draining(6, 300.0))
    assert memory.trial == replace(trial, joined_at=NOW)
    other = replace(trial, at=NOW - 99)
    assert taught(behind(6, Memory(awaited=Awaited(NOW - 30), trial=other)), draining(6, 300.0)).trial == other


def test_not_joining_is_unknown_without_a_scale_up() -> None:
    assert not_joining_seconds(behind(6, Memory())) is None
    assert not_joining_seconds(behind(6, Memory(awaited=Awaited(NOW - 200)))) == 200.0


# the price of a rebalance

def paused(processed: int, known: float | None = None, drain: float = 300.0) -> float | None:
    """3 consumers of 300 records/s together; 30 s from the last sample before the change to the first after."""
    found = history(seen(NOW - 40, *[(90_000, 0)] * 12), seen(NOW - 30, *[(90_000, 0)] * 12),
                    seen(NOW, *[(90_000, processed // 12)] * 12, group=members(6)))
    memory = Memory(awaited=Awaited(NOW - 25), trial=Trial(NOW - 25, 3, 6, drain), pause_seconds=known)
    return taught(behind(6, memory), found).pause_seconds


def test_2400_records_less_than_9000_by_300_a_second_are_a_pause_of_8_s() -> None:
    assert paused(6600) == pytest.approx(8.0)
    assert paused(6600, known=4.0) == pytest.approx(6.0)


def test_a_pause_is_never_negative_and_unknown_without_a_drain() -> None:
    assert paused(24_000) == 0.0
    assert paused(6600, drain=0.0) is None
    assert paused(6600, known=4.0, drain=0.0) == 4.0


def test_a_pause_is_half_an_hour_at_most() -> None:
    found = history(seen(NOW - 3000, *[(90_000, 0)] * 12), seen(NOW, *[(90_000, 0)] * 12, group=members(6)))
    memory = Memory(awaited=Awaited(NOW - 2999), trial=Trial(NOW - 2999, 3, 6, 300.0))
    assert taught(behind(6, memory), found).pause_seconds == 1800.0


# the trial

def on_trial(joined: float = 60.0, before: int = 6, ineffective: Ineffective | None = None) -> Situation:
    trial = Trial(NOW - 200, before, 12, 300.0, joined_at=NOW - joined)
    return behind(12, Memory(trial=trial, ineffective=ineffective, capacity=Capacity(50.0, True)))


def test_a_tenth_of_what_was_promised_is_not_taken_back() -> None:
    """300 by 6, 12 asked for: 600 promised, 330 at least. With less than 420 they are bound; fewer would do less."""
    memory = taught(on_trial(), draining(12, 331.2))
    assert memory.trial is None
    assert memory.capacity is not None
    assert memory.capacity.per_consumer == pytest.approx(27.6, abs=0.1)
    assert memory.ineffective is not None
    assert not memory.ineffective.is_withdrawn
    assert replace(memory.ineffective, drained=0.0) == Ineffective(12, NOW, 0, 12, 600.0, 0.0)


def test_seven_tenths_of_what_was_promised_are_no_bound() -> None:
    memory = taught(on_trial(), draining(12, 421.2))
    assert (memory.trial, memory.ineffective, memory.capacity) == (None, None, Capacity(50.0, True))


@pytest.mark.parametrize(("drained", "to", "can_do"), [
    (218.4, 2, 200.0), (399.6, 4, 400.0), (597.6, 6, 600.0), (621.6, 12, 1200.0)])
def test_as_many_are_left_as_can_do_what_all_of_them_did(drained: float, to: int, can_do: float) -> None:
    """200 by 2, 12 asked for: 1,200 promised. What 6 can do is taken back to 6; 622 only all of them can do."""
    memory = Memory(trial=Trial(NOW - 200, 2, 12, 200.0, joined_at=NOW - 60), capacity=Capacity(100.0, True))
    found = taught(behind(12, memory), draining(12, drained)).ineffective
    assert found is not None
    assert (found.replicas, found.tried, round(found.drain)) == (to, 12, can_do)
    assert found.until == (NOW + 600 if to < 12 else NOW)


def test_where_nobody_was_seen_busy_before_what_is_known_of_a_consumer_is_promised() -> None:
    trial = Trial(NOW - 200, 6, 12, None, joined_at=NOW - 60)
    known = Memory(trial=trial, capacity=Capacity(50.0, True))
    found = taught(behind(12, known), draining(12, 305.0)).ineffective
    assert found is not None
    assert (found.replicas, found.drain) == (6, 300.0)
    assert taught(behind(12, Memory(trial=trial)), draining(12, 305.0)) == Memory()


def test_until_others_join_those_that_were_there_show_what_they_can_do() -> None:
    """A slow-down that came with the load is seen before the newcomers are there: 240 by 6, and not 300."""
    def shown(joined: int) -> float | None:
        memory = Memory(awaited=Awaited(NOW - 20), trial=Trial(NOW - 20, 6, 12), capacity=Capacity(50.0, True))
        trial = taught(behind(12, memory, joined), draining(joined, 240.0)).trial
        assert trial is not None
        return trial.drain

    assert shown(6) == pytest.approx(240.0, abs=2.0)
    assert shown(8) is None, "newcomers are among them"


def test_a_bound_that_is_not_taken_back_is_forgotten_with_other_replicas_or_when_it_has_gone() -> None:
    found = Ineffective(12, NOW - 300, 0, 12, 1200.0, 700.0)
    memory = Memory(ineffective=found).with_scaled(2, 12, NOW - 400)
    same, more = draining(12, 700.0, seconds=120), draining(12, 900.0, seconds=120)
    assert taught(behind(12, memory), same).ineffective == found
    assert taught(behind(12, memory), more).ineffective is None
    assert taught(behind(6, memory), same).ineffective is None
    assert taught(replace(behind(12, memory), backlog=Backlog.CAUGHT_UP), same).ineffective is None


@pytest.mark.parametrize(("now", "replicas", "drain", "bound"), [
    (NOW, 12, 0.0, True), (NOW + 600, 6, 588.0, True), (NOW + 600, 6, 441.0, True), (NOW + 600, 6, 300.0, False),
    (NOW + 600, 12, 588.0, False)])
def test_after_its_back_off_a_group_is_bound_while_it_does_what_it_did(
    now: float, replicas: int, drain: float, bound: bool
) -> None:
    memory = Memory(ineffective=Ineffective(6, NOW + 600, 1, 12, 600.0, 588.0))
    situation = behind(replicas, memory)
    situation = replace(situation, now=now, rates=replace(situation.rates, drain=drain))
    assert is_bound_downstream(situation) is bound
    again = replace(memory, trial=Trial(now, 6, 12, 588.0))
    assert is_bound_downstream(replace(situation, memory=again))
    caught_up = replace(situation, backlog=Backlog.CAUGHT_UP)
    assert is_bound_downstream(caught_up) is (now < NOW + 600)


def test_a_trial_whose_consumers_never_joined_is_given_up() -> None:
    memory = Memory(awaited=Awaited(NOW - 3601), trial=Trial(NOW - 3601, 3, 6))
    found = taught(behind(6, memory))
    assert (found.awaited, found.trial, found.join_seconds) == (None, None, None)


@pytest.mark.parametrize("drained", [0.2 * 12, 305.0, 328.8])
def test_less_is_a_bound_downstream_and_is_taken_back(drained: float) -> None:
    memory = taught(on_trial(), draining(12, drained))
    found = memory.ineffective
    assert found is not None
    assert (found.replicas, found.until, found.times, found.tried, found.drain) == (6, NOW + 600, 1, 12, 300.0)
    assert found.drained == pytest.approx(drained, abs=2.0)
    assert memory.trial is None
    assert memory.capacity is not None
    assert memory.capacity.per_consumer == pytest.approx(min(50.0, drained / 6), abs=0.4)


@pytest.mark.parametrize(("times", "back_off"), [(1, 1200), (2, 2400), (3, 3600), (4, 3600), (2000, 3600)])
def test_the_back_off_doubles_up_to_an_hour(times: int, back_off: int) -> None:
    before = Ineffective(6, NOW - 10, times, 12, 300.0, 300.0)
    found = taught(on_trial(ineffective=before), draining(12, 300.0)).ineffective
    assert found is not None
    assert (found.until, found.times) == (NOW + back_off, times + 1)


def test_a_trial_that_succeeds_ends_the_back_off() -> None:
    before = Ineffective(6, NOW - 10, 2, 12, 300.0, 300.0)
    assert taught(on_trial(ineffective=before), draining(12, 600.0)).ineffective is None


def test_a_window_passes_before_the_judgement() -> None:
    situation = on_trial(joined=59.9)
    assert taught(situation, draining(12, 300.0)) == situation.memory


def test_a_trial_is_not_judged_by_fewer_than_all_of_them() -> None:
    """One of 12 crashes on: 11 busy ones tell nothing of 12."""
    situation = replace(on_trial(), group=members(11))
    memory = taught(situation, draining(11, 300.0))
    assert (memory.trial, memory.ineffective) == (situation.memory.trial, None)


def test_a_trial_without_busy_consumers_is_given_up_after_five_minutes() -> None:
    patient, over = on_trial(joined=300.0), on_trial(joined=300.1)
    assert taught(patient, QUIET).trial == patient.memory.trial
    assert taught(over, QUIET).trial is None


def test_an_uneven_drain_is_no_bound_downstream() -> None:
    def halves(first: float, second: float) -> History:
        done = [0.0]
        for ago in range(60, -10, -10):
            done.append(done[-1] + 10 * (first if ago > 20 else second) / 12)
        return history(*(seen(NOW - 70 + 10 * index, *[(150_000, round(each))] * 12, group=members(12))
                         for index, each in enumerate(done)))

    assert taught(on_trial(), halves(240.0, 240.0)).ineffective is not None
    assert taught(on_trial(), halves(240.0, 288.0)).ineffective is not None
    assert taught(on_trial(), halves(120.0, 312.0)).ineffective is None
    assert taught(on_trial(), halves(312.0, 120.0)).ineffective is None


def test_a_trial_ends_with_other_replicas_or_once_caught_up() -> None:
    situation = on_trial()
    assert taught(replace(situation, replicas=Replicas(8, 8)), draining(12, 300.0)).trial is None
    caught_up = taught(replace(situation, backlog=Backlog.CAUGHT_UP), draining(12, 300.0))
    assert (caught_up.trial, caught_up.ineffective) == (None, None)


def test_a_trial_waits_for_its_consumers() -> None:
    situation = on_trial()
    assert situation.memory.trial is not None
    waiting = replace(situation.memory, trial=replace(situation.memory.trial, joined_at=None))
    assert taught(replace(situation, memory=waiting), draining(12, 300.0)) == waiting


# after a withdrawal

def forgiven(until: float) -> Ineffective | None:
    memory = Memory(ineffective=Ineffective(6, until, 3, 12, 300.0, 305.0))
    return taught(replace(behind(6, memory), backlog=Backlog.CAUGHT_UP)).ineffective


def test_a_group_that_has_caught_up_may_climb_again_and_its_failures_are_kept_for_an_hour() -> None:
    assert forgiven(NOW + 500) == Ineffective(6, NOW, 3, 12, 300.0, 305.0)
    assert forgiven(NOW - 3600) == Ineffective(6, NOW - 3600, 3, 12, 300.0, 305.0)
    assert forgiven(NOW - 3601) is None


def regretted(drained: float, ago: float = 65.0) -> bool:
    """2 did 170 records/s, 4 did 172, back to 2, which now do `drained`."""
    memory = Memory(ineffective=Ineffective(2, NOW + 500, 1, 4, 170.0, 172.0)).with_scaled(4, 2, NOW - ago)
    return taught(behind(2, memory), draining(2, drained, seconds=120)).ineffective is None


@pytest.mark.parametrize(("drained", "was_wrong"), [
    (170.4, False), (130.8, False), (127.2, True), (86.4, True), (213.6, False), (216.0, True)])
def test_a_withdrawal_that_cost_throughput_was_a_mistake(drained: float, was_wrong: bool) -> None:
    """Bound downstream they do 172 again, slowed down 86: below 129, or beyond 215, the climb is open again."""
    assert regretted(drained) is was_wrong


def test_half_a_window_after_the_pause_must_have_been_seen() -> None:
    assert regretted(86.4, ago=45.0), "the samples of the last 40 s"
    assert regretted(86.4, ago=35.0), "the samples of the last 30 s"
    assert not regretted(86.4, ago=34.0), "the samples of the last 20 s"


def test_only_the_withdrawal_itself_is_regretted() -> None:
    found = Ineffective(2, NOW + 500, 1, 4, 170.0, 172.0)
    slow = draining(2, 86.4, seconds=120)
    for memory in (Memory(ineffective=found), Memory(ineffective=found).with_scaled(5, 2, NOW - 65)):
        assert taught(behind(2, memory), slow).ineffective == found
    moved = Memory(ineffective=found).with_scaled(4, 2, NOW - 65)
    assert taught(behind(3, moved), slow).ineffective == found


# what is kept and what is begun

def test_less_work_by_each_consumer_on_trial_is_not_yet_less_capacity() -> None:
    known, trial = Capacity(100.0, True), Trial(NOW, 3, 6, 300.0)
    less, more, alike = Capacity(60.0, True), Capacity(120.0, True), Capacity(85.0, True)
    assert kept_capacity(Memory(capacity=known, trial=trial), less) == known
    assert kept_capacity(Memory(capacity=known, trial=trial), more) == more
    assert kept_capacity(Memory(capacity=known, trial=trial), alike) == alike
    assert kept_capacity(Memory(capacity=known), less) == less
    assert kept_capacity(Memory(trial=trial), less) == less


def test_a_scale_up_is_awaited_and_on_trial() -> None:
    memory = after_scaling(Memory(), 3, 6, NOW, 300.0)
    assert (memory.awaited, memory.trial) == (Awaited(NOW), Trial(NOW, 3, 6, 300.0))
    assert after_scaling(Memory(), 3, 6, NOW, None).trial == Trial(NOW, 3, 6)
    assert after_scaling(Memory(), 0, 6, NOW, 300.0).trial is None
    assert after_scaling(Memory(), 1, 6, NOW, 300.0).trial is not None


def test_a_scale_down_ends_waiting_and_trial() -> None:
    memory = after_scaling(after_scaling(Memory(), 3, 6, NOW, 300.0), 6, 5, NOW + 9, 300.0)
    assert (memory.awaited, memory.trial, len(memory.scales)) == (None, None, 2)


# steps down that were taken back

def after(*scales: tuple[float, int, int], memory: Memory | None = None) -> Memory:
    """What is remembered at 450 records/s, rounded to whole ones."""
    found = memory or Memory()
    for at, before, now in scales:
        found = found.with_scaled(before, now, at)
    taken = taught(replace(even(6, 450.0), memory=found)).taken_back
    return replace(found, taken_back=taken and replace(taken, arrival=float(round(taken.arrival))))


def test_a_scale_up_soon_after_a_scale_down_takes_it_back_for_an_hour() -> None:
    memory = after((NOW - 400, 6, 4), (NOW - 100, 4, 6))
    assert memory.taken_back == TakenBack(4, 450.0, NOW - 100, 1, NOW + 3500)


def test_the_load_of_a_step_that_was_taken_back_is_the_lower_one_of_both_changes() -> None:
    memory = Memory().with_scaled(6, 4, NOW - 400, 300.0).with_scaled(4, 6, NOW - 100, 450.0)
    found = taught(replace(even(6, 450.0), memory=memory)).taken_back
    assert found is not None
    assert found.arrival == 300.0


@pytest.mark.parametrize("scales", [
    [(NOW - 100, 4, 6)], [(NOW - 400, 4, 6), (NOW - 100, 6, 4)], [(NOW - 1100, 6, 4), (NOW - 100, 4, 6)],
])
def test_other_changes_take_nothing_back(scales: list[tuple[float, int, int]]) -> None:
    assert after(*scales).taken_back is None


@pytest.mark.parametrize(("ago", "load", "few"), [(3699, 410.0, 4), (3699, 409.0, 0), (3700, 410.0, 0)])
def test_a_scale_up_at_the_same_load_takes_a_step_down_back_within_an_hour(ago: int, load: float, few: int) -> None:
    """450 records/s are no more than 1.1 times 410."""
    memory = Memory().with_scaled(6, 4, NOW - ago, load).with_scaled(4, 6, NOW - 100, 450.0)
    found = taught(replace(even(6, 450.0), memory=memory)).taken_back
    assert (found.replicas if found else 0) == few


def test_each_step_that_is_taken_back_in_a_row_holds_twice_as_long() -> None:
    known = Memory(taken_back=TakenBack(4, 450.0, NOW - 4000, 2, NOW - 500))
    memory = after((NOW - 400, 6, 4), (NOW - 100, 4, 6), memory=known)
    assert memory.taken_back == TakenBack(4, 450.0, NOW - 100, 3, NOW - 100 + 4 * 3600)
    known = Memory(taken_back=TakenBack(4, 450.0, NOW - 400_000, 20, NOW - 100_000))
    assert after((NOW - 400, 6, 4), (NOW - 100, 4, 6), memory=known).taken_back == TakenBack(
        4, 450.0, NOW - 100, 1, NOW + 3500)


def test_the_largest_number_that_was_too_few_counts_while_it_holds() -> None:
    known = Memory(taken_back=TakenBack(4, 450.0, NOW - 1000, 1, NOW + 2600))
    memory = after((NOW - 400, 6, 2), (NOW - 100, 2, 6), memory=known)
    assert memory.taken_back is not None
    assert memory.taken_back.replicas == 4


def test_a_step_that_was_taken_back_is_counted_once() -> None:
    once = after((NOW - 400, 6, 4), (NOW - 100, 4, 6))
    assert after(memory=once) == once


# long pauses

def standing(seconds: int, state: str = "PreparingRebalance") -> History:
    """After a change at NOW - 400 no offset moves for so long; before and after it all do."""
    def done(ago: int) -> int:
        return 50_000 - 10 * ago if ago > 400 else 50_000 - 10 * 400 + 10 * max(0, 400 - seconds - ago)

    def group(ago: int) -> Group:
        return replace(members(6), state=state if 400 - seconds < ago <= 400 else "Stable")
    return history(*(seen(NOW - ago, *[(90_000, done(ago))] * 12, group=group(ago)) for ago in range(450, -1, -15)))


def after_standstill(found: History) -> Memory:
    known = Memory().with_scaled(3, 6, NOW - 400)
    return taught(replace(even(6, 450.0, age=30.0), memory=known, backlog=Backlog.BEHIND), found)


def test_a_standstill_after_a_change_is_the_pause_of_its_rebalance() -> None:
    memory = after_standstill(standing(240))
    assert memory.paused_at == NOW - 400
    assert memory.pause_seconds == pytest.approx(240, abs=30)


def test_a_standstill_of_less_than_three_polls_is_not_told_from_the_time_between_commits() -> None:
    assert after_standstill(standing(20)).paused_at is None


def test_a_standstill_without_a_rebalance_is_an_outage_and_no_pause() -> None:
    assert after_standstill(standing(240, state="Stable")).paused_at is None


@pytest.mark.parametrize(("pause", "is_known"), [(180.0, False), (190.0, True)])
def test_a_change_without_a_long_pause_ends_what_was_known_of_one(pause: float, is_known: bool) -> None:
    """400 s after the change: 30 s until the others joined, and two pauses."""
    known = Memory(pause_seconds=pause, paused_at=NOW - 9000).with_scaled(3, 6, NOW - 400)
    memory = taught(replace(even(6, 450.0), memory=known), standing(20))
    assert memory.pause_seconds == (pause if is_known else None)
    assert memory.paused_at == (NOW - 9000 if is_known else None)


def handed_over(seconds: int) -> History:
    """At NOW - 400 one of 12 partitions goes to a newcomer and is not committed for so long; all others go on."""
    def done(number: int, ago: int) -> int:
        stands = number == 11 and 400 - seconds < ago <= 400
        return 50_000 - 10 * (400 if stands else ago)

    def group(ago: int) -> Group:
        owners = {tp: f"m{number // 2}" for number, tp in enumerate(orders(12))}
        owners |= {} if ago > 400 else {orders(12)[11]: "m6"}
        hands = {name: frozenset(tp for tp in owners if owners[tp] == name) for name in owners.values()}
        state = "Reconciling" if 400 - seconds < ago <= 400 else "Stable"
        return Group(state, "uniform", tuple(Member(name, hand) for name, hand in hands.items()))

    return history(*(seen(NOW - ago, *[(90_000, done(number, ago)) for number in range(12)], group=group(ago))
                     for ago in range(450, -1, -15)))


@pytest.mark.parametrize("seconds", [120, 240])
def test_the_pause_is_that_of_the_partitions_that_changed_hands(seconds: int) -> None:
    known = Memory().with_scaled(6, 7, NOW - 400)
    memory = taught(replace(even(7, 450.0, age=30.0), memory=known, backlog=Backlog.BEHIND), handed_over(seconds))
    assert memory.paused_at == NOW - 400
    assert memory.pause_seconds == pytest.approx(seconds, abs=30)


def test_a_rebalance_long_after_a_step_down_is_not_its_own() -> None:
    """A crash 200 s later, of which the session has to end, is no pause of the change."""
    known = Memory().with_scaled(8, 6, NOW - 600)
    assert taught(replace(even(6, 450.0, age=30.0), memory=known), standing(240)).paused_at is None
    known = Memory().with_scaled(8, 6, NOW - 400)
    assert taught(replace(even(6, 450.0, age=30.0), memory=known), standing(240)).paused_at == NOW - 400
