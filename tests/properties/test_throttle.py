"""Laws of the throttle, for any course that arrivals, backlogs and blindness could take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.memory import Memory, Throttling
from kafka_consumer_scaler.core.policy import Mode, Policy, ProducerQuota
from kafka_consumer_scaler.core.safe_rate import safe_rate
from kafka_consumer_scaler.core.snapshot import Details
from kafka_consumer_scaler.core.throttle import BLIND_SECONDS, Course, pause_seconds, steer, unseen
from tests.core.making import NOW, even, known, orders

DETAILS = Details(record_bytes={"orders": 100.0}, leaders={tp: tp.partition % 3 for tp in orders(12)})


@dataclass(frozen=True)
class Look:
    """What one look sees: seconds since the one before, records/s, records behind for each consumer, seconds."""

    after: float
    arrival: float
    drain: float
    behind: float
    age: float
    blind: bool
    backlog: Backlog


looks = st.lists(st.builds(
    Look, after=st.sampled_from([15.0, 15.0, 15.0, 30.0, 90.0, 400.0]), arrival=st.floats(0, 5000),
    drain=st.floats(0, 1300), behind=st.floats(0, 50_000), age=st.floats(0, 200), blind=st.booleans(),
    backlog=st.sampled_from([Backlog.BEHIND, Backlog.BEHIND, Backlog.DRAINING, Backlog.CAUGHT_UP]),
), min_size=1, max_size=25)
quotas = st.lists(st.builds(ProducerQuota, st.integers(1, 100_000), st.just("shop")), min_size=1, max_size=3).map(tuple)
policies = st.builds(Policy, st.just(12), quotas=quotas, polling_interval_seconds=st.sampled_from([5, 15, 60]))


def played(policy: Policy, seen: list[Look], start: float = NOW) -> list[tuple[float, Course]]:
    """(at, course) of each look, each with the memory of the one before."""
    now, memory, found = start, Memory(), list[tuple[float, Course]]()
    for look in seen:
        now += look.after
        situation = replace(
            even(12, look.arrival, look.age), now=now, memory=memory, details=DETAILS, backlog=look.backlog,
            waiting=dict.fromkeys(orders(12), look.behind), rates=known(look.arrival, 100, drain=look.drain))
        safe = safe_rate(policy, situation)
        course = unseen(policy, memory, now) if look.blind else steer(policy, situation, safe, 12)
        memory = Memory(throttling=course.throttling)
        found.append((now, course))
    return found


def held(found: list[tuple[float, Course]]) -> list[tuple[float, Throttling]]:
    return [(at, course.throttling) for at, course in found if course.throttling is not None]


@given(policies, looks)
def test_no_rate_is_under_the_floors(policy: Policy, seen: list[Look]) -> None:
    floor = sum(quota.min_bytes_per_second for quota in policy.quotas)
    assert all(floor <= throttling.rate * (1 + 1e-9) for _, throttling in held(played(policy, seen)))


@given(policies, looks)
def test_no_rate_is_raised_over_what_was_asked_for(policy: Policy, seen: list[Look]) -> None:
    for (_, before), (_, now) in pairwise(held(played(policy, seen))):
        if now.since == before.since and now.rate > before.rate:
            assert now.rate <= now.demand * before.record_bytes * (1 + 1e-9)


@given(policies, looks)
def test_until_a_record_was_weighed_anew_no_rate_is_over_what_was_asked_for(policy: Policy, seen: list[Look]) -> None:
    for _, throttling in held(played(policy, seen)):
        if not throttling.is_weighed:
            assert throttling.rate <= 100.0 * throttling.demand * (1 + 1e-9)


@given(policies, looks)
def test_no_two_changes_are_closer_than_the_pause(policy: Policy, seen: list[Look]) -> None:
    for (_, before), (_, now) in pairwise(held(played(policy, seen))):
        if now.since == before.since and now.rate != before.rate:
            assert now.changed_at - before.changed_at >= pause_seconds(policy)


@given(policies, looks)
def test_a_release_is_told_once_and_ends_it(policy: Policy, seen: list[Look]) -> None:
    before = None
    for _, course in played(policy, seen):
        assert course.is_released == (before is not None and course.throttling is None)
        before = course.throttling


@given(policies, looks)
def test_who_is_blind_holds_what_was_held_and_never_begins(policy: Policy, seen: list[Look]) -> None:
    found = played(policy, seen)
    before = None
    for look, (at, course) in zip(seen, found, strict=True):
        if look.blind:
            is_over = before is not None and at - before.seen_at >= BLIND_SECONDS
            assert course.throttling == (None if is_over else before)
        before = course.throttling


@given(policies, looks, st.sampled_from([Policy(12), Policy(12, mode=Mode.ADVISORY), Policy(12, paused=True)]))
def test_nobody_is_held_who_was_not_named_or_is_only_advised(policy: Policy, seen: list[Look], other: Policy) -> None:
    free = replace(other, quotas=policy.quotas if other != Policy(12) else ())
    assert not held(played(free, seen))
    if not free.quotas:
        assert all(course == Course() for _, course in played(free, seen))


@given(policies, looks, st.sampled_from([4.0, 86_400.0, 2.0**24]))
def test_only_the_time_between_looks_matters(policy: Policy, seen: list[Look], seconds: float) -> None:
    here = [(course.throttle, course.is_released) for _, course in played(policy, seen)]
    there = [(course.throttle, course.is_released) for _, course in played(policy, seen, NOW + seconds)]
    assert here == there
