"""What changes taught: how long a scale-up takes, what a rebalance costs, and whether a scale-up helped at all.

A scale-up is on trial. What its consumers promise is what one did before: busy ahead of the scale-up or until the new
ones joined, else what was known. A window after all have joined, with the backlog still there, the drain must have
risen by a tenth of what is promised, and be more than fewer of them can do:

    300 records/s by 6 consumers, 12 asked for: 600 promised, so 330 at least. 305 is a bound downstream: back to 6.
    200 records/s by 2 consumers, 12 asked for: 1,200 promised. 588 is what 6 can do: back to 6.

The climb is then not tried again for 10 minutes, 20 after a second failure in a row, 40 after a third, an hour at most.
"""

from __future__ import annotations

from dataclasses import replace

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.capacity import SLOWED_SHARE, Capacity, busy_drain
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Awaited, Ineffective, Memory, TakenBack, Trial
from kafka_consumer_scaler.core.pauses import PAUSE_SECONDS_MAX, with_long_pause
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import WINDOW_SECONDS, processed
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown

EFFECTIVE_SHARE = 0.1
BOUND_SHARE = 0.7
"""Consumers that became more and do less than this share of what they promise have a bound that they share."""
TRIAL_SECONDS = 15.0
"""Consumers that were all busy for this long before others joined show what one can do."""
BACK_OFF_SECONDS = 600.0
BACK_OFF_SECONDS_MAX = 3600.0
DOUBLED_AT_MOST = 10
TAKEN_BACK_SECONDS = 3600.0
TAKEN_BACK_SECONDS_MAX = 28_800.0
"""A number that was too few is not tried again at such a load for an hour; for two after the second time in a row."""
SAME_LOAD_TIMES = 1.1
SAME_LOAD_SECONDS = 3600.0
"""A scale-up within an hour takes a step down back if no more arrives than then, about."""
GIVE_UP_JOINING_SECONDS = 600.0
GIVE_UP_JOINING_TIMES = 2
"""Consumers that have not joined by then, or in twice the usual time, no longer hold up a scale-up."""
JOIN_SECONDS_MAX = 3600.0
"""Consumers that take longer to join do not show how long joining takes."""
UNEVEN_SHARE = 0.25
"""A drain that differs by more than this from another is another drain."""
GIVE_UP_TRIAL_SECONDS = 300.0
"""A trial in which not all consumers are busy together proves nothing."""
JOIN_LATE_SECONDS = 120.0
JOIN_LATE_TIMES = 4
"""Consumers that need four times as long as usual, and 120 s at least, do not join."""


def learned(policy: Policy, history: History, situation: Situation) -> Memory:
    """The memory with what the latest sample says about the last changes."""
    memory = _with_too_few(situation, _with_taken_back(policy, situation))
    memory = with_long_pause(policy, history, replace(situation, memory=memory))
    memory = _with_joined(history, policy.offset_reset, replace(situation, memory=memory))
    return _with_trial(policy, history, replace(situation, memory=memory))


def expected_members(situation: Situation) -> int:
    """Members once all replicas that can have a partition have joined."""
    return _members(situation, situation.current)


def _members(situation: Situation, replicas: int) -> int:
    """Members that hold partitions once so many replicas have joined: no more than partitions to hold."""
    useful = min(replicas, situation.spread.useful_replicas)
    members = useful * situation.spread.threads + situation.spread.foreign
    return min(members, max(situation.spread.shares, default=members))


def not_joining_seconds(situation: Situation) -> float | None:
    """For how long consumers of the last scale-up have been missing, once that is long."""
    awaited = situation.memory.awaited
    if awaited is None:
        return None
    waited = situation.now - awaited.at
    return waited if waited >= max(JOIN_LATE_SECONDS, JOIN_LATE_TIMES * situation.join_seconds) else None


def give_up_joining_seconds(situation: Situation) -> float:
    """How long consumers that have not joined hold up a scale-up: at least ten minutes, or twice the usual time."""
    return max(GIVE_UP_JOINING_SECONDS, GIVE_UP_JOINING_TIMES * situation.join_seconds)


def is_bound_downstream(situation: Situation) -> bool:
    """A scale-up did not help: it is withdrawn, or on trial once more, or the group still does what it did then.

    6 replicas did 588 records/s, as 12 had. While they do 441 to 735 they are bound; when they do 300, they are slow.
    """
    found, trial, drain = situation.memory.ineffective, situation.memory.trial, situation.rates.drain
    if found is None or situation.backlog is Backlog.CAUGHT_UP:
        return situation.withdrawn_to is not None
    again = trial is not None and trial.before == found.replicas
    is_alike = isinstance(drain, Unknown) or abs(drain - found.drained) <= UNEVEN_SHARE * found.drained
    return situation.withdrawn_to is not None or again or (situation.current == found.replicas and is_alike)


