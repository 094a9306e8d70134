"""Findings: when, in which words, in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.diagnosis import Backlog, backlog
from kafka_consumer_scaler.core.findings import RULES, findings_of, lasting
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.membership import Hung, Unrest
from kafka_consumer_scaler.core.memory import Awaited, Found, Ineffective, Memory, OthersChange, Scaled, Trial, Usual
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Group, Replicas, TopicPartition, Unknown
from tests.core.making import NOW, even, known, members, orders

POLICY = Policy(max_replicas=12)
TPS = orders(12)
CALM = even(6, 300.0)
TOO_MUCH = even(12, 1201.0)
"""1,201 records/s arrive, and 12 consumers do 100 each."""


def said(situation: Situation, *trail: Limit) -> dict[Reason, str]:
    return {finding.reason: finding.evidence for finding in findings_of(POLICY, situation, trail)}


def test_a_calm_group_has_no_findings() -> None:
    assert findings_of(POLICY, CALM, ()) == ()
    assert findings_of(POLICY, CALM, (Limit(1, Reason.AT_MIN_REPLICAS, "minReplicas 1"),)) == ()


def test_the_most_urgent_comes_first() -> None:
    memory = Memory(awaited=Awaited(NOW - 500), ineffective=Ineffective(3, NOW + 9, 1, 6, 300.0, 305.0))
    all_of_them = replace(CALM, memory=memory, retention=(TPS[0], 60.0), hot=frozenset({TPS[1]}), group=members(2),
                          stuck=frozenset({TPS[2]}))
    assert list(said(all_of_them)) == [
        Reason.RETENTION_RISK, Reason.REPLICAS_NOT_JOINING, Reason.INEFFECTIVE_SCALING, Reason.HOT_PARTITION,
        Reason.STUCK_PARTITION]
    bound = replace(FLOODED, retention=(TPS[0], 60.0))
    assert list(said(bound, PARTITIONS, MOST)) == [
        Reason.RETENTION_RISK, Reason.PRODUCER_SPIKE, Reason.AT_PARTITION_LIMIT, Reason.AT_MAX_REPLICAS]


def test_retention_tells_partition_and_time() -> None:
    assert said(replace(CALM, retention=(TPS[3], 1234.5))) == {
        Reason.RETENTION_RISK: "orders/3 loses unprocessed records in 1,234 s"}
    assert said(replace(CALM, retention=(TPS[3], 0.0)))[Reason.RETENTION_RISK] == (
        "orders/3 loses unprocessed records now")


@pytest.mark.parametrize(("count", "named"), [
    (1, "orders/0"), (3, "orders/0, orders/1, orders/2"), (4, "orders/0, orders/1, orders/2 and 1 more")])
def test_stuck_partitions_are_named_up_to_three(count: int, named: str) -> None:
    behind = replace(CALM, stuck=frozenset(TPS[:count]), lag=dict.fromkeys(TPS, 500))
    assert said(behind) == {Reason.STUCK_PARTITION: f"{named} not moving with {500 * count:,} records behind"}


def test_a_hot_partition_is_told_with_what_it_gets() -> None:
    shares = {**CALM.shares, TPS[4]: 0.5, TPS[5]: 0.4}
    hot = replace(CALM, hot=frozenset({TPS[4], TPS[5]}), shares=shares)
    assert said(hot) == {Reason.HOT_PARTITION: "orders/4, orders/5 gets 150 records/s and one consumer does 100"}
    assert said(replace(hot, rates=known(300.0, Unknown("not measured")))) == {}


def test_an_ineffective_scale_up_is_told_while_its_back_off_lasts() -> None:
    memory = Memory(ineffective=Ineffective(3, NOW + 60, 1, 6, 300.0, 305.0))
    found = findings_of(POLICY, replace(CALM, memory=memory), ())[0]
    assert found.evidence == "6 replicas processed 305 records/s and, by what a consumer did before, 3 can do 300"
    assert found.remedy.endswith("tried again in 60 s")
    assert findings_of(POLICY, replace(CALM, memory=memory, now=NOW + 60), ()) == ()


@pytest.mark.parametrize(("waited", "join", "late"), [
    (119.9, None, False), (120.0, None, True), (159.0, 40.0, False), (160.0, 40.0, True), (120.0, 5.0, True)])
def test_replicas_do_not_join_when_four_times_as_long_as_usual_has_passed(
    waited: float, join: float | None, late: bool
) -> None:
    memory = Memory(awaited=Awaited(NOW - waited), join_seconds=join)
    found = said(replace(CALM, memory=memory, group=members(2)))
    assert found == ({Reason.REPLICAS_NOT_JOINING: f"2 of 6 consumers are members for {waited:,.0f} s"}
                     if late else {})


def test_who_does_not_join_is_not_told_where_the_group_is_unknown() -> None:
    memory = Memory(awaited=Awaited(NOW - 500))
    assert said(replace(CALM, memory=memory, group=Unknown("no coordinator"))) == {}


def test_bounds_are_told_as_they_stand_in_the_trail() -> None:
    assert said(TOO_MUCH, Limit(12, Reason.AT_PARTITION_LIMIT, "12 useful for the partitions")) == {
        Reason.AT_PARTITION_LIMIT: "12 replicas are wanted and 12 allowed, 12 useful for the partitions: 1,201 "
                                   "records/s arrive, one consumer does 100, 0 records are behind"}
    assert said(TOO_MUCH, Limit(8, Reason.AT_MAX_REPLICAS, "maxReplicas 8"), Limit(6, Reason.AT_MAX_REPLICAS, "x")) == {
        Reason.AT_MAX_REPLICAS: "12 replicas are wanted and 8 allowed, maxReplicas 8: 1,201 records/s arrive, one "
                                "consumer does 100, 0 records are behind"}


USUAL = Memory(usual=Usual(NOW, 600.0, 200.0, 100.0))
BEHIND = replace(even(6, 300.0, age=30.0), backlog=Backlog.BEHIND, memory=USUAL)
FLOODED = replace(even(12, 1201.0, age=30.0), backlog=Backlog.BEHIND, memory=USUAL)
EMPTY = replace(CALM, group=Group("Empty"), lag=dict.fromkeys(TPS, 5))
PARTITIONS, MOST = Limit(12, Reason.AT_PARTITION_LIMIT, "12 useful"), Limit(8, Reason.AT_MAX_REPLICAS, "maxReplicas 8")
CRASHES = Replicas(6, 6, "1 of 6 pods in CrashLoopBackOff")


def usual(arrival: float, per_consumer: float | None, seconds: float = 600.0) -> Memory:
    return Memory(usual=Usual(NOW, seconds, arrival, per_consumer))


TAKEN_BACK = replace(usual(300.0, 200.0), ineffective=Ineffective(3, NOW, 1, 6, 300.0, 305.0))
CRASHED = Memory(found=(Found(Reason.REPLICAS_NOT_JOINING, NOW - 15, "seen", "do"),))


def memberless(hours: float) -> Memory:
    return Memory(memberless_since=NOW - 3600 * hours)


ALSO_OTHERS = Group("Stable", "cooperative-sticky", tuple(
    replace(member, partitions=member.partitions | {TopicPartition("views", place)})
    for place, member in enumerate(members(6).members)))
SPIKE, SLOW, NOBODY = Reason.PRODUCER_SPIKE, Reason.SLOW_CONSUMERS, Reason.NO_MEMBERS
FINE, LATE = Backlog.CAUGHT_UP, Backlog.BEHIND
STORM, HUNG, EXPIRING = Reason.REBALANCE_STORM, Reason.HUNG_TRANSACTION, Reason.OFFSETS_EXPIRING
CASES: list[tuple[str, Situation, tuple[Limit, ...], Backlog, tuple[Reason, ...]]] = [
    ("calm", CALM, (), FINE, ()),
    ("1.5 times the usual", BEHIND, (), LATE, (SPIKE,)),
    ("less than 1.5 times", replace(BEHIND, memory=usual(201.0, 100.0)), (), LATE, ()),
    ("a spike that is no backlog", replace(BEHIND, backlog=Backlog.CAUGHT_UP, age=0.0), (), FINE, ()),
    ("two minutes tell what is usual", replace(BEHIND, memory=usual(200.0, 100.0, 120.0)), (), LATE, (SPIKE,)),
    ("less does not", replace(BEHIND, memory=usual(200.0, 100.0, 119.0)), (), LATE, ()),
    ("nothing is known to be usual", replace(BEHIND, memory=Memory()), (), LATE, ()),
    ("usually nothing", replace(BEHIND, memory=usual(0.0, None)), (), LATE, (SPIKE,)),
    ("usually nothing, now a trickle", replace(BEHIND, memory=usual(0.0, None), rates=known(1.4, 100.0)), (), LATE, ()),
    ("the arrival is not known", replace(BEHIND, rates=known(Unknown("one look"), 100.0)), (), LATE, ()),
    ("under 0.7 of the usual", replace(BEHIND, memory=usual(300.0, 143.0)), (), LATE, (SLOW,)),
    ("0.7 of it", replace(BEHIND, memory=usual(300.0, 142.0)), (), LATE, ()),
    ("half of it, and one record fewer in the time watched", replace(
        BEHIND, memory=usual(300.0, 1 / 30), rates=known(300.0, 1 / 60)), (), LATE, ()),
    ("half of it, and two records fewer", replace(
        BEHIND, memory=usual(300.0, 1 / 15), rates=known(300.0, 1 / 30)), (), LATE, (SLOW,)),
    ("they read a topic that is not declared too", replace(
        BEHIND, memory=usual(300.0, 143.0), group=ALSO_OTHERS), (), LATE, ()),
    ("exactly 0.7 of it", replace(BEHIND, memory=usual(300.0, 100.0), rates=known(300.0, 70.0)), (), LATE, ()),
    ("both", replace(BEHIND, memory=usual(200.0, 200.0)), (), LATE, (SLOW, SPIKE)),
    ("a bound proves no slowness", replace(BEHIND, memory=usual(300.0, 200.0), rates=known(300, 100, learned=False)),
     (), LATE, ()),
    ("slow before a scale-up", replace(BEHIND, memory=replace(usual(300.0, 200.0), trial=Trial(NOW, 3, 6, 300.0))), (),
     LATE, (SLOW,)),
    ("slow since a scale-up that was taken back", replace(BEHIND, memory=TAKEN_BACK, replicas=Replicas(3, 3)), (),
     LATE, (Reason.INEFFECTIVE_SCALING,)),
    ("slow, after its back-off", replace(BEHIND, memory=TAKEN_BACK), (), LATE, (SLOW,)),
    ("too much, after its back-off", replace(FLOODED, memory=TAKEN_BACK), (PARTITIONS,), LATE,
     (SLOW, SPIKE, Reason.AT_PARTITION_LIMIT)),
    ("a bound while a scale-up is on trial", replace(CALM, memory=Memory(trial=Trial(NOW, 3, 6, 300.0))), (MOST,),
     FINE, ()),
    ("60 s without members", replace(EMPTY, memberless_seconds=60.0), (), FINE, (NOBODY,)),
    ("less than the objective", replace(EMPTY, memberless_seconds=59.0), (), FINE, ()),
    ("179 s without members, and somebody committed", replace(
        EMPTY, memberless_seconds=179.0, commits_unseen=True), (), FINE, ()),
    ("180 s without members, and somebody committed", replace(
        EMPTY, memberless_seconds=180.0, commits_unseen=True), (), FINE, (NOBODY,)),
    ("nobody, and nothing to do yet", replace(EMPTY, memberless_seconds=99.0, lag=dict.fromkeys(TPS, 0)), (), FINE,
     (NOBODY,)),
    ("nobody is asked for", replace(EMPTY, memberless_seconds=99.0, replicas=Replicas(0, 0)), (), FINE, ()),
    ("nobody yet", replace(
        EMPTY, memberless_seconds=99.0, memory=Memory(scales=(Scaled(NOW - 59, 0, 6),))), (), FINE, ()),
    ("nobody, though there was time", replace(
        EMPTY, memberless_seconds=99.0, memory=Memory(scales=(Scaled(NOW - 60, 0, 6),))), (), FINE, (NOBODY,)),
    ("nobody, and more are wanted", replace(EMPTY, memberless_seconds=99.0), (PARTITIONS, MOST), FINE, (NOBODY,)),
    ("nobody, and far more arrives", replace(TOO_MUCH, group=Group("Empty"), memberless_seconds=99.0), (PARTITIONS,),
     FINE, (NOBODY,)),
    ("the group is not known", replace(EMPTY, memberless_seconds=0.0, group=Unknown("moving")), (), FINE, ()),
    ("some are missing", replace(CALM, memory=Memory(awaited=Awaited(NOW - 120)), group=members(2)), (),
     FINE, (Reason.REPLICAS_NOT_JOINING,)),
    ("some are missing, and more are wanted", replace(
        CALM, memory=Memory(awaited=Awaited(NOW - 120)), group=members(2)), (PARTITIONS,),
     FINE, (Reason.REPLICAS_NOT_JOINING,)),
    ("three came and went", replace(CALM, unrest=Unrest(3, again=2)), (), FINE, (STORM,)),
    ("two came and went", replace(CALM, unrest=Unrest(2, again=1)), (), FINE, ()),
    ("a rollout of twelve", replace(CALM, unrest=Unrest(12)), (), FINE, ()),
    ("a rollout of twelve and one more", replace(CALM, unrest=Unrest(13, again=1)), (), FINE, ()),
    ("some are missing, and far more arrives", replace(
        TOO_MUCH, memory=Memory(awaited=Awaited(NOW - 120)), group=members(2)), (PARTITIONS,),
     FINE, (Reason.REPLICAS_NOT_JOINING,)),
    ("one is there, and far more arrives", replace(TOO_MUCH, group=members(1)), (PARTITIONS,),
     FINE, (Reason.AT_PARTITION_LIMIT,)),
    ("all are there that are still awaited", replace(CALM, memory=Memory(awaited=Awaited(NOW - 120))), (), FINE, ()),
    ("three came and went, and we added one", replace(
        CALM, unrest=Unrest(3, again=2), memory=Memory(scales=(Scaled(NOW - 300, 5, 6),))), (), FINE, (STORM,)),
    ("three came and went, and the one that we took just had two minutes to leave", replace(
        CALM, unrest=Unrest(3, again=2), memory=Memory(scales=(Scaled(NOW - 720, 7, 6),))), (), FINE, ()),
    ("three came and went, and the one that we took had more", replace(
        CALM, unrest=Unrest(3, again=2), memory=Memory(scales=(Scaled(NOW - 721, 7, 6),))), (), FINE, (STORM,)),
    ("three came and went, and we took one", replace(
        CALM, unrest=Unrest(3, again=2), memory=Memory(scales=(Scaled(NOW - 300, 7, 6),))), (), FINE, ()),
    ("four came and went, two of them again, and we took one", replace(
        CALM, unrest=Unrest(4, again=2), memory=Memory(scales=(Scaled(NOW - 300, 7, 6),))), (), FINE, ()),
    ("others took the replicas away twice", replace(CALM, memory=Memory(others=(
        OthersChange(NOW - 180, 7, 6, "argocd"), OthersChange(NOW, 7, 6, "argocd")))), (), FINE,
     (Reason.REPLICAS_CHANGED_BY_OTHERS,)),
    ("half of the time in a rebalance", replace(CALM, unrest=Unrest(2, 0.5, 1)), (), FINE, (STORM,)),
    ("less than half", replace(CALM, unrest=Unrest(2, 0.49, 1)), (), FINE, ()),
    ("a rebalance that lasts, of the same members", replace(CALM, unrest=Unrest(0, 1.0)), (), FINE, ()),
    ("a rebalance that lasts since members left", replace(CALM, unrest=Unrest(2, 1.0)), (), FINE, ()),
    ("pods crash", replace(CALM, unrest=Unrest(3), replicas=CRASHES), (), FINE, (Reason.REPLICAS_NOT_JOINING,)),
    ("one pod crashed once", replace(CALM, unrest=Unrest(1), replicas=CRASHES), (), FINE, ()),
    ("one pod crashes on", replace(CALM, unrest=Unrest(1), replicas=CRASHES, memory=CRASHED), (),
     FINE, (Reason.REPLICAS_NOT_JOINING,)),
    ("none crashes any more", replace(CALM, unrest=Unrest(1), memory=CRASHED), (), FINE, ()),
    ("an open transaction", replace(CALM, hung={TPS[0]: Hung(70, 180.0)}), (), FINE, (HUNG,)),
    ("half of six days", replace(CALM, memory=memberless(6 * 24.0)), (), FINE, (EXPIRING,)),
    ("two days left", replace(CALM, memory=memberless(5 * 24.0)), (), FINE, ()),
    ("half of a short retention", replace(
        CALM, memory=memberless(12.0), details=Details(offsets_retention_seconds=86_400.0)), (), FINE, (EXPIRING,)),
    ("less than half of it", replace(
        CALM, memory=memberless(11.9), details=Details(offsets_retention_seconds=86_400.0)), (), FINE, ()),
    ("stuck", replace(CALM, stuck=frozenset(TPS[:1])), (), FINE, (Reason.STUCK_PARTITION,)),
    ("unread", replace(CALM, unread=dict.fromkeys(TPS[:1], 60.0)), (), FINE, (Reason.UNREAD_PARTITIONS,)),
    ("hot", replace(CALM, hot=frozenset(TPS[:1])), (), FINE, (Reason.HOT_PARTITION,)),
    ("at the partitions", TOO_MUCH, (PARTITIONS,), FINE, (Reason.AT_PARTITION_LIMIT,)),
    ("at the most", TOO_MUCH, (MOST,), FINE, (Reason.AT_MAX_REPLICAS,)),
    ("a bound that is enough", replace(TOO_MUCH, rates=known(1200.0, 100.0)), (PARTITIONS,), FINE, ()),
    ("a bound that is not enough to recover", replace(
        CALM, rates=known(1100.0, 100.0), lag=dict.fromkeys(TPS, 2501)), (PARTITIONS,),
     FINE, (Reason.AT_PARTITION_LIMIT,)),
    ("a bound that is just enough to recover", replace(
        CALM, rates=known(1100.0, 100.0), lag=dict.fromkeys(TPS, 2500)), (PARTITIONS,), FINE, ()),
    ("a bound of replicas with two threads", replace(
        CALM, rates=known(1100.0, 100.0), spread=Spread((12,), 2)), (Limit(6, Reason.AT_PARTITION_LIMIT, "6 useful"),),
     FINE, ()),
    ("a bound of consumers that were not seen busy", replace(TOO_MUCH, rates=known(1201.0, 100.0, learned=False)),
     (PARTITIONS,), FINE, ()),
    ("a bound that is too little for all that is on trial", replace(
        TOO_MUCH, memory=Memory(trial=Trial(NOW, 3, 12, 300.0))), (PARTITIONS,), FINE, (Reason.AT_PARTITION_LIMIT,)),
    ("a bound on a guess, without a capacity", replace(CALM, rates=known(300.0, Unknown("not measured"))), (MOST,),
     FINE, ()),
    ("stuck, and another had it before", replace(CALM, stuck=frozenset(TPS[:1]), kept=frozenset()), (), FINE, ()),
    ("more did not help", replace(CALM, memory=Memory(ineffective=Ineffective(3, NOW + 9, 1, 6, 300.0, 305.0))),
     (PARTITIONS, MOST), FINE, (Reason.INEFFECTIVE_SCALING,)),
    ("more did not help, and far more arrives", replace(
        TOO_MUCH, memory=Memory(ineffective=Ineffective(3, NOW + 9, 1, 12, 300.0, 305.0))), (PARTITIONS,),
     FINE, (Reason.INEFFECTIVE_SCALING,)),
    ("records are lost", replace(CALM, retention=(TPS[0], 60.0)), (), FINE, (Reason.RETENTION_RISK,)),
    ("records were lost", replace(CALM, lost={TPS[0]: 2}), (), FINE, (Reason.RECORDS_LOST,)),
    ("a topic was recreated", replace(CALM, recreated=frozenset({"orders"})), (), FINE, (Reason.TOPIC_RECREATED,)),
    ("brokers are slow", replace(CALM, details=Details(stretch=2)), (), FINE, (Reason.BROKERS_SLOW,)),
]


@pytest.mark.parametrize(
    ("situation", "trail", "state", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_every_rule_and_the_verdict_are_as_the_table_says(
    situation: Situation, trail: tuple[Limit, ...], state: Backlog, expected: tuple[Reason, ...]
) -> None:
    by_rule = {Reason[rule.__name__.upper()]: rule(POLICY, situation, trail) for rule in RULES}
    assert {reason: found is not None for reason, found in by_rule.items()} == {
        reason: reason in expected for reason in by_rule}
    assert all(found is None or found.reason is reason for reason, found in by_rule.items())
    assert tuple(found.reason for found in findings_of(POLICY, situation, trail)) == expected
    assert backlog(History(), POLICY, situation.age, situation.rates) is situation.backlog is state


def test_the_table_has_every_rule_and_no_evidence_in_two_parts() -> None:
    """A condition is `evidence; remedy`: who reads it parts them at the first of these."""
    found = [finding for _, situation, trail, *_ in CASES for finding in findings_of(POLICY, situation, trail)]
    assert {finding.reason for finding in found} == {Reason[rule.__name__.upper()] for rule in RULES}
    assert [finding.evidence for finding in found if "; " in finding.evidence or not finding.remedy] == []


def test_evidence_is_told_in_numbers() -> None:
    assert said(BEHIND)[SPIKE] == "300 records/s arrive and usually 200, 1.5 times as many"
    assert said(replace(BEHIND, memory=usual(300.0, 200.0)))[SLOW] == (
        "one consumer does 100 records/s and usually 200")
    crashed = replace(EMPTY, memberless_seconds=99.0, replicas=CRASHES)
    assert said(crashed)[NOBODY] == (
        "no member for 99 s (replicas: 6, records behind: 60): 1 of 6 pods in CrashLoopBackOff")
    one_taken = replace(CALM, unrest=Unrest(5, again=4), memory=Memory(scales=(Scaled(NOW - 300, 7, 6),)))
    assert said(one_taken)[STORM].startswith("4 members came and went within 10 min")
    assert said(replace(CALM, unrest=Unrest(4, 0.25, again=3)))[STORM] == (
        "4 members came and went within 10 min, 25% of looks in a rebalance")
    assert said(replace(CALM, hung={TPS[0]: Hung(70, 240.0)}))[HUNG] == (
        "70 records of orders/0 wait behind a transaction that is open for 240 s")
    assert said(replace(CALM, memory=memberless(6 * 24.0)))[EXPIRING] == (
        "no member for 144 h, 24 h left of the 7.0 days (the default) that offsets are kept")
    assert said(replace(CALM, lost={TPS[0]: 1200, TPS[1]: 34}))[Reason.RECORDS_LOST] == (
        "at least 1,234 records of orders/0, orders/1 were deleted before the group processed them")
    assert said(replace(CALM, recreated=frozenset("dcba")))[Reason.TOPIC_RECREATED].startswith(
        "the end of a, b, c and 1 more fell, so it was recreated or truncated")
    assert said(replace(CALM, details=Details(stretch=4)))[Reason.BROKERS_SLOW] == (
        "polls took over half of their interval: there is one every 15 s now, 4 times as far apart as asked for")
    assert said(replace(CALM, unrest=Unrest(3), replicas=CRASHES))[Reason.REPLICAS_NOT_JOINING] == (
        "3 members came and went: 1 of 6 pods in CrashLoopBackOff")


@pytest.mark.parametrize(("interval", "ago", "lasts"), [
    (15, 0.0, True), (15, 60.0, True), (15, 60.1, False), (60, 180.0, True), (60, 180.1, False), (15, -1.0, False)])
def test_a_finding_lasts_for_a_minute_and_three_polls(interval: int, ago: float, lasts: bool) -> None:
    old = Found(Reason.HOT_PARTITION, NOW - ago, "seen", "do")
    policy = replace(POLICY, polling_interval_seconds=interval)
    assert lasting((), policy, Memory(found=(old,)), NOW) == ((old,) if lasts else ())


def test_what_is_seen_now_replaces_what_was_seen() -> None:
    seen = findings_of(POLICY, replace(CALM, stuck=frozenset(TPS[:1])), ())
    old = (Found(Reason.STUCK_PARTITION, NOW - 15, "old", "do"), Found(Reason.HOT_PARTITION, NOW - 15, "seen", "do"))
    found = lasting(seen, POLICY, Memory(found=old), NOW)
    assert found == (
        Found(Reason.STUCK_PARTITION, NOW, "orders/0 not moving with 0 records behind", seen[0].remedy), old[1])
