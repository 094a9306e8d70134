"""The objective: no record waits longer than `target.lagSeconds`. Lag is a buffer to be used, not an error.

    up      when at the present replicas the oldest record would pass UP_SHARE of the objective before help can come,
            to the fewest replicas that bring it back in time; also when one of the records that wait now would be
            processed past LATE_SHARE, to the fewest that process them by UP_SHARE
    down    to the fewest replicas that would hold it under DOWN_SHARE for `hold_seconds` at the highest arrival of the
            whole scale-down window

60 s, 12 partitions, 100 records/s a consumer, 350 arrive, one replica, help in 45 s: the age grows by 1 - 100/350 =
0.71 a second, by 32 s until help comes; once it is over 13 s that passes 45 s, and 4 replicas are wanted. Between the
two shares nothing moves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.commits import longest_of_guessed
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.prediction import Loads, Plant, oldest, total
from kafka_consumer_scaler.core.probing import is_peaceful, probed, step_below
from kafka_consumer_scaler.core.rates import WINDOW_SECONDS, Arrival
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.core.waiting import oldest as oldest_of

UP_SHARE = 0.75
LATE_SHARE = 0.9
RISING_TIMES = 1.1
BACK_SHARE = 0.6
DOWN_SHARE = 0.3
HOLD_SECONDS = 600.0
HOLD_SHARE = 0.5
KEEPS_UP_SHARE = 0.8
HOT_SHARE = 0.6
"""Of the rate at which a hot partition falls behind alone; partitions beside it may add so much to it."""
HOT_COMPANY = 0.05
"""Share of a consumer's capacity that partitions beside a hot one may need in any case."""
DEAR_PAUSE_SECONDS = 3600.0
"""A rebalance that makes records late is risked for a step down once in an hour."""
DEAR_PROBE_SECONDS = 28_800.0
"""And for one that is tried after so long."""
MADE_UP_PAUSES = 2
LONG_PAUSES = 4
"""A smaller number of replicas has to suffice for this many pauses of a rebalance."""
HELP_SHARE = 0.9
PROBE_SECONDS = 300.0
WAKING_SHARE = 0.25
WAKING_SECONDS = 120.0
RECOVERS_SECONDS_MAX = 86_400.0
HURRY_SECONDS = 120.0
"""A backlog older than the objective is recovered from in this time at most: pods started for it stay as long."""


def by_age(policy: Policy, situation: Situation) -> tuple[int, str]:
    """Replicas wanted for the objective, and because of what.

    Commits further apart than the objective cannot show it: the least age that they show is kept instead. A step down
    then takes a learned capacity, since it would be seen too late that too few are left.
    """
    interval, capacity, current = situation.commit_interval, situation.rates.capacity, situation.current
    if isinstance(interval, Unknown) or interval <= policy.lag_seconds:
        return _by_age(policy, situation)
    replicas, because = _by_age(replace(policy, lag_seconds=interval), situation)
    if replicas < current and (isinstance(capacity, Unknown) or not capacity.learned):
        replicas, because = current, "the capacity of a consumer is not learned"
    return replicas, (f"{because}; commits are {interval:,.0f} s apart: an age of {policy.lag_seconds:,.0f} s cannot "
                      f"be seen, {interval:,.0f} s are kept; commit more often, or raise target.lagSeconds")