def _with_taken_back(policy: Policy, situation: Situation) -> Memory:
    """A scale-up soon after a scale-down takes it back; each one in a row holds for twice as long as the one before.

    At about the same load also later: 6 consumers of 36 records/s hold 209 for a quarter of an hour.
    """
    memory, arrival = situation.memory, situation.helped_arrival
    if len(memory.scales) < 2 or isinstance(arrival, Unknown):
        return memory
    down, then = memory.scales[-2:]
    known = memory.taken_back
    is_one = down.after < down.before and then.after > then.before
    is_same_load = down.arrival is not None and arrival <= SAME_LOAD_TIMES * down.arrival
    within = max(situation.taken_back_within(policy), SAME_LOAD_SECONDS if is_same_load else 0.0)
    if not is_one or then.at - down.at > within or (known and known.at >= then.at):
        return memory
    times = _in_a_row(known, then.at) + 1
    few = max(down.after, known.replicas if known is not None and then.at < known.held_until else 0)
    load = arrival if down.arrival is None else min(arrival, down.arrival)
    found = TakenBack(few, load, then.at, times, then.at + _kept_seconds(times))
    return replace(memory, taken_back=found)


def _with_joined(history: History, reset: OffsetReset, situation: Situation) -> Memory:
    memory, awaited = situation.memory, situation.memory.awaited
    if awaited is None:
        return replace(memory, awaited=Awaited(situation.now, lost=True)) if _has_lost_members(situation) else memory
    at = history.samples[-1].at
    if _is_unseen(situation):
        is_over = situation.now - awaited.at >= situation.join_seconds
        return replace(memory, awaited=None, trial=None) if is_over else memory
    if not _has_joined(situation):
        return replace(memory, awaited=replace(awaited, missing_at=at))
    if awaited.lost:
        return replace(memory, awaited=None)
    if situation.now - awaited.at > JOIN_SECONDS_MAX:
        return replace(memory, awaited=None, trial=None)
    joined_at = (at + max(awaited.at, awaited.missing_at or 0.0)) / 2
    trial = memory.trial
    return replace(
        memory,
        awaited=None,
        join_seconds=_blended(memory.join_seconds, joined_at - awaited.at),
        pause_seconds=_blended(memory.pause_seconds, _paused(history, reset, situation, awaited.at)),
        trial=replace(trial, joined_at=at) if trial is not None and trial.at == awaited.at else trial,
    )


def _is_unseen(situation: Situation) -> bool:
    """Consumers that cannot be seen cannot be seen to join: the usual time is waited."""
    return isinstance(situation.group, Unknown) and situation.group.reason is Reason.MEMBERS_UNSEEN


def _in_a_row(known: TakenBack | None, at: float) -> int:
    """How often in a row, up to `at`, replicas were seen to be too few."""
    return known.times if known is not None and at <= known.held_until + TAKEN_BACK_SECONDS else 0


def _kept_seconds(times: int) -> float:
    """How long a number that was too few is not tried again: an hour, doubled for each time in a row."""
    return float(min(TAKEN_BACK_SECONDS_MAX, TAKEN_BACK_SECONDS * 2 ** min(times - 1, DOUBLED_AT_MOST)))


def _with_too_few(situation: Situation, memory: Memory) -> Memory:
    """The present replicas are too few for such a load where more arrives for one consumer than it can process.

    Not while the group keeps up all the same: then what is known of the capacity is too low. Nor after a step down:
    what takes it back is remembered.

    Once more replicas are there, a step back to this number is not tried soon: it was seen to fail. 12 partitions of 13
    records/s and 6 of 1, 2 consumers of 100: even hands get 81 each, but a sticky assignor may leave 9 of the first to
    one of them: 117.
    """
    capacity, arrival, current = situation.rates.capacity, situation.helped_arrival, situation.current
    if isinstance(capacity, Unknown) or not capacity.learned or isinstance(arrival, Unknown) or not current:
        return memory
    last = memory.last_scale
    is_tried = last is not None and last.after < last.before
    if situation.backlog is Backlog.CAUGHT_UP or is_tried:
        return memory
    known, rates = memory.taken_back, situation.rates_now
    is_known = known is not None and known.replicas >= current and situation.now < known.held_until
    if is_known or isinstance(rates, Unknown):
        return memory
    plant = situation.plant(capacity.per_consumer)
    is_whole = plant.seen or _is_unseen(situation)
    if not is_whole or plant.busiest(rates, situation.spread.consumers(current)) <= plant.capacity:
        return memory
    found = TakenBack(current, arrival, situation.now, 1, situation.now + TAKEN_BACK_SECONDS)
    return replace(memory, taken_back=found)


