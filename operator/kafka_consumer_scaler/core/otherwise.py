"""What would have to change for another decision: an arrival, an age, a lag, a time that passes, or a setting."""

from __future__ import annotations

from math import ceil, inf

from kafka_consumer_scaler.core.classic import CAPACITY_SHARE
from kafka_consumer_scaler.core.diagnosis import CAUGHT_UP_SHARE
from kafka_consumer_scaler.core.objective import DOWN_SHARE, UP_SHARE, fresh_seconds, hold_seconds, lead_seconds
from kafka_consumer_scaler.core.policy import Fallback, FallbackBehavior, Policy, ScalingRules, SelectPolicy
from kafka_consumer_scaler.core.probing import PROBE_WINDOWS_BOUND
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.spoken import UNTIL, count, number, verb
from kafka_consumer_scaler.core.stabilization import spent_limit
from kafka_consumer_scaler.core.sustained import at_least, planned, sustained
from kafka_consumer_scaler.core.verdict import Abstain, Decision, ScaleTo, Verdict


def otherwise(policy: Policy, verdict: Verdict) -> tuple[str, ...]:
    """What ends a hold first, then what would ask for more, then what would do with fewer."""
    situation, current = verdict.situation, verdict.measurements.replicas_current
    if isinstance(situation, Unknown):
        return (*_known_again(verdict, situation), *_fallback(policy, verdict))
    if isinstance(current, Unknown) or isinstance(verdict.decision, Abstain):
        return _until(policy, verdict, situation)
    here = verdict.decision.replicas if isinstance(verdict.decision, ScaleTo) else current
    wanted = verdict.measurements.replicas_wanted
    return (*_until(policy, verdict, situation),
            *_numbers(policy, situation, here, here if isinstance(wanted, Unknown) else wanted))


def _known_again(verdict: Verdict, why: Unknown) -> tuple[str, ...]:
    reasons = dict.fromkeys((verdict.decision.reason, why.reason))
    return tuple(UNTIL[reason] for reason in reasons if reason in UNTIL)


def _fallback(policy: Policy, verdict: Verdict) -> tuple[str, ...]:
    if verdict.decision.reason is Reason.FALLBACK or isinstance(verdict.measurements.replicas_current, Unknown):
        return ()
    if policy.fallback is None:
        return ("A spec.fallback would name replicas to go to after so many polls in a row without a usable sample.",)
    failures = policy.fallback.failure_threshold
    return (f"After {count(failures, 'poll')} in a row without a usable sample the fallback is taken: "
            f"{_fallback_replicas(policy.fallback)}.",)


def _fallback_replicas(fallback: Fallback) -> str:
    """`6 replicas`, `at least 6 replicas`, `at most 6 replicas` or `the present number of replicas`."""
    if fallback.behavior is FallbackBehavior.CURRENT_REPLICAS:
        return "the present number of replicas"
    bound = {FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER: "at least ",
             FallbackBehavior.CURRENT_REPLICAS_IF_LOWER: "at most "}.get(fallback.behavior, "")
    return f"{bound}{count(fallback.replicas, 'replica')}"


# what ends a hold


def _until(policy: Policy, verdict: Verdict, situation: Situation) -> tuple[str, ...]:
    decision = verdict.decision
    if decision.reason in (Reason.PAUSED, Reason.ADVISORY):
        return (f"{UNTIL[decision.reason]} That would be {_change(decision, situation.current)}.",)
    if decision.reason is Reason.COOLING_DOWN:
        return (_cooldown_ends(policy, verdict, situation),)
    if decision.reason is Reason.STABILIZING:
        return (_window_ends(policy, verdict, situation),)
    if decision.reason is Reason.STEP_LIMIT:
        return (_limit_ends(policy, verdict, situation),)
    if decision.reason is Reason.STILL_BEHIND:
        goal = CAUGHT_UP_SHARE * policy.lag_seconds
        return (f"Fewer replicas are possible once the oldest record is no more than {goal:,.0f} s old.",)
    return (UNTIL[decision.reason],) if decision.reason in UNTIL else ()


def _change(decision: Decision, current: int) -> str:
    if isinstance(decision, Abstain):
        return "nothing"
    return f"{count(decision.replicas, 'replica')} instead of {current}"


def _is_up(verdict: Verdict, situation: Situation) -> bool:
    wanted = verdict.measurements.replicas_wanted
    return not isinstance(wanted, Unknown) and wanted > situation.current


def _rules(policy: Policy, verdict: Verdict, situation: Situation) -> ScalingRules:
    return policy.scale_up if _is_up(verdict, situation) else policy.scale_down


def _cooldown_ends(policy: Policy, verdict: Verdict, situation: Situation) -> str:
    seconds = _rules(policy, verdict, situation).cooldown_seconds
    left = max(0.0, seconds - situation.since_scaled)
    return f"The cooldown of {seconds:,} s ends in {left:,.0f} s; what is wanted then is done."