def _by_age(policy: Policy, situation: Situation) -> tuple[int, str]:
    """The same, where commits are frequent enough to show the objective."""
    rates, current = situation.rates, situation.current
    if isinstance(rates.arrival, Unknown):
        return current, f"arrival unknown: {rates.arrival.why}"
    if isinstance(rates.capacity, Unknown):
        return _without_capacity(policy, situation, rates.capacity)
    ahead = max(rates.arrival.ahead(lead_seconds(policy, situation)), _coming_back(situation, rates.arrival))
    loads = situation.loads(ahead)
    if isinstance(loads, Unknown):
        return current, f"age unknown: {loads.why}"
    plant = situation.plant(policy.utilization * rates.capacity.per_consumer)
    because = f"{ahead:,.0f} records/s to be ready for and a consumer does {rates.capacity.per_consumer:,.0f}"
    may_wait = _may_wait(policy, situation, rates.capacity, loads)
    later = 0.0 if may_wait else age_ahead(policy, situation, plant, loads)
    is_late = later > UP_SHARE * policy.lag_seconds
    done_at = 0.0 if may_wait or is_late else _last_done(situation, plant, rates.capacity, loads)
    if not is_late and done_at <= LATE_SHARE * policy.lag_seconds:
        wanted = _down(policy, situation, plant, ahead, because, loads)
    elif _recovers_sooner_alone(policy, situation, plant, loads):
        pause = situation.pause_seconds
        wanted = current, f"{because}; a rebalance of {pause:,.0f} s costs more than more replicas gain"
    elif is_late:
        because = f"{because}; {later:,.0f} s old before help could come"
        wanted = _up(policy, situation, plant, loads), because
    else:
        because = f"the last record of the backlog would be {done_at:,.0f} s old when processed"
        wanted = _in_time(policy, situation, plant, rates.arrival.lasting), because
    room = _room_for_hot(policy, situation, plant, ahead)
    return wanted if room <= wanted[0] else (room, f"{because}; room for {len(situation.hot)} hot")


def _coming_back(situation: Situation, arrival: Arrival) -> float:
    """Records/s that a group woken from zero will soon get: the usual, once a quarter of it came since the last poll.

    Usually 300, and 100 in the first interval, of which they came for a part: 300 are to be ready for.
    """
    last, usual = situation.memory.last_scale, situation.memory.usual
    is_waking = situation.current == 0 or (
        last is not None and last.before == 0 and situation.since_scaled < WAKING_SECONDS)
    if usual is None or not is_waking or arrival.newest < WAKING_SHARE * usual.arrival:
        return 0.0
    return usual.arrival


def _may_wait(policy: Policy, situation: Situation, capacity: Capacity, loads: Loads) -> bool:
    """With no more than a lower bound of the capacity, the next poll knows better, and help still comes in time.

    Consumers that idle prove what arrives, not what they can do: 10 of 20 records/s, so 50 would want 6 and not 3.
    Even if nothing were processed, the age after the lead would be the age now and the lead. Where that is longer than
    the objective, a step down that was just tried is still not taken back before a record is older than a poll, and
    nothing is added before that where starting alone takes longer. Nor is anything added to consumers that may have
    processed what they have not committed yet.
    """
    if capacity.learned or capacity.busy:
        return False
    age, last = oldest(loads), situation.memory.last_scale
    in_time = age + lead_seconds(policy, situation) <= policy.lag_seconds
    is_tried = last is not None and last.after < last.before and situation.since_scaled < WINDOW_SECONDS
    is_late_anyway = situation.join_seconds > policy.lag_seconds
    is_young = age <= policy.polling_interval_seconds and (is_tried or is_late_anyway)
    return in_time or is_young or _may_commit_rarely(situation, age)


def _recovers_sooner_alone(policy: Policy, situation: Situation, plant: Plant, loads: Loads) -> bool:
    """Whether the present replicas are back under the objective before more of them could be, after their long pause.

    Asked only where a rebalance costs a good part of the objective. 2 replicas of 100 records/s, 150/s, 36,000 behind:
    720 s. 12 replicas, after a pause of 240 s: 310 s.
    """
    if situation.pause_seconds <= UP_SHARE * policy.lag_seconds or not situation.current:
        return False
    limit, most = BACK_SHARE * policy.lag_seconds, max(1, min(policy.max_replicas, situation.spread.useful_replicas))
    seconds = situation.pause_seconds
    while seconds <= RECOVERS_SECONDS_MAX:
        if plant.holds(loads, seconds, situation.current, 0.0, limit):
            return True
        if plant.holds(loads, seconds, most, situation.pause_seconds, limit):
            return False
        seconds *= 1.25
    return False


