"""Findings as a person reads them: the evidence with its numbers, and the remedy, word by word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.diagnosis import Finding
from kafka_consumer_scaler.core.findings import findings_of
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.membership import Hung, Unrest
from kafka_consumer_scaler.core.memory import Awaited, Ineffective, Memory, OthersChange, Scaled
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Unknown
from tests.core.making import NOW, known, members
from tests.core.test_findings import (
    BEHIND,
    CALM,
    CRASHES,
    EMPTY,
    MOST,
    PARTITIONS,
    POLICY,
    SLOW,
    SPIKE,
    TOO_MUCH,
    TPS,
    memberless,
    said,
    usual,
)

HOT = replace(CALM, hot=frozenset({TPS[4]}), shares={**CALM.shares, TPS[4]: 0.5})
TOLD: Mapping[Reason, tuple[Situation, tuple[Limit, ...], str, str]] = {
    Reason.RECORDS_LOST: (
        replace(CALM, lost={TPS[0]: 1200, TPS[1]: 34}), (),
        "at least 1,234 records of orders/0, orders/1 were deleted before the group processed them",
        "raise the topic's retention.ms; get what was lost from its source; consumers go on where auto.offset.reset "
        "says"),
    Reason.RETENTION_RISK: (
        replace(CALM, retention=(TPS[3], 1234.5)), (), "orders/3 loses unprocessed records in 1,234 s",
        "raise the topic's retention.ms until the group has caught up"),
    Reason.TOPIC_RECREATED: (
        replace(CALM, recreated=frozenset({"orders"})), (),
        "the end of orders fell, so it was recreated or truncated, and what was learned before is dropped",
        "restart the consumers if they do not go on; if nobody recreated it, look for an unclean leader election"),
    Reason.OFFSETS_EXPIRING: (
        replace(CALM, memory=memberless(72.51), details=Details(offsets_retention_seconds=345_600.0)), (),
        "no member for 73 h, 23 h left of the 4.0 days that offsets are kept",
        "start a consumer, or raise offsets.retention.minutes; without offsets the group starts where offsetReset "
        "says"),
    Reason.NO_MEMBERS: (
        replace(EMPTY, memberless_seconds=99.0), (), "no member for 99 s (replicas: 6, records behind: 60)",
        "look at the pods, and whether their group.id and bootstrap.servers are those of this resource"),
    Reason.REPLICAS_NOT_JOINING: (
        replace(CALM, memory=Memory(awaited=Awaited(NOW - 120)), group=members(2)), (),
        "2 of 6 consumers are members for 120 s", "look at the pods: they are pending, crash, or do not reach the "
        "brokers"),
    Reason.REBALANCE_STORM: (
        replace(CALM, unrest=Unrest(2, 0.5, 1)), (),
        "2 members came and went within 10 min, 50% of looks in a rebalance",
        "raise max.poll.interval.ms above the longest batch, or lower max.poll.records; use group.instance.id"),
    Reason.REPLICAS_CHANGED_BY_OTHERS: (
        replace(CALM, memory=Memory(others=(OthersChange(NOW - 180, 4, 1, "kubectl"),
                                            OthersChange(NOW, 4, 1, "argocd-controller")))), (),
        "replicas was changed from 4 to 1 by argocd-controller, 2 times within the hour",
        "leave `replicas` out of the manifest that is applied; in Argo CD, ignoreDifferences for /spec/replicas"),
    Reason.HUNG_TRANSACTION: (
        replace(CALM, hung={TPS[0]: Hung(70, 240.0), TPS[1]: Hung(5, 9.0)}), (),
        "75 records of orders/0, orders/1 wait behind a transaction that is open for 240 s",
        "find it with `kafka-transactions.sh find-hanging`, and abort it or restart its producer"),
    Reason.INEFFECTIVE_SCALING: (
        replace(CALM, memory=Memory(ineffective=Ineffective(3, NOW + 60, 1, 6, 300.0, 305.0))), (),
        "6 replicas processed 305 records/s and, by what a consumer did before, 3 can do 300",
        "look for a bound downstream (database, quota, lock); tried again in 60 s"),
    Reason.HOT_PARTITION: (
        HOT, (), "orders/4 gets 150 records/s and one consumer does 100",
        "spread the keys over more partitions or make the consumer faster; even one of its own cannot keep up"),
    Reason.STUCK_PARTITION: (
        replace(CALM, stuck=frozenset({TPS[0]}), lag=dict.fromkeys(TPS, 500)), (),
        "orders/0 not moving with 500 records behind",
        "look at the first uncommitted record and at the consumer that has it; more replicas cannot help"),
    Reason.SLOW_CONSUMERS: (
        replace(BEHIND, memory=usual(300.0, 200.0)), (), "one consumer does 100 records/s and usually 200",
        "look at what they wait for (database, remote calls, garbage collection) and at their CPU limit"),
    Reason.PRODUCER_SPIKE: (
        BEHIND, (), "300 records/s arrive and usually 200, 1.5 times as many",
        "nothing, if it passes and the replicas suffice; else slow the producers down at their entry"),
    Reason.BROKERS_SLOW: (
        replace(CALM, details=Details(stretch=4)), (),
        "polls took over half of their interval: there is one every 15 s now, 4 times as far apart as asked for",
        "look at the brokers' load and at quotas on the operator's user or client id; or raise pollingIntervalSeconds"),
    Reason.AT_PARTITION_LIMIT: (
        TOO_MUCH, (PARTITIONS,), "12 replicas are wanted and 12 allowed, 12 useful: 1,201 records/s arrive, one "
        "consumer does 100, 0 records are behind", "add partitions, or make the consumer faster"),
    Reason.AT_MAX_REPLICAS: (
        TOO_MUCH, (MOST,), "12 replicas are wanted and 8 allowed, maxReplicas 8: 1,201 records/s arrive, one consumer "
        "does 100, 0 records are behind", "raise maxReplicas, or make the consumer faster"),
}


@pytest.mark.parametrize("reason", TOLD)
def test_every_finding_reads_as_it_is_written_here(reason: Reason) -> None:
    situation, trail, evidence, remedy = TOLD[reason]
    assert findings_of(POLICY, situation, trail) == (Finding(reason, evidence, remedy),)


def test_topics_that_fell_are_named_up_to_three() -> None:
    for names, told in (("cba", "the end of a, b, c fell,"), ("dcba", "the end of a, b, c and 1 more fell,")):
        assert said(replace(CALM, recreated=frozenset(names)))[Reason.TOPIC_RECREATED].startswith(told)


def test_a_spike_over_a_usual_trickle_tells_how_many_times_as_many() -> None:
    assert said(replace(BEHIND, memory=usual(1.0, 100.0)))[SPIKE] == (
        "300 records/s arrive and usually 1, 300.0 times as many")
    assert said(replace(BEHIND, memory=usual(0.9, 100.0)))[SPIKE] == "300 records/s arrive and usually 1"


def test_more_consumers_since_what_was_usual_are_told_beside_their_slowness() -> None:
    """The change that was made when the usual was last seen counts: it was seen before it."""
    scaled = replace(usual(300.0, 200.0), scales=(Scaled(NOW - 1, 2, 3), Scaled(NOW, 3, 6)))
    assert said(replace(BEHIND, memory=scaled))[SLOW] == (
        "one consumer does 100 records/s and usually 200, with 6 replicas and then 3")


def test_a_hot_partition_is_told_by_the_look_that_has_it() -> None:
    late = replace(HOT, rates=known(300.0, 100.0, newest=900.0))
    assert said(replace(late, shares_newest={}))[Reason.HOT_PARTITION].startswith("orders/4 gets 150 records/s")
    assert said(replace(late, shares={}, shares_newest={TPS[4]: 0.5}))[Reason.HOT_PARTITION].startswith(
        "orders/4 gets 450 records/s")


def test_pods_in_trouble_are_told_beside_what_is_missing_or_left() -> None:
    missing = replace(CALM, memory=Memory(awaited=Awaited(NOW - 120)), group=members(2), replicas=CRASHES)
    joining, trouble = Reason.REPLICAS_NOT_JOINING, "1 of 6 pods in CrashLoopBackOff"
    assert said(replace(missing, unrest=Unrest(3)))[joining] == f"2 of 6 consumers are members for 120 s: {trouble}"
    assert said(replace(CALM, unrest=Unrest(2), replicas=CRASHES))[joining] == f"2 members came and went: {trouble}"


def test_a_bound_is_told_with_as_much_of_the_load_as_is_known() -> None:
    never, by_lag = Unknown("not measured"), replace(POLICY, lag_per_replica=100)
    for capacity, load in ((100.0, "one consumer does 100, 0 records are behind"), (never, "0 records are behind")):
        found = findings_of(by_lag, replace(CALM, rates=known(never, capacity)), (MOST,))
        assert [each.evidence.partition("allowed, ")[2] for each in found] == [f"maxReplicas 8: {load}"]
