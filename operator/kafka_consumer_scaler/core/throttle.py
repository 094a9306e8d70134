"""What producers are held to while the group cannot keep up at its useful maximum: the upstream half of the loop.

    begin     not caught up, at the useful maximum, and even there the objective will be passed: to the safe rate
    lower     the safe rate is over a tenth less, and the oldest record is no younger than a third of the objective: to
              it; still falling behind at 0.75 of the objective: by a tenth
    raise     the safe rate is over a tenth more, or, 300 s after a change, the oldest record is younger than a third of
              the objective: by a twentieth of what is sustained, up to what was asked for before
    release   for 300 s the oldest record was younger than that, and what arrives is less than 0.8 of the rate or the
              rate is what was asked for before; or nothing was known for 600 s; or the policy wants no throttle

A broker counts bytes as they are sent, and what is stored tells them no better than it can: the first minute at a rate
weighs a record anew (1,200 of 100 bytes expected and 900 came: 133), and more than a rate allows never came through.

Law: never under the floors, never over the demand, and no two changes closer than max(30 s, two polls).

1,200 records/s sustained and 2,400 asked for: 1,200 from the moment the oldest is 18 s old, and it stays about 36 s
old: a lag is a buffer to be used, so no consumer is ever idle. All rates in bytes/s, the demand in records/s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.effect import expected_members
from kafka_consumer_scaler.core.memory import Memory, Throttling
from kafka_consumer_scaler.core.objective import UP_SHARE
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.prediction import fair_share
from kafka_consumer_scaler.core.rates import WINDOW_SECONDS, Arrival
from kafka_consumer_scaler.core.safe_rate import SafeRate, burdens, record_bytes
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.waiting import oldest

PAUSE_SECONDS_AT_LEAST = 30.0
PAUSE_POLLS = 2
"""Between two changes lie so many polls, and so many seconds."""
DEAD_BAND = 0.1
"""A safe rate that differs by less than this share is no other rate."""
STEP_SHARE = 0.05
"""Of what is sustained, that the rate is raised by at once."""
LOSING_TIMES = 1.05
"""Consumers that do less than this times what arrives do not get out of a backlog in time."""
LOWER_TIMES = 0.9
CALM_SHARE = 0.33
"""Of the objective: a younger backlog is none that consumers would miss producers for."""
CALM_SECONDS = 300.0
"""Before more than is known to be safe is tried, and before producers are released."""
CENSORED_SHARE = 0.8
"""Of the rate: producers that send no less may be held back by it."""
BLIND_SECONDS = 600.0
WEIGHED_TIMES_MAX = 4
LEADERS_SHARE = 0.1
"""By which a broker's rate differs from what it was told before it is told anew."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a broker is to be told of one entry: bytes/s, for each broker by itself."""

    client_id: str | None
    user: str | None
    bytes_per_broker: float