def _has_lost_members(situation: Situation) -> bool:
    """All replicas exist and fewer are members than were: they crash, or do not reach the brokers."""
    group, members, replicas = situation.group, situation.members, situation.replicas
    if isinstance(members, Unknown) or isinstance(group, Unknown) or group.is_rebalancing:
        return False
    return replicas.existing == replicas.spec and members < expected_members(situation)


def _has_joined(situation: Situation) -> bool:
    group, members = situation.group, situation.members
    if isinstance(members, Unknown) or isinstance(group, Unknown) or group.is_rebalancing:
        return False
    return members >= expected_members(situation) and situation.replicas.existing >= situation.current


def _blended(known: float | None, seen: float | None) -> float | None:
    """Half of what was known, half of what was seen: three changes later seven eighths are new."""
    if seen is None:
        return known
    return seen if known is None else (known + seen) / 2


def _paused(history: History, reset: OffsetReset, situation: Situation, since: float) -> float | None:
    """Seconds of processing that the change cost a busy group: what its consumers would have done, less what was.

    3 busy consumers of 100 records/s, 30 s from the last sample before to the first after, 6,600 processed: 2,400
    records less than 9,000, so 8 s of all three. The newcomers' own work hides a part of it.
    """
    trial, samples = situation.memory.trial, history.samples
    before = [sample for sample in samples if sample.at <= since]
    if trial is None or trial.at != since or not before or not trial.drain:
        return None
    first, last = before[-1], samples[-1]
    done = processed(history, reset, first, last, last.readings)
    return min(PAUSE_SECONDS_MAX, max(0.0, (last.at - first.at) - done / trial.drain))


def _with_trial(policy: Policy, history: History, situation: Situation) -> Memory:
    memory, trial = situation.memory, situation.memory.trial
    if trial is not None and situation.current != trial.after:
        return replace(memory, trial=None)
    if trial is not None and trial.joined_at is None:
        return replace(memory, trial=_with_drain(policy, history, situation, trial))
    if situation.backlog is Backlog.CAUGHT_UP:
        return replace(memory if memory.throttling else _forgiven(memory, situation.now), trial=None)
    if trial is None or trial.joined_at is None:
        return _regretted(history, policy.offset_reset, situation)
    is_time = situation.now - trial.joined_at >= WINDOW_SECONDS and _has_joined(situation)
    drained = _busy_drain(history, policy, situation, WINDOW_SECONDS) if is_time else None
    if drained is not None and _is_even(history, policy.offset_reset):
        return _judged(memory, situation, trial, drained)
    return replace(memory, trial=None) if situation.now - trial.joined_at > GIVE_UP_TRIAL_SECONDS else memory


def _with_drain(policy: Policy, history: History, situation: Situation, trial: Trial) -> Trial:
    """Until others join, those that were there show what they can do, now that there is a backlog."""
    members = situation.members
    if trial.drain is not None or isinstance(members, Unknown) or members > _members(situation, trial.before):
        return trial
    return replace(trial, drain=_busy_drain(history, policy, situation, TRIAL_SECONDS))


def _busy_drain(history: History, policy: Policy, situation: Situation, seconds: float) -> float | None:
    commits = situation.memory.commits
    return busy_drain(history, policy, seconds, situation.held.keys(), None if commits is None else commits.seconds)


def _is_even(history: History, reset: OffsetReset) -> bool:
    """Both halves of the last window saw about the same drain: an outage or a rebalance is no bound downstream.

    With polls of 31 s and more, the window is the last three samples.
    """
    last = history.samples[-1]
    recent = [sample for sample in history.samples if last.at - sample.at <= WINDOW_SECONDS]
    window = recent if len(recent) > 2 else history.samples[-3:]
    middle = min(window, key=lambda sample: abs(sample.at - (window[0].at + last.at) / 2))
    halves = [processed(history, reset, first, then, last.readings) / max(1e-9, then.at - first.at)
              for first, then in ((window[0], middle), (middle, last))]
    return max(halves) <= (1 + UNEVEN_SHARE) * min(halves)