def _room_for_hot(policy: Policy, situation: Situation, plant: Plant, ahead: float) -> int:
    """None are asked for to keep up with a hot partition, but as many as keep its neighbours from taking its time.

    What they need may add at most 0.6 to the rate at which it falls behind, and 0.05 of a consumer. At 100 records/s a
    consumer, one that gets 107 falls behind by 7, beside one of 22 by 29: that is worth a consumer of its own. One that
    gets 200 falls behind by 100 in any case.
    """
    if not situation.hot:
        return 0
    gets = min(situation.shares_newest[tp] for tp in situation.hot) * ahead
    most = HOT_SHARE * max(0.0, gets - plant.capacity) + HOT_COMPANY * plant.capacity
    rooms = (n for n in situation.spread.steps(policy.max_replicas)
             if plant.company(situation.shares_newest, situation.hot, n) * ahead <= most)
    return next(rooms, 0)


def lead_seconds(policy: Policy, situation: Situation) -> float:
    """From now until replicas that the next poll asks for would work."""
    return situation.join_seconds + policy.polling_interval_seconds


def age_ahead(policy: Policy, situation: Situation, plant: Plant, loads: Loads) -> float:
    """Age of the oldest record at the end of the lead, with the present replicas."""
    first, seconds, consumers = _once_started(situation, plant, loads, lead_seconds(policy, situation))
    return plant.oldest_after(first, seconds, consumers)


def _foreseen(situation: Situation, plant: Plant, loads: Loads, seconds: float, has_marks: bool = True) -> Loads:
    """The loads after `seconds` with the present replicas, of which some may still be starting."""
    first, seconds, consumers = _once_started(situation, plant, loads, seconds)
    return plant.after(first, seconds, consumers, has_marks=has_marks)


def _once_started(situation: Situation, plant: Plant, loads: Loads, seconds: float) -> tuple[Loads, float, int]:
    """The loads once replicas that are starting work, how many of the `seconds` are left then, and the consumers."""
    all_of_them = situation.spread.consumers(situation.current)
    joined, starting = _starting(situation)
    starting = min(starting, seconds)
    first = plant.after(loads, starting, joined)
    return first, seconds - starting, all_of_them if starting or joined == all_of_them else joined


def _starting(situation: Situation) -> tuple[int, float]:
    """Consumers of the present replicas that work, and in how many seconds the others will."""
    all_of_them = situation.spread.consumers(situation.current)
    members = situation.members
    joined = all_of_them if isinstance(members, Unknown) else min(members, all_of_them)
    seconds = max(0.0, situation.join_seconds - situation.since_scaled) if joined < all_of_them else 0.0
    return joined, seconds


def _last_done(situation: Situation, plant: Plant, capacity: Capacity, loads: Loads) -> float:
    """The greatest age at which the present replicas process one of the records that wait now, seconds.

    Nothing that is still to come can make it less, so more replicas are needed now or they are too late, also where the
    age is low yet: one batch of 200,000 records is young for long. With a lower bound of the capacity, it is not known.
    """
    if not (capacity.learned or capacity.busy):
        return 0.0
    joined, seconds = _starting(situation)
    if seconds > 0:
        loads = plant.after({tp: load._replace(arrival=0.0) for tp, load in loads.items()}, seconds, joined)
    return plant.oldest_done(loads, situation.spread.consumers(situation.current))


def _in_time(policy: Policy, situation: Situation, plant: Plant, arrival: float) -> int:
    """The fewest replicas, no fewer than now, that process the backlog in time at the lasting arrival rate.

    200,000 records that came at once 130 s ago, an objective of 600 s, help in 100 s: the last of them is to be done
    at an age of 450 s, so within 220 s, by 10 consumers of 100 records/s.
    """
    loads = situation.loads(arrival)
    if isinstance(loads, Unknown):
        return situation.current
    candidates = tuple(_candidates(policy, situation))
    arrived = _foreseen(situation, plant, loads, situation.join_seconds)
    limit = max(UP_SHARE * policy.lag_seconds, _done_with(situation, plant, arrived, candidates[-1]) / HELP_SHARE)
    together = total(arrived)

    def is_enough(replicas: int) -> bool:
        pause = 0.0 if replicas == situation.current else situation.pause_seconds
        return (plant.holds(arrived, policy.lag_seconds, replicas, pause, BACK_SHARE * policy.lag_seconds, together)
                and _done_with(situation, plant, arrived, replicas) <= limit)

    found = _first(candidates, is_enough)
    return candidates[-1] if found is None else found


