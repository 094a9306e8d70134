"""decide() by itself, on histories by hand: what it measures, says and remembers of one look.

Unless told otherwise: two partitions of which each gets 100 records/s and has 60 processed, 2,000 behind at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.membership import Hung, Unrest
from kafka_consumer_scaler.core.memory import Memory, Peak, Recommended, Scaled, Threads, Throttling, Usual
from kafka_consumer_scaler.core.policy import Fallback, FallbackBehavior, Mode, OffsetReset, Policy, ProducerQuota
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Replicas, Snapshot, Unknown
from kafka_consumer_scaler.core.verdict import (
    Abstain,
    ConditionType,
    Decision,
    Event,
    Hold,
    Measurements,
    ScaleTo,
    Verdict,
)
from tests.core.making import ALONE, P0, P1, STABLE, history, seen, steady

POLICY = Policy(max_replicas=12)
BY_LAG = replace(POLICY, lag_per_replica=100)
DARK = Unknown("no broker answered", Reason.BROKERS_UNREACHABLE)
GONE = Unknown("there is no Deployment", Reason.TARGET_NOT_FOUND)
BEHIND = steady(range(0, 90, 15), 100, 60, lag=2000, group=ALONE)
CALM = steady(range(0, 90, 15), 100, 100)
FLOODED = steady(range(0, 90, 15), 150, 60, lag=2000, group=ALONE)
LAG = "lag 10,000 records (50 s old) on 2 partitions"
USEFUL = "2 useful for the partitions"
ONE = Replicas(1, 1)


def look(found: History = BEHIND, policy: Policy = POLICY, current: Replicas | Unknown = ONE,
         memory: Memory | None = None, at: float | None = None) -> Verdict:
    """The verdict at the time of the latest snapshot, unless told otherwise."""
    assert found.latest_at is not None
    return decide(policy, found, current, memory or Memory(), found.latest_at if at is None else at)


def situation(verdict: Verdict) -> Situation:
    assert isinstance(verdict.situation, Situation)
    return verdict.situation


def dark(found: History, *times: float) -> History:
    for at in times:
        found = found.append(Snapshot(at, DARK))
    return found


# the decision, its words and its numbers

def test_a_scale_up_is_told_in_one_sentence_with_its_numbers_and_its_trail() -> None:
    verdict = look(policy=BY_LAG)
    said = f"Scaled up from 1 to 2: {LAG}; 100 wanted (100 records a replica) -> 2 ({USEFUL})"
    assert verdict.message == said
    assert verdict.decision == ScaleTo(2, Reason.SCALED_UP)
    assert verdict.announcement == Event(Reason.SCALED_UP, said)
    assert verdict.trail == (Limit(2, Reason.AT_PARTITION_LIMIT, USEFUL),)
    assert verdict.backlog is Backlog.BEHIND
    assert verdict.busy_drain == pytest.approx(120)
    assert verdict.measurements == Measurements(
        lag_records=10_000, lag_seconds=50.0, arrival=200.0, drain=120.0, capacity_per_consumer=120.0, partitions=2,
        useful_replicas=2, replicas_current=1, replicas_wanted=100, replicas_allowed=2)
    assert isinstance(verdict.safe_rate, SafeRate)
    assert verdict.safe_rate.sustained == pytest.approx(240)
    assert (verdict.throttle, verdict.memory.throttling) == (None, None)


def test_what_bounds_it_is_a_finding_a_condition_and_an_event_that_is_said_once() -> None:
    verdict = look(FLOODED, policy=BY_LAG)
    evidence = (f"175 replicas are wanted and 2 allowed, {USEFUL}: 300 records/s arrive, one consumer does 120, 17,500 "
                "records are behind")
    remedy = "add partitions, or make the consumer faster"
    assert [(each.reason, each.evidence, each.remedy) for each in verdict.findings] == [
        (Reason.AT_PARTITION_LIMIT, evidence, remedy)]
    assert verdict.events == (Event(Reason.SCALING_LIMITED, f"{evidence}; {remedy}", warning=True),)
    assert verdict.condition(ConditionType.SCALING_LIMITED).status is True
    assert verdict.memory.said == {Reason.SCALING_LIMITED}
    assert [(each.reason, each.at) for each in verdict.memory.found] == [(Reason.AT_PARTITION_LIMIT, 75)]
    assert look(FLOODED, policy=BY_LAG, memory=Memory(said=verdict.memory.said)).events == ()


@pytest.mark.parametrize(("changes", "words", "decision"), [
    ({"paused": True}, "Paused, would scale up from 1 to 2", Hold(2, Reason.PAUSED)),
    ({"mode": Mode.ADVISORY}, "Advisory, would scale up from 1 to 2", Hold(2, Reason.ADVISORY)),
    ({"mode": Mode.ADVISORY, "paused": True}, "Paused, would scale up from 1 to 2", Hold(2, Reason.PAUSED)),
])
def test_who_only_wants_to_hear_of_it_hears_what_would_be_done(
    changes: dict[str, object], words: str, decision: Hold
) -> None:
    verdict = look(policy=replace(BY_LAG, **changes))  # type: ignore[arg-type]
    assert verdict.message.startswith(f"{words}: {LAG}")
    assert (verdict.decision, verdict.announcement) == (decision, None)
    assert verdict.measurements.replicas_allowed == 2


def test_a_group_that_keeps_up_is_held_with_its_numbers_and_no_events() -> None:
    verdict = look(CALM, current=Replicas(2, 2))
    assert verdict.message == ("Held at 2: lag 0 records (0 s old) on 2 partitions; 2 wanted (200 records/s to be "
                               "ready for and a consumer does 92)")
    assert verdict.decision == Hold(2, Reason.WITHIN_OBJECTIVE)
    assert (verdict.announcement, verdict.events, verdict.findings, verdict.busy_drain) == (None, (), (), None)
    assert verdict.backlog is Backlog.CAUGHT_UP
    assert verdict.condition(ConditionType.SCALING_LIMITED).reason is Reason.NOT_LIMITED


def test_what_holds_a_change_back_is_told_behind_the_trail() -> None:
    verdict = look(CALM, BY_LAG, Replicas(4, 4))
    assert verdict.decision == Hold(4, Reason.STABILIZING)
    assert verdict.message == (
        "Held at 4: lag 0 records (0 s old) on 2 partitions; 4 wanted (200 records/s arrive and a consumer does 92) -> "
        f"2 ({USEFUL}); complete samples for 75 s of 300 s")
    assert verdict.busy_drain is None


def test_a_scale_down_is_told_as_one() -> None:
    idle = steady(range(0, 615, 15), 1, 1)
    policy = replace(BY_LAG, scale_down=replace(BY_LAG.scale_down, stabilization_window_seconds=0, cooldown_seconds=0))
    verdict = look(idle, policy, Replicas(2, 2))
    assert verdict.decision == ScaleTo(1, Reason.SCALED_DOWN)
    assert verdict.message.startswith("Scaled down from 2 to 1: lag 0 records (0 s old) on 2 partitions; 1 wanted (")
    assert verdict.announcement == Event(Reason.SCALED_DOWN, verdict.message)


def test_why_more_are_wanted_is_named_behind_the_sentence_and_bounds_are_not() -> None:
    usual = Memory(usual=Usual(0.0, 900.0, 100.0, 60.0))
    assert look(policy=BY_LAG, memory=usual).message.endswith(f"-> 2 ({USEFUL}); ProducerSpike")
    held = look(policy=BY_LAG, memory=usual, current=Replicas(2, 2))
    assert Reason.PRODUCER_SPIKE in {each.reason for each in held.findings}
    assert "ProducerSpike" not in held.message
    assert look(policy=BY_LAG).message.endswith(f"-> 2 ({USEFUL})")


def test_an_age_that_nobody_knows_is_said_to_be_unknown() -> None:
    verdict = look(history(seen(0, (100, 50), (100, 50))), BY_LAG)
    assert verdict.message.startswith("Held at 1: lag 100 records (age unknown) on 2 partitions; 1 wanted (")
    assert verdict.measurements.lag_seconds == Unknown("only one sample")


# doubt

def test_without_a_target_nothing_is_changed_and_all_else_is_told() -> None:
    before = Memory(said=frozenset({Reason.HOT_PARTITION}))
    verdict = look(current=GONE, memory=before)
    assert verdict.decision == Abstain(Reason.TARGET_NOT_FOUND, GONE.why)
    assert verdict.message == f"Nothing is changed: {GONE.why}"
    assert verdict.events == (Event(Reason.TARGET_NOT_FOUND, f"Nothing is changed: {GONE.why}", warning=True),)
    assert verdict.measurements == replace(
        look(policy=POLICY).measurements, replicas_current=GONE, useful_replicas=1,
        replicas_wanted=Unknown("nothing was recommended"),
        replicas_allowed=Unknown(GONE.why))
    assert replace(verdict.memory, said=frozenset(), found=()) == Memory(), "nothing is learned of what is not seen"
    assert situation(verdict).memory.trial is None
    assert verdict.condition(ConditionType.SCALING_LIMITED).status is None
    assert verdict.announcement is None


def test_without_a_sample_nothing_is_changed_and_findings_stay() -> None:
    before = look(FLOODED, policy=BY_LAG).memory
    verdict = look(dark(FLOODED, 90, 105, 120), memory=before)
    assert verdict.decision == Abstain(Reason.BROKERS_UNREACHABLE, DARK.why)
    assert verdict.message == f"Held at 1: {DARK.why}"
    assert (verdict.situation, verdict.safe_rate, verdict.backlog) == (DARK, DARK, Backlog.UNKNOWN)
    assert verdict.measurements == Measurements(
        DARK, DARK, DARK, DARK, DARK, DARK, DARK, 1, Unknown("nothing was recommended"), Unknown(DARK.why))
    assert verdict.memory == replace(before, said=before.said | {Reason.METRICS_UNAVAILABLE})
    assert [each.reason for each in verdict.findings] == [Reason.AT_PARTITION_LIMIT]
    assert verdict.events == (Event(Reason.METRICS_UNAVAILABLE, f"Nothing is changed: {DARK.why}", warning=True),)


def test_a_poll_or_two_that_failed_are_shown_and_not_said() -> None:
    for times in ((90,), (90, 105)):
        verdict = look(dark(BEHIND, *times))
        assert verdict.events == ()
        assert verdict.condition(ConditionType.METRICS_AVAILABLE).status is False
    known = look(memory=Memory(said=frozenset({Reason.METRICS_UNAVAILABLE})))
    assert known.events[0] == Event(Reason.METRICS_RECOVERED, f"Every partition's lag is known again: {LAG}")


@pytest.mark.parametrize(("behavior", "below", "above"), [
    (FallbackBehavior.STATIC, 6, 6),
    (FallbackBehavior.CURRENT_REPLICAS, 4, 9),
    (FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER, 6, 9),
    (FallbackBehavior.CURRENT_REPLICAS_IF_LOWER, 4, 6),
])
def test_a_fallback_may_look_at_the_present_replicas(behavior: FallbackBehavior, below: int, above: int) -> None:
    fallback = Fallback(3, 6, behavior)
    assert [fallback.wanted(current, 1, 12) for current in (4, 9)] == [below, above]


@pytest.mark.parametrize("current", [1, 6, 12, 40])
def test_a_fallback_if_higher_never_lowers_the_replicas_not_even_to_the_bound(current: int) -> None:
    assert Fallback(3, 6, FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER).wanted(current, 1, 12) >= current


@pytest.mark.parametrize(("failures", "replicas", "current", "decision"), [
    (2, 5, 1, Abstain(Reason.BROKERS_UNREACHABLE, DARK.why)), (3, 5, 1, ScaleTo(5, Reason.FALLBACK)),
    (3, 20, 1, ScaleTo(12, Reason.FALLBACK)), (3, 1, 4, ScaleTo(2, Reason.FALLBACK)),
    (3, 5, 5, Hold(5, Reason.FALLBACK)),
])
def test_a_fallback_is_taken_after_its_failures_and_within_the_bounds(
    failures: int, replicas: int, current: int, decision: Decision
) -> None:
    policy = replace(POLICY, min_replicas=2, fallback=Fallback(3, replicas))
    verdict = look(dark(BEHIND, *(90 + 15 * n for n in range(failures))), policy, Replicas(current, current))
    assert verdict.decision == decision
    if not isinstance(decision, Abstain):
        assert verdict.message == f"3 polls in a row failed ({DARK.why}): fallback to {decision.replicas}"
        advised = look(dark(BEHIND, 90, 105, 120), replace(policy, mode=Mode.ADVISORY), Replicas(current, current))
        assert advised.announcement is None
        assert not isinstance(advised.decision, ScaleTo)


@pytest.mark.parametrize(("least", "memory", "parked"), [
    (1, Memory(), True), (0, Memory(), False), (1, Memory(scales=(Scaled(10, 1, 0),)), False),
    (1, Memory(scales=(Scaled(10, 2, 1),)), True),
])
def test_zero_replicas_that_somebody_else_set_are_left_alone(least: int, memory: Memory, parked: bool) -> None:
    verdict = look(policy=replace(BY_LAG, min_replicas=least), current=Replicas(0, 0), memory=memory)
    said = "Held at 0: someone scaled the target to 0 while minReplicas is not 0; scale it to 1 to go on"
    assert (verdict.message == said) is parked
    assert (verdict.decision == Hold(0, Reason.SCALED_TO_ZERO_BY_OTHERS)) is parked
    if parked:
        assert verdict.measurements.replicas_wanted == Unknown("nothing was recommended")
        assert verdict.condition(ConditionType.SCALING_LIMITED).status is None


def test_a_group_that_reads_and_never_commits_is_not_judged() -> None:
    def reads(seconds: Sequence[int], end: int) -> History:
        return history(*(seen(at, (end, None), (end, None)) for at in seconds))

    policy = replace(POLICY, offset_reset=OffsetReset.EARLIEST)
    verdict = look(reads(range(0, 3601, 100), 50), policy)
    assert verdict.situation == Unknown("the group has members and commits no offsets", Reason.NO_COMMITTED_OFFSETS)
    assert situation(look(reads((0, 15), 50), policy)).awaits_first_commit
    assert not situation(look(reads((0, 15), 0), policy)).awaits_first_commit, "there is nothing to commit"
    assert not situation(look()).awaits_first_commit


# what is measured

def test_the_situation_is_what_was_seen() -> None:
    found = situation(look())
    assert (found.now, found.replicas, found.group) == (75, ONE, ALONE)
    assert found.lag == found.waiting == {P0: 5000, P1: 5000}
    assert (found.age, found.ages) == (50, {P0: 50, P1: 50})
    assert found.shares == found.shares_newest == {P0: 0.5, P1: 0.5}
    assert found.rates.arrival == found.observed == Arrival(200, 200, lasting=200)
    assert found.rates.capacity == Capacity(120, learned=True)
    assert (found.commit_interval, found.assignor, found.backlog) == (5, "range", Backlog.BEHIND)
    assert (found.spread.shares, found.spread.threads, found.spread.foreign) == ((2,), 1, 0)
    assert (found.quiet_seconds, found.unbroken_seconds, found.peace_seconds, found.unfailed_seconds) == (
        0, 75, 75, inf)
    assert (found.stuck, found.hot, found.kept, found.lost, found.recreated, found.hung, found.retention) == (
        frozenset(), frozenset(), frozenset(), {}, frozenset(), {}, None)
    assert (found.memberless_seconds, found.unrest, found.details) == (0, Unrest(), Details())


def test_a_group_at_rest_is_quiet_since_the_last_offset_that_moved() -> None:
    found = CALM.append(seen(90, (18_500, 18_500), (18_500, 18_500))).append(
        seen(105, (18_500, 18_500), (18_500, 18_500)))
    assert situation(look(found)).quiet_seconds == 15


def test_a_gap_a_failure_and_a_change_end_the_peace() -> None:
    assert situation(look(at=85)).unbroken_seconds == 85
    assert situation(look(memory=Memory(scales=(Scaled(60, 2, 1),)))).peace_seconds == 15
    assert situation(look(memory=Memory(scales=(Scaled(-60, 2, 1),)))).peace_seconds == 75
    failed = dark(BEHIND, 90).append(seen(105, (22_500, 16_300), (22_500, 16_300)))
    assert situation(look(failed)).unfailed_seconds == 15
    assert situation(look(failed)).unbroken_seconds == 105
    lost = dark(BEHIND, 90, 105, 120).append(seen(135, (25_500, 18_100), (25_500, 18_100)))
    assert situation(look(lost)).unbroken_seconds == 0


@pytest.mark.parametrize(("interval", "stretch", "gap", "unbroken"), [
    (15, 1, 45, 120), (15, 1, 46, 0), (5, 1, 30, 105), (5, 1, 31, 0), (15, 4, 180, 255), (15, 4, 181, 0),
])
def test_a_gap_is_more_than_three_polls_at_the_interval_that_is_kept_and_more_than_30_s(
    interval: int, stretch: int, gap: int, unbroken: float
) -> None:
    at = 75 + gap
    last = replace(seen(at, (30_000, 15_000), (30_000, 15_000)), details=Details(stretch=stretch))
    found = situation(look(BEHIND.append(last), replace(POLICY, polling_interval_seconds=interval)))
    assert found.unbroken_seconds == unbroken
    assert found.details.stretch == stretch


def test_a_history_as_long_as_is_kept_tells_of_no_gap_before_it() -> None:
    """590 s are kept, and it went on for 1,200: a poll less than the span of 600."""
    long = steady(range(0, 1201, 10), 100, 100)
    assert situation(look(long)).unbroken_seconds == 1200
    short = replace(long, samples=tuple(each for each in long.samples if each.at >= 1200 - 540))
    assert situation(look(short)).unbroken_seconds == 540


def test_partitions_that_stand_still_are_stuck_and_kept_by_their_consumer() -> None:
    found = situation(look(history(*(seen(at, (1000 + at, 500), (1000 + at, 900 + at)) for at in range(0, 301, 15)))))
    assert found.stuck == found.kept == {P0}


def test_a_hot_partition_lost_records_retention_and_a_recreated_topic_are_seen() -> None:
    hot = situation(look(history(*(
        seen(at, (1000 + 900 * at, 400 * at), (1000 + 100 * at, 1000 + 100 * at)) for at in range(0, 90, 15)))))
    assert hot.hot == {P0}
    assert hot.shares[P0] == pytest.approx(0.9)
    lost = situation(look(BEHIND.append(seen(90, (21_000, 15_400), (21_000, 15_400), start=15_460))))
    assert lost.lost == {P0: 60, P1: 60}
    dying = history(*(seen(at, (100_000 + 100 * at, 40_000 + 10 * at), (100_000, 100_000), start=30_000 + 30 * at)
                      for at in range(0, 301, 15)))
    assert situation(look(dying)).retention == (P0, (10_000 - 20 * 300) / 20)
    again = situation(look(BEHIND.append(seen(90, (5, 0), (5, 0)))))
    assert again.recreated == {"orders"}


def test_retention_of_a_group_that_has_caught_up_is_no_risk() -> None:
    calm = history(*(seen(at, (100_000 + 100 * at, 99_000 + 100 * at), (100_000, 100_000), start=90_000 + 110 * at)
                     for at in range(0, 301, 15)))
    found = situation(look(calm))
    assert (found.backlog, found.retention) == (Backlog.CAUGHT_UP, None)


def test_a_transaction_that_hangs_and_members_that_come_go_or_are_missing_are_seen() -> None:
    details = Details(high_watermarks={P0: 1070})
    hung = history(*(replace(seen(at, (1000, 1000), (1000, 1000)), details=details) for at in range(0, 241, 15)))
    assert situation(look(hung)).hung == {P0: Hung(70, 240)}
    empty = Group("Empty")
    left = history(*(seen(at, (1000, 900), (1000, 900), group=empty) for at in range(0, 91, 15)))
    assert situation(look(left)).memberless_seconds == 90
    other = replace(STABLE, members=(Member("m2", frozenset({P0, P1})),))
    came = history(seen(0, (0, 0), (0, 0), group=Group("Stable", "range")), seen(15, (9, 0), (9, 0)),
                   seen(30, (9, 0), (9, 0), group=other))
    assert situation(look(came)).unrest.left == 2


# what is remembered

def test_what_was_seen_is_remembered() -> None:
    memory = look(policy=BY_LAG).memory
    assert memory.capacity == Capacity(120, learned=True)
    assert memory.peaks == (Peak(75, 200),)
    assert memory.highs == memory.lows == (Recommended(75, 2),)
    assert memory.threads == Threads(1, 1, 1, 75)
    assert (memory.assignor, memory.memberless_since, memory.usual) == ("range", None, None)


def test_a_capacity_that_is_known_already_is_remembered_where_no_other_is_seen() -> None:
    known = Capacity(300.0, learned=True)
    one = history(seen(0, (100, 100), (100, 100)))
    assert look(one, memory=Memory(capacity=known)).memory.capacity == known
    assert situation(look(one, memory=Memory(capacity=known))).rates.capacity == known


@pytest.mark.parametrize(("group", "assignor"), [
    (Unknown("no coordinator"), "sticky"), (Group("Empty"), "sticky"), (STABLE, "range"),
])
def test_the_assignor_is_that_of_the_group_or_the_one_it_last_had(group: Group | Unknown, assignor: str) -> None:
    found = history(seen(0, (100, 100), (100, 100), group=group))
    verdict = look(found, memory=Memory(assignor="sticky"))
    assert (verdict.memory.assignor, situation(verdict).assignor) == (assignor, assignor)


@pytest.mark.parametrize(("group", "before", "since"), [
    (Group("Empty"), None, 15), (Group("Empty"), 3.0, 3.0), (STABLE, 3.0, None), (Unknown("dark"), 3.0, 3.0),
])
def test_since_when_nobody_is_in_the_group_is_remembered(
    group: Group | Unknown, before: float | None, since: float | None
) -> None:
    found = history(seen(0, (100, 90), (100, 90), group=group), seen(15, (100, 90), (100, 90), group=group))
    assert look(found, memory=Memory(memberless_since=before)).memory.memberless_since == since


HELD = Throttling(0.0, 20_000, 0.0, 400.0, 60.0, 100.0, is_weighed=True, per_broker=(20_000.0,))


@pytest.mark.parametrize(("found", "current", "throttling", "is_learned"), [
    (CALM, Replicas(2, 2), None, True), (BEHIND, Replicas(2, 2), None, False), (CALM, Replicas(0, 0), None, False),
    (CALM, Replicas(2, 2), HELD, False), (steady(range(0, 90, 15), 0, 0), Replicas(2, 2), None, False),
    (history(seen(0, (100, 100), (100, 100))), Replicas(2, 2), None, False),
])
def test_what_is_usual_is_learned_of_groups_that_keep_up_with_something(
    found: History, current: Replicas, throttling: Throttling | None, is_learned: bool
) -> None:
    quotas = replace(POLICY, min_replicas=0, quotas=(ProducerQuota(1000, client_id="shop"),))
    verdict = look(found, quotas, current, Memory(throttling=throttling))
    usual = verdict.memory.usual
    assert (usual is not None) is is_learned
    if usual is not None:
        assert (usual.at, usual.seconds, usual.arrival) == (75, 0, 200)
        assert usual.per_consumer == pytest.approx(92.3, abs=0.1)


def test_one_more_look_is_added_to_what_is_usual() -> None:
    usual = look(CALM, current=Replicas(2, 2), memory=Memory(usual=Usual(60.0, 15.0, 100.0, 10.0))).memory.usual
    assert usual is not None
    assert (usual.at, usual.seconds, usual.arrival) == (75, 30, 150)
    assert usual.per_consumer == pytest.approx(92.3, abs=0.1)


# producers

SHOP = replace(POLICY, quotas=(ProducerQuota(1000, client_id="shop"),))
TOLD = Details(record_bytes={"orders": 100.0}, leaders={P0: 1, P1: 1})


def flooded(rate: float = 100, group: Group = STABLE) -> History:
    """500 s behind, with all that a throttle needs to know."""
    return history(*(
        replace(seen(at, *[(int(60_000 + rate * at), int(10_000 + 60 * at))] * 2, group=group), details=TOLD)
        for at in range(0, 90, 15)))


def test_producers_are_held_back_where_replicas_cannot_help_and_that_is_said() -> None:
    verdict = look(flooded(), SHOP, Replicas(2, 2))
    assert verdict.throttle is not None
    assert verdict.memory.throttling is not None
    assert verdict.throttle.bytes_per_second == verdict.memory.throttling.rate
    assert verdict.memory.throttling.demand == 200
    assert Reason.THROTTLING_PRODUCERS in {each.reason for each in verdict.findings}
    assert "; producers are held to " in verdict.message
    assert "asked for before" not in verdict.message


def test_while_producers_are_held_back_what_they_asked_for_counts() -> None:
    """20,000 bytes/s of 100 bytes are 200 records/s, and so many arrive."""
    verdict = look(flooded(), SHOP, Replicas(2, 2), Memory(throttling=HELD))
    found = situation(verdict)
    assert found.observed == Arrival(200, 200, lasting=200)
    assert found.rates.arrival == Arrival(400, 400, lasting=400)
    assert verdict.memory.peaks == (Peak(75, 400),)
    assert verdict.measurements.arrival == 200
    assert verdict.message.endswith("; counted with 400 records/s asked for before")


def test_a_release_is_an_event_and_is_told_in_the_sentence() -> None:
    why = "spec.backpressure names no quotas"
    verdict = look(flooded(), POLICY, Replicas(2, 2), Memory(throttling=HELD))
    event = Event(Reason.THROTTLE_RELEASED, f"Producers are no longer held back: {why}", action="Throttling")
    assert verdict.events[-1] == event
    assert f"; producers are no longer held back: {why}; counted with 400 records/s asked for before" in verdict.message
    assert (verdict.throttle, verdict.memory.throttling) == (None, None)


def test_unseen_producers_are_held_as_they_were() -> None:
    looks: tuple[tuple[History, Replicas | Unknown], ...] = ((dark(flooded(), 90), Replicas(2, 2)), (flooded(), GONE))
    for found, current in looks:
        verdict = look(found, SHOP, current, Memory(throttling=HELD))
        assert verdict.memory.throttling == HELD
        assert verdict.throttle is not None
        assert "; producers are held to 20,000 bytes/s: held as it was, as too little is known" in verdict.message


def test_as_many_as_are_allowed_hold_producers_back_where_the_useful_maximum_is_not_asked_for() -> None:
    policy = replace(SHOP, lag_per_replica=1_000_000)
    assert look(flooded(group=ALONE), policy, ONE).throttle is not None, "one is wanted, and there is one"
    assert look(flooded(group=ALONE), replace(policy, lag_per_replica=1), ONE).throttle is None, "two are wanted"