def _window_ends(policy: Policy, verdict: Verdict, situation: Situation) -> str:
    """The window of recommendations ends when the last one leaves it that speaks for the present number."""
    now, current, memory = situation.now, situation.current, verdict.memory
    if _is_up(verdict, situation):
        window = policy.scale_up.stabilization_window_seconds
        since = max((low.at for low in memory.lows if low.replicas <= current), default=now)
    else:
        window = memory.scale_down_window_seconds(policy, now)
        if situation.unbroken_seconds < window:
            return (f"The scale-down window of {window:,} s is watched without a break in "
                    f"{window - situation.unbroken_seconds:,.0f} s.")
        since = max((high.at for high in memory.highs if high.replicas >= current), default=now)
    left = max(0.0, since + window - now)
    return f"The stabilization window of {window:,} s ends in {left:,.0f} s, if the same is wanted until then."


def _limit_ends(policy: Policy, verdict: Verdict, situation: Situation) -> str:
    """A limit by the hour or day is asked about before the step policies."""
    is_up = _is_up(verdict, situation)
    found = spent_limit(policy, situation.memory, situation, is_up=is_up)
    if found is None:
        return _steps_end(_rules(policy, verdict, situation), situation)
    field = "maxChangesPerHour" if found.limit.is_hourly else "maxChangesPerDay"
    way, direction = ("up", "scaleUp") if is_up else ("down", "scaleDown")
    return (f"Another scale-{way} is possible in {found.wait}, or with a larger spec.behavior.{direction}.{field}.")