def _regretted(history: History, reset: OffsetReset, situation: Situation) -> Memory:
    """A withdrawal that cost throughput was a mistake: the consumers had become slower while they became more.

    2 consumers did 170 records/s, and 4 did 172: back to 2. Bound downstream, they do 172 again; slowed down, 86. Below
    the middle of the two, the climb is open again. So it is when they do far more than that: what bound them has gone.
    """
    memory, found = situation.memory, situation.memory.ineffective
    last = memory.last_scale
    if found is None or last is None:
        return memory
    if not found.is_withdrawn and situation.current != found.tried:
        return replace(memory, ineffective=None)
    if situation.current != found.replicas or found.tried != (last.before if found.is_withdrawn else last.after):
        return memory
    samples = [sample for sample in history.samples if sample.at >= last.at + situation.pause_seconds]
    watched = samples[-1].at - samples[0].at if samples else 0.0
    if watched < WINDOW_SECONDS / 2:
        return memory
    drained = processed(history, reset, samples[0], samples[-1], samples[-1].readings) / watched
    slowed = found.drained * situation.spread.busiest(found.tried) / situation.spread.busiest(found.replicas)
    was_wrong = found.is_withdrawn and drained < (found.drained + slowed) / 2
    return replace(memory, ineffective=None) if was_wrong or drained > (1 + UNEVEN_SHARE) * found.drained else memory


def _judged(memory: Memory, situation: Situation, trial: Trial, drained: float) -> Memory:
    spread, before = situation.spread, _drain_before(memory, situation, trial)
    if before is None:
        return replace(memory, trial=None)
    promised = before * spread.busiest(trial.before) / max(1, spread.busiest(trial.after))
    least = before + EFFECTIVE_SHARE * (promised - before)
    if drained >= max(least, BOUND_SHARE * promised):
        return replace(memory, trial=None, ineffective=None)
    fewest = trial.before if drained < least else _fewest(spread, trial, before, drained)
    can_do = before * spread.busiest(trial.before) / max(1, spread.busiest(fewest))
    known, each = memory.capacity, drained / max(1, spread.consumers(fewest))
    capacity = known and Capacity(min(known.per_consumer, each), known.learned)
    times = memory.ineffective.times if memory.ineffective is not None else 0
    found = Ineffective(fewest, situation.now, times, trial.after, can_do, drained)
    return replace(memory, trial=None, ineffective=_backed_off(found), capacity=capacity)


def _drain_before(memory: Memory, situation: Situation, trial: Trial) -> float | None:
    """Records/s of those that were there before: as measured, else as much as they can by what is known of one."""
    if trial.drain is not None or memory.capacity is None:
        return trial.drain
    return memory.capacity.per_consumer * situation.spread.consumers(trial.before)


def _fewest(spread: Spread, trial: Trial, before: float, drained: float) -> int:
    """The fewest replicas that can do what was drained; all that were tried, where no fewer can."""
    can = (n for n in spread.steps(trial.after)
           if n >= trial.before and before * spread.busiest(trial.before) >= drained * spread.busiest(n))
    return next(can, trial.after)


def _backed_off(found: Ineffective) -> Ineffective:
    """What is not withdrawn is no climb to hold back."""
    if not found.is_withdrawn:
        return found
    back_off = min(BACK_OFF_SECONDS_MAX, BACK_OFF_SECONDS * 2 ** min(found.times, DOUBLED_AT_MOST))
    return replace(found, until=found.until + back_off, times=found.times + 1)


def _forgiven(memory: Memory, now: float) -> Memory:
    """A group that has caught up may climb again; another failure within the hour still doubles the back-off."""
    found = memory.ineffective
    if found is None or not found.is_withdrawn or now - found.until > BACK_OFF_SECONDS_MAX:
        return replace(memory, ineffective=None)
    return replace(memory, ineffective=replace(found, until=min(found.until, now)))


def kept_capacity(memory: Memory, seen: Capacity) -> Capacity:
    """While a scale-up is on trial, much less work by each consumer may be its failure: what was known is kept."""
    known = memory.capacity
    if memory.trial is None or known is None or seen.per_consumer >= SLOWED_SHARE * known.per_consumer:
        return seen
    return known


def after_scaling(memory: Memory, before: int, after: int, at: float, drain: float | None,
                  arrival: float | None = None) -> Memory:
    """The memory after a change was carried out: new consumers are awaited, and on trial if there were others."""
    memory = memory.with_scaled(before, after, at, arrival)
    if after <= before:
        return replace(memory, awaited=None, trial=None)
    trial = Trial(at, before, after, drain) if before > 0 else None
    return replace(memory, awaited=Awaited(at), trial=trial)