def _done_with(situation: Situation, plant: Plant, loads: Loads, replicas: int) -> float:
    """The greatest age at which `replicas` process a record of the backlog, seconds."""
    pause = 0.0 if replicas == situation.current else situation.pause_seconds
    return plant.oldest_done(loads, situation.spread.consumers(replicas), pause)


def _up(policy: Policy, situation: Situation, plant: Plant, loads: Loads) -> int:
    """The fewest replicas, no fewer than now, that bring the age back in time; beyond all bounds when none can.

    What is late is helped enough with nine tenths of the speed that the most replicas could give to it.
    """
    has_marks = min(policy.recovery_seconds, HURRY_SECONDS) <= BACK_SHARE * policy.lag_seconds
    arrived = _foreseen(situation, plant, loads, situation.join_seconds, has_marks)
    worst = oldest(arrived)
    seconds = policy.recovery_seconds if worst <= policy.lag_seconds else min(policy.recovery_seconds, HURRY_SECONDS)
    candidates, together = tuple(_candidates(policy, situation)), total(arrived)
    most = candidates[-1]

    def holds(replicas: int) -> bool:
        pause = 0.0 if replicas == situation.current else situation.pause_seconds
        return plant.holds(arrived, seconds, replicas, pause, BACK_SHARE * policy.lag_seconds, together)

    found = _first(candidates[:-1], lambda replicas: holds(replicas) or _is_helped(
        policy, situation, plant, arrived, seconds, replicas, most))
    if found is not None or holds(most):
        return most if found is None else found
    needed = min(1e6, (together.arrival + together.lag / seconds) / plant.capacity / situation.spread.threads)
    return max(situation.current, situation.spread.useful_replicas + 1, ceil(needed))


def _first(candidates: Sequence[int], is_enough: Callable[[int], bool]) -> int | None:
    """The first that is enough, where every later one is, too: seven of a hundred are asked; None where none is."""
    place = bisect_left(candidates, True, key=is_enough)
    return candidates[place] if place < len(candidates) else None


def _is_helped(policy: Policy, situation: Situation, plant: Plant, loads: Loads, seconds: float, replicas: int,
               most: int) -> bool:
    """Whether every partition that will be late has HELP_SHARE of the speed that it would have with the most replicas.

    11 partitions that get 10 records/s each and one with 100,000 behind, consumers of 150: at 2 replicas it has 100 a
    second, at 6 140 and at 12 150. So 6, unless 140 let it fall behind ever more and 150 do not.
    """
    consumers, limit = situation.spread.consumers(replicas), BACK_SHARE * policy.lag_seconds
    if consumers == 0:
        return False
    pause = 0.0 if replicas == situation.current else situation.pause_seconds
    least = HELP_SHARE * plant.could_at_least(loads, seconds, situation.spread.consumers(most))
    some: dict[TopicPartition, float] = {}
    for hand, among in plant.late_hands(loads, seconds, consumers, pause, limit):
        if not among:
            continue
        share = plant.could_each(hand, among, loads, seconds)
        if share * (1 + 1e-9) < least:
            return False
        some |= dict.fromkeys(among, share)
    late = some.keys()
    best = plant.could(loads, late, seconds, situation.spread.consumers(most))
    return all(some[tp] >= HELP_SHARE * best[tp] and not some[tp] <= loads[tp].arrival * seconds < best[tp]
               for tp in late)