def _steps_end(rules: ScalingRules, situation: Situation) -> str:
    """A policy allows more when the oldest change leaves its period."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return "It stays so while selectPolicy of spec.behavior is Disabled."
    ends = [scale.at + each.period_seconds - situation.now for each in rules.policies
            for scale in situation.memory.scales if scale.at + each.period_seconds > situation.now]
    when = f"in {min(ends):,.0f} s" if ends else "with larger values in spec.behavior"
    return f"The behavior policies allow another step {when}."


# what would ask for more or do with fewer


def _numbers(policy: Policy, situation: Situation, here: int, wanted: int) -> tuple[str, ...]:
    if here == 0:
        return _from_zero(policy)
    if policy.lag_per_replica is not None:
        return _by_lag(policy, situation, here, policy.lag_per_replica)
    per_consumer = planned(policy, situation)
    if isinstance(per_consumer, Unknown):
        return _without_capacity(policy, here)
    if sustained(situation, per_consumer, here) == inf:
        return ()
    return (*_more(policy, situation, here, per_consumer), *_fewer(policy, situation, here, wanted, per_consumer))


def _from_zero(policy: Policy) -> tuple[str, ...]:
    if policy.min_replicas > 0:
        return ()
    return (f"Consumers are started once more than {count(policy.activation_lag, 'record')} {_waits(policy)}.",)


def _waits(policy: Policy) -> str:
    return verb(policy.activation_lag, "wait")


def _without_capacity(policy: Policy, here: int) -> tuple[str, ...]:
    window = PROBE_WINDOWS_BOUND * policy.scale_down.stabilization_window_seconds
    more = (f"While the capacity of a consumer is unknown, replicas are doubled once the oldest record is over "
            f"{UP_SHARE * policy.lag_seconds:,.0f} s old.")
    if here <= policy.min_replicas:
        return (more, _at_least(policy))
    return (more, f"One step down is tried after {window:,} s without a change.")


def _more(policy: Policy, situation: Situation, here: int, per_consumer: float) -> tuple[str, ...]:
    """`The next number up that helps is 12, which keeps up with 1,200 records/s: wanted once ...`."""
    withdrawn = situation.withdrawn_to
    if withdrawn is not None and situation.memory.ineffective is not None:
        left = situation.memory.ineffective.until - situation.now
        return (f"More than {count(withdrawn, 'replica')} did not help; they are tried again in {left:,.0f} s.",)
    higher = next_up(situation, here)
    if higher is None:
        return (_no_more(situation),)
    keeps = sustained(situation, per_consumer, higher)
    said = f"The next number up that helps is {higher}, which keeps up with {_rate(situation, keeps)}"
    if higher > policy.max_replicas:
        return (f"{said}; spec.maxReplicas {policy.max_replicas} does not allow it.",)
    return (f"{said}: wanted once the oldest record would be over {UP_SHARE * policy.lag_seconds:,.0f} s old in "
            f"{lead_seconds(policy, situation):,.0f} s, when more could help.",)


def _no_more(situation: Situation) -> str:
    useful = situation.spread.useful_replicas
    return (f"No more than {count(useful, 'replica')} {verb(useful, 'help')}: the partitions give work to no more.")


def _fewer(policy: Policy, situation: Situation, here: int, wanted: int, per_consumer: float) -> tuple[str, ...]:
    """`The next number down is 4, which keeps up with 400 records/s: wanted once no more than that arrives ...`."""
    lower = next_down(policy, situation, here)
    if lower is None:
        return (_at_least(policy),)
    if lower == 0:
        return (_to_zero(policy, situation),)
    keeps = sustained(situation, per_consumer, lower)
    said = f"The next number down is {lower}, which keeps up with {_rate(situation, keeps)}"
    when = "wanted already" if wanted <= lower else _when_fewer(policy, situation, here, lower, keeps)
    return (f"{said}: {when}.",)


def _rate(situation: Situation, keeps: float) -> str:
    return f"{at_least(situation)}{number(keeps)} records/s"


def _when_fewer(policy: Policy, situation: Situation, here: int, lower: int, keeps: float) -> str:
    """The predicate of the way down that does not hold yet."""
    window, capacity = situation.memory.scale_down_window_seconds(policy, situation.now), situation.rates.capacity
    peak = max(situation.memory.peak_arrival(policy, situation.now), _arrival(situation))
    if peak > keeps:
        probe = "" if isinstance(capacity, Unknown) or capacity.learned else _probe(policy)
        return f"wanted once no more than that arrives for {window:,} s ({number(peak)} at most of late){probe}"
    if 2 * lower > here:
        return (f"a step down waits {fresh_seconds(policy):,} s after a scale-up, and one of less than half while a "
                "larger one would do for what arrives now")
    return (f"wanted once it would keep the oldest record under {DOWN_SHARE * policy.lag_seconds:,.0f} s for "
            f"{hold_seconds(policy):,.0f} s, the pause of a rebalance included")


def _arrival(situation: Situation) -> float:
    """What arrives now; 0 while it is not known, as the peaks count as well."""
    arrival = situation.rates.arrival
    return 0.0 if isinstance(arrival, Unknown) else arrival.average


def _probe(policy: Policy) -> str:
    window = PROBE_WINDOWS_BOUND * policy.scale_down.stabilization_window_seconds
    return f", or tried after {window:,} s without a change, as the capacity may be higher"


def _to_zero(policy: Policy, situation: Situation) -> str:
    window = situation.memory.scale_down_window_seconds(policy, situation.now)
    return f"0 replicas are wanted once nothing waits and nothing has arrived for {window:,} s."


def _at_least(policy: Policy) -> str:
    return f"Fewer are not possible: spec.minReplicas is {policy.min_replicas}."


def next_up(situation: Situation, here: int) -> int | None:
    """The next number of replicas that is faster than `here`; None when there is none."""
    spread = situation.spread
    return next((n for n in spread.steps(spread.useful_replicas) if n > here), None)


def next_down(policy: Policy, situation: Situation, here: int) -> int | None:
    """The next number of replicas below `here` that is slower, within the bounds; None when there is none.

    12 partitions: 6, 4, 3, 2, 1, and 0 where minReplicas is 0; 12 of 4 partitions: 4, which is as fast.
    """
    least = max(_step_below(situation, here), policy.min_replicas)
    return least if least < here else None


def _step_below(situation: Situation, here: int) -> int:
    return max((n for n in situation.spread.steps(here) if n < here), default=0)


# the classic rule


def _by_lag(policy: Policy, situation: Situation, here: int, per_replica: int) -> tuple[str, ...]:
    """The lags at which `ceil(lag / lagPerReplica)`, beyond the tolerance and spread evenly, is another number."""
    more = _last_within(per_replica, here, policy.scale_up.tolerance, upwards=True)
    higher = situation.spread.next_faster(max(here + 1, ceil((more + 1) / per_replica)))
    said = [f"Over {more:,} records of lag on all partitions {count(higher, 'replica')} are wanted."]
    if higher > policy.max_replicas:
        said = [f"{said[0][:-1]}; spec.maxReplicas {policy.max_replicas} does not allow so many."]
    lower = next_down(policy, situation, here)
    if lower is None:
        return (*said, _at_least(policy))
    if lower == 0:
        return (*said, "0 replicas are wanted once nothing waits and nothing arrives.")
    step = _step_below(situation, here)
    less = min(step * per_replica, _last_within(per_replica, here, policy.scale_down.tolerance, upwards=False) - 1)
    if less < 0:
        return (*said, f"No lag asks for fewer: spec.behavior.scaleDown.tolerance is {policy.scale_down.tolerance:g}.")
    lower = max(policy.min_replicas, situation.spread.next_faster(max(1, ceil(less / per_replica))))
    return (*said, f"At {less:,} records or fewer {count(lower, 'replica')} {verb(lower, 'are')} wanted"
                   f"{_kept_for_arrival(policy, situation, lower)}.")


def _last_within(per_replica: int, here: int, tolerance: float, *, upwards: bool) -> int:
    """The lag farthest from the right one that the tolerance still lets pass; asked in the rule's own arithmetic.

    1,000 and 0.1: 1,099, as 1100 / 1000 - 1 is a little over 0.1 in floating point.
    """
    way = 1 if upwards else -1
    edge = round(per_replica * here * (1 + way * tolerance))
    near = (edge + way, edge, edge - way)
    return next((lag for lag in near if abs(lag / per_replica / here - 1) <= tolerance), per_replica * here)


def _kept_for_arrival(policy: Policy, situation: Situation, lower: int) -> str:
    per_consumer = planned(policy, situation)
    if isinstance(per_consumer, Unknown):
        return ""
    keeps = CAPACITY_SHARE * per_consumer * sum(situation.spread.shares) / situation.spread.busiest(lower)
    return f", if no more than {number(keeps)} records/s arrive"
