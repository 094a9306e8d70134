"""What is said of producers that are held back, word for word: findings, explanation, and what the safe rate is by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.diagnosis import Finding
from kafka_consumer_scaler.core.explain import explain
from kafka_consumer_scaler.core.findings import findings_of
from kafka_consumer_scaler.core.memory import Ineffective, Memory
from kafka_consumer_scaler.core.policy import Mode, Policy, ProducerQuota
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import safe_rate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, TopicPartition, Unknown
from kafka_consumer_scaler.core.throttle import CALM_SHARE, Course, Quota, Throttle, unseen
from tests.core.explaining import judged
from tests.core.making import NOW, known, orders
from tests.core.test_safe_rate import safe, skewed
from tests.core.test_throttle import DETAILS, POLICY, SHOP, behind, held, rate_of, steered

BOTH = replace(POLICY, quotas=(SHOP, ProducerQuota(4_000, user="billing")))
ADVISORY, PAUSED = replace(POLICY, mode=Mode.ADVISORY), replace(POLICY, paused=True)
SUSTAINED = "12 replicas sustain 1,200 records/s"
LIFT = "lift what binds the consumers (partitions, maxReplicas, keys, a bound downstream), or let producers send less"
LOWER = "lower minBytesPerSecond, or lift what binds the consumers; till then the backlog grows"


def throttle(rate: float = 120_000, floor: bool = False) -> Throttle:
    quotas = (Quota("shop", None, 30_000), Quota(None, "billing", 10_000))
    return Throttle(rate, quotas, floor, f"{SUSTAINED}; 909 while some wait")


def upstream(policy: Policy, held_to: Throttle | None, situation: Situation) -> tuple[Finding, ...]:
    """Findings of the producers alone."""
    own = {Reason.THROTTLING_PRODUCERS, Reason.AT_QUOTA_FLOOR}
    return tuple(each for each in findings_of(policy, situation, (), held_to) if each.reason in own)


def explained(policy: Policy, held_to: Throttle | None, situation: Situation) -> tuple[str, ...]:
    verdict = replace(judged(situation, policy), safe_rate=safe_rate(policy, situation), throttle=held_to)
    return explain(policy, verdict).upstream


@pytest.mark.parametrize(("policy", "verb"), [(POLICY, "are"), (ADVISORY, "would be"), (PAUSED, "would be")])
def test_who_is_held_back_is_told_with_rate_floor_and_cause(policy: Policy, verb: str) -> None:
    evidence = f"producers {verb} held to 120,000 bytes/s, at least 12,000: {SUSTAINED}, and 909 while some wait"
    assert upstream(policy, throttle(), behind()) == (Finding(Reason.THROTTLING_PRODUCERS, evidence, LIFT),)
    assert upstream(policy, None, behind()) == ()


def test_who_is_held_back_is_told_beside_what_else_was_found() -> None:
    situation = behind(stuck=frozenset({orders(12)[0]}), lag=dict.fromkeys(orders(12), 5))
    found = [each.reason for each in findings_of(POLICY, situation, (), throttle())]
    assert found == [Reason.STUCK_PARTITION, Reason.THROTTLING_PRODUCERS]


@pytest.mark.parametrize(("floor", "is_reached", "is_told"), [
    (130_000, True, True), (120_001, True, True), (119_999, True, False), (130_000, False, False),
])
def test_a_floor_is_told_where_it_is_more_than_is_sustained(floor: int, is_reached: bool, is_told: bool) -> None:
    policy = replace(POLICY, quotas=(ProducerQuota(floor, client_id="shop"),))
    evidence = f"the floor is {floor:,} bytes/s and the group sustains 120,000: {SUSTAINED}, and 909 while some wait"
    found = upstream(policy, throttle(floor, floor=is_reached), behind())
    assert found[:-1] == ((Finding(Reason.AT_QUOTA_FLOOR, evidence, LOWER),) if is_told else ())


@pytest.mark.parametrize("situation", [behind(details=Details()), behind(rates=known(2400, Unknown("idle")))])
def test_a_floor_is_not_told_to_be_too_much_where_nobody_knows_what_is_sustained(situation: Situation) -> None:
    policy = replace(POLICY, quotas=(ProducerQuota(130_000, client_id="shop"),))
    assert len(upstream(policy, throttle(floor=True), situation)) == 1


@pytest.mark.parametrize(("policy", "verb"), [(BOTH, "are"), (replace(BOTH, mode=Mode.ADVISORY), "would be"),
                                              (replace(BOTH, paused=True), "would be")])
def test_an_explanation_tells_what_is_safe_and_what_each_broker_is_told_of_whom(policy: Policy, verb: str) -> None:
    each = "30,000 on each broker for client id shop, 10,000 on each broker for user billing"
    assert explained(policy, throttle(), behind()) == (
        f"1,200 records/s are safe: {SUSTAINED}.", f"Producers {verb} held to 120,000 bytes/s: {each}.")
    assert explained(policy, throttle(floor=True), behind())[1] == (
        f"Producers {verb} held to 120,000 bytes/s, the floor: {each}.")


def test_what_was_asked_for_before_is_told_where_replicas_are_counted_with_it() -> None:
    situation = behind(1200, observed=Arrival(1200, 1200), rates=known(2400, 100, drain=1200))
    assert explained(POLICY, throttle(), situation)[-1] == (
        "2,400 records/s were asked for before; replicas are counted with that.")


@pytest.mark.parametrize(("quotas", "arrival", "said"), [
    ((), 1200, ()), ((), 1201, (f"1,200 records/s are safe: {SUSTAINED}.",)),
    ((SHOP,), 300, (f"1,200 records/s are safe: {SUSTAINED}.", "Producers send as they like.")),
])
def test_what_is_safe_is_told_where_quotas_are_named_or_more_arrives(
    quotas: tuple[ProducerQuota, ...], arrival: float, said: tuple[str, ...]
) -> None:
    assert explained(replace(POLICY, quotas=quotas), None, behind(arrival)) == said


def test_a_lower_bound_of_what_is_safe_is_told_as_one() -> None:
    situation = behind(rates=known(2400, 100, drain=1200, learned=False))
    assert explained(POLICY, None, situation)[0] == f"1,200 records/s are safe, at least: {SUSTAINED}."


# what the safe rate is by

def test_a_single_replica_sustains_in_the_singular() -> None:
    assert safe(behind(each=0), Policy(max_replicas=1)).because == "1 replica sustains 100 records/s"


def test_a_hot_partition_and_a_bound_are_the_cause_and_what_waits_is_told_after_them() -> None:
    hot = skewed(0.4, hot=frozenset({orders(12)[0]}))
    assert safe(hot).because == (
        "12 replicas sustain 250 records/s, as orders/0 gets 40% of them and a consumer does 100")
    bound = Memory(ineffective=Ineffective(12, NOW, 1, 12, 600, 588))
    assert safe(behind(each=0, memory=bound)).because == "12 replicas sustain 588 records/s, as 12 did no more"
    assert safe(behind(each=5000, memory=bound)).because == (
        "12 replicas sustain 588 records/s, as 12 did no more; "
        "441 while 60,000 records wait, to be back in 300 s")
    assert safe(behind(each=10_000)).because == f"{SUSTAINED}; 909 while 120,000 records wait, to be back in 300 s"


def test_of_two_hot_partitions_of_one_consumer_the_hotter_one_is_named() -> None:
    """Four consumers; the first has partitions 0 to 2, of which 1 gets 0.3 and 0 gets 0.2."""
    names = orders(12)
    shares = {tp: {0: 0.2, 1: 0.3}.get(tp.partition, 0.05) for tp in names}
    group = Group("Stable", "range", tuple(Member(f"m{n}", frozenset(names[3 * n:3 * n + 3])) for n in range(4)))
    found = safe(behind(each=0, shares=shares, hot=frozenset(names[:2]), group=group), Policy(max_replicas=4))
    assert found.partition == names[1]


def test_what_a_bound_that_does_not_bind_did_is_no_cause() -> None:
    """1,250 were done together, and each of twelve consumers does 100."""
    assert safe(behind(each=0, memory=Memory(ineffective=Ineffective(12, NOW, 1, 12, 600, 1250)))).because == SUSTAINED


def test_a_topic_from_which_nothing_comes_need_not_be_weighed() -> None:
    other = TopicPartition("refunds", 0)
    found = safe(behind(shares={**behind().shares, other: 0.0}))
    assert found.bytes == pytest.approx(120_000)


def test_without_any_share_it_is_the_shares_that_are_missing() -> None:
    assert "spread over the partitions" in str(safe_rate(POLICY, behind(shares={})))


# why not, and why no more

def test_why_producers_are_left_alone_is_told_where_they_send_too_much() -> None:
    blind = Details(leaders=DETAILS.leaders)
    assert steered(behind(1201, details=blind)).why == (
        "producers are not slowed down: the mean size of a record of orders is not known")
    assert steered(behind(1200, details=blind)).why == ""
    assert steered(behind(details=Details(record_bytes={"orders": 100.0}))).why == (
        "producers are not slowed down: the broker that leads orders/0 is not known")


@pytest.mark.parametrize(("policy", "why"), [
    (PAUSED, "the resource is paused"), (ADVISORY, "it only advises"),
    (replace(POLICY, quotas=()), "spec.backpressure names no quotas"),
    (BOTH, "spec.backpressure.quotas was changed"),
])
def test_who_is_released_at_once_is_told_why(policy: Policy, why: str) -> None:
    for course in (steered(behind(memory=held()), policy), unseen(policy, held(), NOW)):
        assert (course.throttling, course.why, course.is_released) == (None, why, True)


def test_who_is_released_in_time_is_told_why() -> None:
    calm = steered(behind(100, each=0, age=0, memory=held(calm_since=NOW - 300)))
    assert (calm.throttling, calm.throttle, calm.is_released) == (None, None, True)
    assert calm.why == "no record was older than 20 s for 300 s, and no more arrives than the group sustains"
    blind = unseen(POLICY, held(seen_at=NOW - 600), NOW)
    assert (blind.throttling, blind.why, blind.is_released) == (None, "too little was known for 600 s", True)


def test_the_course_is_told_with_its_verb_and_remembered_in_full() -> None:
    begun = steered(behind())
    assert begun.why == f"producers are held to 120,000 bytes/s: {SUSTAINED}"
    assert begun.throttling is not None
    assert begun.throttle == Throttle(begun.throttling.rate, (Quota("shop", None, begun.throttling.per_broker[0]),),
                                      is_at_floor=False, because=SUSTAINED)
    remembered = begun.throttling
    assert (remembered.since, remembered.changed_at, remembered.seen_at) == (NOW, NOW, NOW)
    assert (remembered.demand, remembered.calm_since) == (2400, None)
    assert remembered.record_bytes == pytest.approx(100)
    assert not remembered.is_weighed
    went_on = steered(behind(2500, memory=held(ago=40))).throttling
    assert went_on is not None
    assert (went_on.since, went_on.changed_at, went_on.seen_at) == (NOW - 1000, NOW - 40, NOW)
    assert (went_on.rate, went_on.demand, went_on.calm_since) == (120_000, 2500, None)
    changed = steered(behind(each=10_000, memory=held(ago=40))).throttling
    assert changed is not None
    assert changed.changed_at == NOW


def test_a_users_entry_is_told_as_a_users() -> None:
    course = steered(behind(), BOTH)
    assert course.throttle is not None
    assert [(each.client_id, each.user, round(each.bytes_per_broker)) for each in course.throttle.quotas] == [
        ("shop", None, 30_000), (None, "billing", 10_000)]


def test_a_rate_at_the_floor_is_told_to_be_there() -> None:
    for each, is_there in ((40_000, True), (10_000, False)):
        course = steered(behind(each=each, memory=held(ago=40)))
        assert course.throttle is not None
        assert course.throttle.is_at_floor is is_there


# at the edges

def test_calm_begins_once_and_ends_with_an_older_record() -> None:
    def calm_since(age: float, since: float | None = None) -> float | None:
        course = steered(behind(100, each=0, age=age, memory=held(calm_since=since)))
        assert course.throttling is not None
        return course.throttling.calm_since

    assert calm_since(0) == NOW
    assert calm_since(0, NOW - 100) == NOW - 100
    assert calm_since(CALM_SHARE * 60, NOW - 100) is None


@pytest.mark.parametrize(("drain", "age", "is_held"), [
    (1150, 61, True), (1151, 61, False), (1, 61, True), (0, 61, False), (1150, 60, False),
    (Unknown("one sample"), 61, False),
])
def test_falling_behind_is_to_do_something_and_no_more_than_what_arrives(
    drain: float | Unknown, age: float, is_held: bool
) -> None:
    """1,200 could be done, and 1,150 arrive."""
    situation = behind(1150, each=6500, age=age, rates=known(1150, 100, drain=drain))
    assert (steered(situation).throttling is not None) is is_held
    assert steered(replace(situation, group=Unknown("no coordinator"))) == Course()


def test_what_is_sustained_is_not_too_much() -> None:
    """7,000 behind will be late at 1,200 and at 1,201."""
    assert steered(behind(1200, each=7000)) == Course()
    assert rate_of(steered(behind(1201, each=7000))) is not None


@pytest.mark.parametrize(("arrival", "then"), [(1150, 108_000), (1142, 120_000)])
def test_a_rate_at_which_consumers_gain_less_than_a_twentieth_is_lowered(arrival: float, then: float) -> None:
    """1,200 are done, and 1,143 would be a twentieth less."""
    situation = behind(arrival, age=46, rates=known(2400, 100, drain=1200), memory=held(ago=75))
    assert rate_of(steered(replace(situation, observed=Arrival(arrival, arrival)))) == then


def test_a_rate_at_its_floor_is_raised_like_any_other() -> None:
    policy = replace(POLICY, quotas=(ProducerQuota(60_000, client_id="shop"),))
    assert rate_of(steered(behind(1200, memory=held(60_000, 30)), policy)) == 66_000


def test_the_first_rate_is_dealt_by_what_each_broker_is_asked_for() -> None:
    """240,000 are asked for, half of them of one broker: 120,000, 60,000 and 60,000, and 40,000 of each are 120,000."""
    leaders = {tp: 0 if tp.partition < 6 else tp.partition % 2 + 1 for tp in orders(12)}
    course = steered(behind(details=replace(DETAILS, leaders=leaders)))
    assert course.throttling is not None
    assert course.throttling.per_broker == pytest.approx((40_000,))


def test_a_partition_from_which_nothing_comes_needs_no_leader() -> None:
    course = steered(behind(shares={**behind().shares, TopicPartition("refunds", 0): 0.0}))
    assert course.throttling is not None
    assert course.throttling.per_broker == pytest.approx((40_000,))


def test_while_leaders_are_not_known_brokers_are_told_the_same_part_of_another_rate() -> None:
    blind = Details(record_bytes={"orders": 100.0})
    course = steered(behind(each=10_000, details=blind, memory=held(ago=30, per_broker=(50_000,))))
    assert course.throttling is not None
    assert course.throttling.per_broker == pytest.approx((50_000 * 90_909 / 120_000,), rel=1e-4)


def test_a_record_a_second_weighs_no_more_than_four_times_what_is_stored() -> None:
    course = steered(behind(1, age=30, memory=held(ago=75, is_weighed=False)))
    assert course.throttling is not None
    assert course.throttling.record_bytes == 400


def test_what_is_held_unseen_is_told_so() -> None:
    said = "producers are held to 120,000 bytes/s: held as it was, as too little is known"
    blind = behind(memory=held(), ages={orders(12)[0]: Unknown("one sample")})
    for course in (unseen(POLICY, held(), NOW), steered(blind)):
        assert (course.throttling, course.why, course.is_released) == (held().throttling, said, False)


def test_what_goes_on_is_told_with_its_cause() -> None:
    assert steered(behind(memory=held(ago=40))).why == f"producers are held to 120,000 bytes/s: {SUSTAINED}"