def _candidates(policy: Policy, situation: Situation) -> Iterator[int]:
    """The present number, then every greater one that is faster than one less, up to what may be asked for."""
    if situation.current > 0:
        yield situation.current
    steps = situation.spread.steps(policy.max_replicas)
    yield from (replicas for replicas in steps if replicas > situation.current)


def _down(policy: Policy, situation: Situation, plant: Plant, ahead: float, because: str,
          now: Loads) -> tuple[int, str]:
    """The fewest replicas that hold the highest arrival of the window; one step less after a window of peace."""
    peak = max(ahead, _rising(policy, situation), situation.memory.peak_arrival(policy, situation.now))
    current, loads = situation.current, now if peak == ahead else situation.loads(peak)
    if policy.min_replicas == 0 and ahead == 0 and current > 0:
        return current, "nothing arrives, and once it is quiet for long enough none are wanted"
    if _is_fresh(policy, situation) or _rises_before_help(policy, situation):
        return current, because
    if current == 0 or isinstance(loads, Unknown):
        return max(1, current), because
    if _is_late_by_pause(policy, situation, loads) and not _may_pause(policy, situation, loads):
        return current, f"{because}; a rebalance costs {situation.pause_seconds:,.0f} s"
    target = _fewest_that_hold(policy, situation, plant, loads)
    if target < current and not _is_on_its_way(policy, situation, plant, ahead, target):
        return target, f"{because}; at most {peak:,.0f} of late"
    has_less = step_below(situation) < current
    has_less = has_less and lead_seconds(policy, situation) <= max(PROBE_SECONDS, policy.lag_seconds)
    may_probe = has_less and is_peaceful(policy, situation) and _may_probe(policy, situation, plant, loads)
    if may_probe and not _is_on_its_way(policy, situation, plant, ahead, step_below(situation)):
        return probed(situation, f"{because}; at most {peak:,.0f} of late")
    return current, because


def _rising(policy: Policy, situation: Situation) -> float:
    """Arrival rate, records/s, when a step down could be taken back, where that takes longer than the objective."""
    arrival, lead = situation.rates.arrival, lead_seconds(policy, situation)
    if isinstance(arrival, Unknown) or lead <= policy.lag_seconds:
        return 0.0
    return arrival.ahead(policy.scale_down.cooldown_seconds + 2 * lead)


def _rises_before_help(policy: Policy, situation: Situation) -> bool:
    """Whether the arrival rate rises by a tenth before help could come, where that takes longer than the objective."""
    arrival, lead = situation.rates.arrival, lead_seconds(policy, situation)
    if isinstance(arrival, Unknown) or lead <= policy.lag_seconds:
        return False
    return arrival.ahead(lead) > RISING_TIMES * arrival.ahead(0.0)


def fresh_seconds(policy: Policy) -> int:
    """After a scale-up no step down is taken for so long: a window, and the poll that may come too early for it."""
    return policy.scale_down.stabilization_window_seconds + policy.polling_interval_seconds


def hold_seconds(policy: Policy) -> float:
    """For how long fewer replicas have to keep a part of the objective: 600 s, or half of a long objective.

    With an objective of 90 minutes a backlog may grow for long: what it allows for ten minutes is soon taken back.
    """
    return max(HOLD_SECONDS, HOLD_SHARE * policy.lag_seconds)


def _may_pause(policy: Policy, situation: Situation, loads: Loads) -> bool:
    """Whether a rebalance that makes records late may be risked: none waits, and nothing was changed for an hour."""
    return oldest(loads) <= policy.polling_interval_seconds and situation.since_scaled > DEAR_PAUSE_SECONDS


def _is_late_by_pause(policy: Policy, situation: Situation, loads: Loads) -> bool:
    """Whether the rebalance of a step down alone makes records late."""
    return oldest(loads) + situation.pause_seconds > UP_SHARE * policy.lag_seconds


def _is_fresh(policy: Policy, situation: Situation) -> bool:
    last = situation.memory.last_scale
    return last is not None and last.after > last.before and situation.since_scaled < fresh_seconds(policy)