@dataclass(frozen=True, slots=True)
class Throttle:
    """What producers are to be held to; under Advisory or while paused, what they would be.

    Args:
        bytes_per_second: over all brokers and entries together.
        quotas: the same for one broker, by entry.
        is_at_floor: the floors are reached.
        because: one phrase with its numbers.
    """

    bytes_per_second: float
    quotas: tuple[Quota, ...]
    is_at_floor: bool
    because: str


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of the producers: what is remembered, what they are held to, and the words for it."""

    throttling: Throttling | None = None
    throttle: Throttle | None = None
    why: str = ""
    is_released: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """All that the rate follows: seconds, records/s, and bytes/s for the rates."""

    age: float
    arrival: Arrival
    each: float
    safe: SafeRate
    safe_bytes: float
    sustained_bytes: float


def floor_of(policy: Policy) -> float:
    """The least rate, bytes/s: all floors together."""
    return float(sum(quota.min_bytes_per_second for quota in policy.quotas))


def pause_seconds(policy: Policy) -> float:
    """The least time between two changes of the rate."""
    return max(PAUSE_SECONDS_AT_LEAST, PAUSE_POLLS * policy.polling_interval_seconds)


def counted(arrival: Arrival | Unknown, throttling: Throttling | None) -> Arrival | Unknown:
    """The arrival to count with: what producers asked for before, while they may be held back.

    Held to 120,000 bytes/s, and 1,000 records/s of 100 bytes arrive: that is over 0.8 of it, so the 2,400 of before
    count. At 900 they would send what they have.
    """
    if throttling is None or isinstance(arrival, Unknown):
        return arrival
    if throttling.record_bytes * arrival.average < CENSORED_SHARE * throttling.rate:
        return arrival
    demand = throttling.demand
    return Arrival(max(arrival.average, demand), max(arrival.newest, demand), lasting=max(arrival.lasting, demand))


def steer(policy: Policy, situation: Situation, safe: SafeRate | Unknown, allowed: int) -> Course:
    """The course after a look at which all is known; `allowed` replicas are the most that are wanted and allowed."""
    before = situation.memory.throttling
    if before is not None and len(before.per_broker) != len(policy.quotas):
        return unseen(policy, situation.memory, situation.now)
    look = _look(situation, safe)
    if not policy.quotas or not _is_active(policy):
        would = _begun(policy, situation, look, allowed) if policy.quotas and isinstance(look, _Look) else Course()
        course = _given_up(policy, before)
        return replace(course, throttle=would.throttle, why=course.why or would.why)
    if isinstance(look, Unknown):
        return unseen(policy, situation.memory, situation.now) if before else Course(why=_withheld(situation, safe))
    return _begun(policy, situation, look, allowed) if before is None else _gone_on(policy, situation, look, before)


def unseen(policy: Policy, memory: Memory, now: float) -> Course:
    """The course while too little is known: what holds goes on to hold, and for no longer than 600 s."""
    before = memory.throttling
    if before is None or not policy.quotas or not _is_active(policy):
        return _given_up(policy, before)
    if len(before.per_broker) != len(policy.quotas):
        return Course(why="spec.backpressure.quotas was changed", is_released=True)
    if now - before.seen_at >= BLIND_SECONDS:
        return Course(why=f"too little was known for {now - before.seen_at:,.0f} s", is_released=True)
    return _course(policy, before, "held as it was, as too little is known")


def _withheld(situation: Situation, safe: SafeRate | Unknown) -> str:
    """Why producers that send too much are left alone; empty where they do not, or nobody knows."""
    if isinstance(safe, Unknown) or not isinstance(safe.bytes, Unknown) or isinstance(situation.arrived, Unknown):
        return ""
    return f"producers are not slowed down: {safe.bytes.why}" if situation.arrived.average > safe.sustained else ""


def _is_active(policy: Policy) -> bool:
    return policy.mode is Mode.ACTIVE and not policy.paused


def _given_up(policy: Policy, before: Throttling | None) -> Course:
    why = "the resource is paused" if policy.paused else (
        "it only advises" if policy.mode is Mode.ADVISORY else "spec.backpressure names no quotas")
    return Course() if before is None else Course(why=why, is_released=True)


def _look(situation: Situation, safe: SafeRate | Unknown) -> _Look | Unknown:
    age = oldest({tp: age for tp, age in situation.ages.items() if tp not in situation.stuck})
    arrival = situation.arrived
    if isinstance(safe, Unknown) or isinstance(age, Unknown) or isinstance(arrival, Unknown):
        return next(each for each in (safe, age, arrival) if isinstance(each, Unknown))
    each = record_bytes(situation)
    if isinstance(each, Unknown):
        return each
    return _Look(age, arrival, each, safe, each * safe.records, each * safe.sustained)


def _begun(policy: Policy, situation: Situation, look: _Look, allowed: int) -> Course:
    demand = max(look.arrival.average, look.arrival.newest)
    rate = max(floor_of(policy), look.safe_bytes)
    if not _is_needed(policy, situation, look, allowed) or rate >= demand * look.each:
        return Course()
    each = _per_broker(policy, situation, rate, demand * look.each)
    if isinstance(each, Unknown):
        return Course(why=f"producers are not slowed down: {each.why}")
    now = situation.now
    return _course(policy, Throttling(now, rate, now, demand, now, look.each, per_broker=each), look.safe.because)


def _is_needed(policy: Policy, situation: Situation, look: _Look, allowed: int) -> bool:
    """Not caught up, no more replicas would help, the capacity was seen, and the objective will be passed."""
    capacity = situation.rates.capacity
    if isinstance(capacity, Unknown) or not (capacity.learned or capacity.busy):
        return False
    if situation.backlog is Backlog.CAUGHT_UP or min(look.safe.replicas, allowed) > situation.current:
        return False
    if _is_losing(situation, look, policy.lag_seconds):
        return True
    too_much = look.arrival.average > look.safe.sustained or situation.retention is not None
    return too_much and _is_late(policy, situation, look)


def _is_late(policy: Policy, situation: Situation, look: _Look) -> bool:
    found = burdens(policy, situation)
    return not isinstance(found, Unknown) and any(each.is_late(policy, look.arrival.average) for each in found)


def _is_losing(situation: Situation, look: _Look, age: float, times: float = 1.0) -> bool:
    """The oldest record is older than `age`, and all consumers are there and do not do `times` what arrives."""
    members, drain = situation.members, situation.rates.drain
    if isinstance(members, Unknown) or isinstance(drain, Unknown) or look.age <= age:
        return False
    return 0 < drain <= times * look.arrival.average and members >= expected_members(situation)


def _gone_on(policy: Policy, situation: Situation, look: _Look, before: Throttling) -> Course:
    now, demand = situation.now, max(before.demand, look.arrival.average)
    rate = _next_rate(policy, situation, look, before, demand * look.each)
    is_calm = look.age < CALM_SHARE * policy.lag_seconds and (
        look.each * look.arrival.average < CENSORED_SHARE * before.rate or before.rate >= demand * look.each)
    since = (now if before.calm_since is None else before.calm_since) if is_calm else None
    if since is not None and now - since >= CALM_SECONDS:
        why = f"no record was older than {CALM_SHARE * policy.lag_seconds:,.0f} s for {now - since:,.0f} s"
        return Course(why=f"{why}, and no more arrives than the group sustains", is_released=True)
    return _course(policy, replace(
        before, rate=rate, changed_at=before.changed_at if rate == before.rate else now, demand=demand, seen_at=now,
        record_bytes=_weighed(policy, before, look, now), calm_since=since,
        is_weighed=before.is_weighed or is_settled(policy, before, now),
        per_broker=_told(policy, situation, before, rate, demand * look.each)), look.safe.because)


def _next_rate(policy: Policy, situation: Situation, look: _Look, before: Throttling, demand: float) -> float:
    """The rate from now on; what was just changed is left alone, and changed by what it did only once that is seen."""
    rate, waited = before.rate, situation.now - before.changed_at
    floor, target = floor_of(policy), max(floor_of(policy), look.safe_bytes)
    if rate < floor:
        return floor
    if waited < pause_seconds(policy):
        return rate
    is_young, settled = look.age < CALM_SHARE * policy.lag_seconds, is_settled(policy, before, situation.now)
    if target < (1 - DEAD_BAND) * rate and not is_young:
        return target
    if settled and _is_losing(situation, look, UP_SHARE * policy.lag_seconds, LOSING_TIMES):
        return max(floor, LOWER_TIMES * rate)
    if not before.is_weighed:
        return rate
    if target > (1 + DEAD_BAND) * rate or (is_young and waited >= CALM_SECONDS):
        return max(rate, min(rate + STEP_SHARE * look.sustained_bytes, max(floor, demand)))
    return rate


def is_settled(policy: Policy, throttling: Throttling, now: float) -> bool:
    """All that is seen of the arrival came at the present rate."""
    return now - throttling.changed_at >= WINDOW_SECONDS + policy.polling_interval_seconds


def _weighed(policy: Policy, before: Throttling, look: _Look, now: float) -> float:
    """Bytes that brokers count for a record; at most four times what is stored, as it may be compressed by them.

    No more comes through than a rate allows, and less where producers have no more: the least of what was seen. Should
    records become larger than that by a quarter, what arrives is under 0.8 of the rate, and the throttle is released.
    """
    if look.arrival.average <= 0 or before.rate <= 0 or not is_settled(policy, before, now):
        return before.record_bytes
    seen = before.rate / look.arrival.average
    most = before.record_bytes if before.is_weighed else WEIGHED_TIMES_MAX * before.record_bytes
    return min(seen, most)


def _told(policy: Policy, situation: Situation, before: Throttling, rate: float, demand: float) -> tuple[float, ...]:
    """What brokers are told: the same as before, unless the rate is another, or leaders or shares are by much."""
    each = _per_broker(policy, situation, rate, demand)
    if isinstance(each, Unknown):
        return tuple(told * rate / before.rate for told in before.per_broker) if before.rate else before.per_broker
    is_alike = rate == before.rate and len(each) == len(before.per_broker) and all(
        abs(new - old) <= LEADERS_SHARE * old for new, old in zip(each, before.per_broker, strict=True))
    return before.per_broker if is_alike else each


def _per_broker(policy: Policy, situation: Situation, rate: float, demand: float) -> tuple[float, ...] | Unknown:
    """Bytes/s on one broker, for each entry: so much that what the brokers get, each no more than this, is the rate.

    120 of 240 on brokers whose partitions get 160, 40 and 40: 40, 40 and 40, so 40. Of 200: 120, 40 and 40, so 120.
    Floors of 300 and 100: 30 and 10 of the 40.
    """
    gets: dict[int, float] = {}
    for tp, share in situation.shares.items():
        if share > 0 and tp not in situation.details.leaders:
            return Unknown(f"the broker that leads {tp} is not known")
        if share > 0:
            leader = situation.details.leaders[tp]
            gets[leader] = gets.get(leader, 0.0) + share * max(rate, demand)
    each, floor = fair_share(tuple(gets.values()), rate), floor_of(policy)
    return tuple(each * (quota.min_bytes_per_second / floor if floor else 1 / len(policy.quotas))
                 for quota in policy.quotas)


def _course(policy: Policy, throttling: Throttling, because: str) -> Course:
    quotas = tuple(Quota(quota.client_id, quota.user, told)
                   for quota, told in zip(policy.quotas, throttling.per_broker, strict=True))
    held = Throttle(throttling.rate, quotas, throttling.rate <= floor_of(policy), because)
    verb = "are" if _is_active(policy) else "would be"
    return Course(throttling, held, f"producers {verb} held to {throttling.rate:,.0f} bytes/s: {because}")