def _fewest_that_hold(policy: Policy, situation: Situation, plant: Plant, loads: Loads) -> int:
    """The fewest replicas, no more than now, that keep a part of the objective for long.

    Where a rebalance alone makes records late, those that make up for it within a second pause.
    """
    limit, together = DOWN_SHARE * policy.lag_seconds, total(loads)
    seconds = _long(situation, hold_seconds(policy))
    late, pause = UP_SHARE * policy.lag_seconds, situation.pause_seconds
    if _is_late_by_pause(policy, situation, loads):
        late, seconds = late + pause, MADE_UP_PAUSES * pause

    def is_enough(replicas: int) -> bool:
        return (plant.holds(loads, seconds, replicas, pause, limit, together)
                and _done_with(situation, plant, loads, replicas) <= late)

    fewer = [replicas for replicas in situation.spread.steps(situation.current) if replicas < situation.current]
    found = _first(fewer, is_enough)
    return situation.current if found is None else found


def _long(situation: Situation, seconds: float) -> float:
    """`seconds`, or four times the cost of a rebalance where that is longer."""
    return max(seconds, LONG_PAUSES * situation.pause_seconds)


def _is_on_its_way(policy: Policy, situation: Situation, plant: Plant, ahead: float, target: int) -> bool:
    """A step of less than half waits where a larger one will soon be allowed, or the last scale-up is still fresh."""
    now = situation.loads(ahead)
    if 2 * target <= situation.current or isinstance(now, Unknown):
        return False
    return _fewest_that_hold(policy, situation, plant, now) < target


def _may_probe(policy: Policy, situation: Situation, plant: Plant, loads: Loads) -> bool:
    """What is known of the capacity may be too low; even if it is right, the objective is kept for PROBE_SECONDS.

    The present replicas have to keep up in any case: a growing backlog is no time to try fewer. Where a rebalance makes
    records late, it takes two of them to find out: that is risked after eight hours.
    """
    capacity = situation.rates.capacity
    is_late_by_pause = _is_late_by_pause(policy, situation, loads)
    if not _keeps_up(situation) or (is_late_by_pause and situation.since_scaled <= DEAR_PROBE_SECONDS):
        return False
    if isinstance(capacity, Unknown) or not capacity.learned or is_late_by_pause:
        return True
    below = step_below(situation)
    return (plant.holds(loads, _long(situation, PROBE_SECONDS), below, situation.pause_seconds, policy.lag_seconds)
            and _done_with(situation, plant, loads, below) <= UP_SHARE * policy.lag_seconds)


def _without_capacity(policy: Policy, situation: Situation, why: Unknown) -> tuple[int, str]:
    """Twice as many when the oldest record is too old; nothing is known that could say how many."""
    age = oldest_of(situation.ages)
    if not isinstance(age, Unknown) and age > UP_SHARE * policy.lag_seconds and not _may_commit_rarely(situation, age):
        return max(1, 2 * situation.current), f"{age:,.0f} s old and the capacity of a consumer is unknown: {why.why}"
    if situation.lag_records == 0 and situation.memory.peak_arrival(policy, situation.now) == 0:
        return 1, "nothing arrives"
    if is_peaceful(policy, situation):
        return probed(situation, "the capacity of a consumer is unknown")
    return max(1, situation.current), f"the capacity of a consumer is unknown: {why.why}"


def _may_commit_rarely(situation: Situation, age: float) -> bool:
    """Whether a record of this age may be processed and not committed yet: the commit interval was not measured."""
    interval = situation.commit_interval
    if not situation.current:
        return False
    if isinstance(interval, Unknown):
        return True
    return situation.is_interval_guessed and age <= longest_of_guessed(interval)


def _keeps_up(situation: Situation) -> bool:
    """Whether about as much is processed as arrives; so while one of them is not known."""
    arrival, drain = situation.rates.arrival, situation.rates.drain
    if isinstance(arrival, Unknown) or isinstance(drain, Unknown):
        return True
    return drain >= KEEPS_UP_SHARE * arrival.average
