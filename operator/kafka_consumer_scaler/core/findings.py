"""Findings about a group: each one predicate, its evidence in numbers, and the remedy in one sentence."""

from __future__ import annotations

from collections.abc import Callable

from kafka_consumer_scaler.core.diagnosis import Backlog, Finding
from kafka_consumer_scaler.core.effect import expected_members, is_bound_downstream, not_joining_seconds
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.membership import REBALANCING_SECONDS, UNREAD_SECONDS, UNREST_SECONDS, UNSEEN_SECONDS
from kafka_consumer_scaler.core.memory import Found, Memory, Usual
from kafka_consumer_scaler.core.others import replicas_changed_by_others, taken_away_by_others
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.rates import WINDOW_COMMIT_INTERVALS, WINDOW_SECONDS
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import recommend
from kafka_consumer_scaler.core.safe_rate import record_bytes, safe_rate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import INCREMENTAL_STATES, TopicPartition, Unknown
from kafka_consumer_scaler.core.throttle import Throttle, floor_of

Rule = Callable[[Policy, Situation, tuple[Limit, ...]], Finding | None]
NAMED_AT_MOST = 3
KEPT_SECONDS = 60.0
KEPT_POLLS = 3
"""A finding goes when it was not seen for a minute and for three polls."""
MEMBERLESS_SECONDS = 30.0
OFFSETS_RETENTION_SECONDS = 604_800.0
"""Kafka's default: offsets.retention.minutes 10080."""
EXPIRING_SECONDS = 86_400.0
EXPIRING_SHARE = 0.5
"""Offsets are said to expire a day ahead, or at half of a retention that is shorter than two days."""
STORM_MEMBERS = 3
STORM_SHARE = 0.5
GIVE_UP_LEAVING_SECONDS = 120.0
"""A consumer that we took away has left by then."""
CRASHING_MEMBERS = 2
"""Members that came and went within ten minutes, while something is the matter with the pods."""
USUAL_SECONDS_AT_LEAST = 120.0
"""What is usual is known once the group was caught up for so long."""
SPIKE_TIMES = 1.5
SPIKE_LEAST = 1.0
"""Records/s that count as usual at least: who usually gets nothing has no spike at the first record."""
ENDLESS_SECONDS = 600.0
ENDLESS_SINCE_SECONDS = 1800.0
ENDLESS_PAUSES = 4
"""A rebalance longer than this, and than this many usual pauses, does not end; one soon after a change may."""
SLOW_SHARE = 0.7
FEWER_RECORDS = 2
"""A consumer is slower if it processed this many records fewer than usual; one record is chance."""
NOT_BEHIND = frozenset({Backlog.CAUGHT_UP, Backlog.UNKNOWN})


def findings_of(policy: Policy, situation: Situation, trail: tuple[Limit, ...],
                throttle: Throttle | None = None) -> tuple[Finding, ...]:
    """All that hold, the most urgent first; then what is done about producers."""
    found = [rule(policy, situation, trail) for rule in RULES]
    if throttle is not None:
        found += [rule(policy, situation, throttle) for rule in UPSTREAM_RULES]
    return tuple(finding for finding in found if finding is not None)


def lasting(seen: tuple[Finding, ...], policy: Policy, memory: Memory, now: float) -> tuple[Found, ...]:
    """The findings that last: those just seen, and those seen a moment ago, so that no condition flickers.

    Polls every 15 s: a finding that was last seen at 0 s still lasts at 60 s and is gone at 75 s.
    """
    fresh = {each.reason: Found(each.reason, now, each.evidence, each.remedy) for each in seen}
    kept = max(KEPT_SECONDS, KEPT_POLLS * policy.polling_interval_seconds)
    old = {each.reason: each for each in memory.found if 0 <= now - each.at <= kept}
    order = (*(each.reason for each in seen), *(reason for reason in old if reason not in fresh))
    return tuple(fresh.get(reason) or old[reason] for reason in order)


def records_lost(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Records were deleted before the group processed them: the log starts beyond its committed offset."""
    if not situation.lost:
        return None
    return Finding(
        Reason.RECORDS_LOST,
        f"at least {situation.lost_records:,} records of {_named(frozenset(situation.lost))} were deleted before the "
        "group processed them",
        "raise the topic's retention.ms; get what was lost from its source; consumers go on where auto.offset.reset "
        "says")


def retention_risk(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Retention deletes the oldest unprocessed record before the group reaches it."""
    if situation.retention is None:
        return None
    tp, left = situation.retention
    evidence = f"{tp} loses unprocessed records {'now' if left == 0 else f'in {left:,.0f} s'}"
    return Finding(Reason.RETENTION_RISK, evidence, "raise the topic's retention.ms until the group has caught up")


def topic_recreated(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """The end of a topic's log fell: it was deleted and made anew, or a leader that lacked records took over."""
    if not situation.recreated:
        return None
    more = len(situation.recreated) - NAMED_AT_MOST
    names = ", ".join(sorted(situation.recreated)[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
    return Finding(
        Reason.TOPIC_RECREATED,
        f"the end of {names} fell, so it was recreated or truncated, and what was learned before is dropped",
        "restart the consumers if they do not go on; if nobody recreated it, look for an unclean leader election")


def brokers_slow(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """The brokers took over half of the polling interval to answer, so they are asked less often."""
    if situation.details.stretch <= 1:
        return None
    return Finding(
        Reason.BROKERS_SLOW,
        f"polls took over half of their interval: there is one every {policy.polling_interval_seconds:,} s now, "
        f"{situation.details.stretch} times as far apart as asked for",
        "look at the brokers' load and at quotas on the operator's user or client id; or raise pollingIntervalSeconds")


def offsets_expiring(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Nobody is in the group, and Kafka will delete its offsets."""
    since, told = situation.memory.memberless_since, situation.details.offsets_retention_seconds
    if since is None:
        return None
    retention = told or OFFSETS_RETENTION_SECONDS
    left = max(0.0, retention - (situation.now - since))
    if left > min(EXPIRING_SECONDS, EXPIRING_SHARE * retention):
        return None
    kept = f"{retention / 86_400:,.1f} days{'' if told else ' (the default)'}"
    gone = (situation.now - since) / 3600
    return Finding(
        Reason.OFFSETS_EXPIRING,
        f"no member for {gone:,.0f} h, {left / 3600:,.0f} h left of the {kept} that offsets are kept",
        "start a consumer, or raise offsets.retention.minutes; without offsets the group starts where offsetReset says")


def no_members(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Replicas are asked for, and nobody is in the group: if no records wait yet, they will.

    Where commits were seen, consumers that assign partitions themselves may go on with them: they are waited for.
    """
    if not situation.current or situation.members != 0:
        return None
    waited = min(situation.memberless_seconds, situation.since_scaled)
    commits = not isinstance(situation.commit_interval, Unknown)
    patience = max(MEMBERLESS_SECONDS, policy.lag_seconds) if commits else MEMBERLESS_SECONDS
    if situation.commits_unseen:
        patience = max(patience, UNSEEN_SECONDS)
    if waited < patience or situation.since_scaled < 2 * situation.join_seconds:
        return None
    pods = f": {situation.replicas.trouble}" if situation.replicas.trouble else ""
    counts = f"replicas: {situation.current}, records behind: {situation.lag_records:,}"
    return Finding(
        Reason.NO_MEMBERS, f"no member for {waited:,.0f} s ({counts}){pods}",
        "look at the pods, and whether their group.id and bootstrap.servers are those of this resource")


def rebalance_storm(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Members come and go, or the group never settles, though nothing is the matter with the pods.

    A rollout takes every member away once, however many there are; a member that comes and goes does so again. One
    rebalance that takes long, with the same members all the time, is no storm before it has lasted for ten minutes.
    """
    left, rebalancing = _came_and_went(situation), situation.unrest.rebalancing
    again = situation.unrest.again - _taken_away(situation)
    if situation.since_scaled < REBALANCING_SECONDS + situation.pause_seconds:
        rebalancing = 0.0
    is_coming_and_going = left >= STORM_MEMBERS and again >= STORM_MEMBERS - 1
    is_unsettled = rebalancing >= STORM_SHARE and (again >= 1 or _is_endless(situation))
    if situation.replicas.trouble or not (is_coming_and_going or is_unsettled):
        return None
    return Finding(
        Reason.REBALANCE_STORM,
        f"{left} members came and went within {UNREST_SECONDS / 60:.0f} min, {rebalancing:.0%} of looks in a rebalance",
        "raise max.poll.interval.ms above the longest batch, or lower max.poll.records; use group.instance.id")


def _is_endless(situation: Situation) -> bool:
    """A rebalance that stops all members lasts for longer than any that was seen."""
    group = situation.group
    if isinstance(group, Unknown) or group.state in INCREMENTAL_STATES:
        return False
    if situation.since_scaled < ENDLESS_SINCE_SECONDS:
        return False
    return situation.rebalancing_seconds >= max(ENDLESS_SECONDS, ENDLESS_PAUSES * situation.pause_seconds)


def hung_transaction(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """A transaction that nobody ends holds records back from consumers that read committed ones only."""
    if not situation.hung:
        return None
    records = sum(each.records for each in situation.hung.values())
    longest = max(each.seconds for each in situation.hung.values())
    return Finding(
        Reason.HUNG_TRANSACTION,
        f"{records:,} records of {_named(frozenset(situation.hung))} wait behind a transaction that is open for "
        f"{longest:,.0f} s",
        "find it with `kafka-transactions.sh find-hanging`, and abort it or restart its producer")


def slow_consumers(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """There is a backlog, and a consumer does much less than it usually can.

    Of consumers that also read topics that are not declared, it is not known what else they do.
    """
    usual, capacity = _usual(situation), situation.rates.capacity
    if usual is None or usual.per_consumer is None or isinstance(capacity, Unknown) or is_bound_downstream(situation):
        return None
    if not (capacity.learned or capacity.busy) or capacity.per_consumer >= SLOW_SHARE * usual.per_consumer:
        return None
    if situation.reads_other_topics:
        return None
    if (usual.per_consumer - capacity.per_consumer) * _seen_seconds(situation) < FEWER_RECORDS:
        return None
    return Finding(
        Reason.SLOW_CONSUMERS,
        f"one consumer does {capacity.per_consumer:,.0f} records/s and usually {usual.per_consumer:,.0f}"
        f"{_more_of_them(situation, usual)}",
        "look at what they wait for (database, remote calls, garbage collection) and at their CPU limit")


def _seen_seconds(situation: Situation) -> float:
    """Over how many seconds a consumer's work was seen, at least."""
    interval = situation.commit_interval
    return WINDOW_SECONDS if isinstance(interval, Unknown) else max(WINDOW_SECONDS, WINDOW_COMMIT_INTERVALS * interval)


def producer_spike(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """There is a backlog, and much more arrives than usual."""
    usual, arrival = _usual(situation), situation.rates.arrival
    if usual is None or isinstance(arrival, Unknown) or arrival.average < SPIKE_TIMES * max(usual.arrival, SPIKE_LEAST):
        return None
    times = f", {arrival.average / usual.arrival:,.1f} times as many" if usual.arrival >= SPIKE_LEAST else ""
    return Finding(
        Reason.PRODUCER_SPIKE,
        f"{arrival.average:,.0f} records/s arrive and usually {usual.arrival:,.0f}{times}",
        "nothing, if it passes and the replicas suffice; else slow the producers down at their entry")


def stuck_partition(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """A committed offset does not move though its consumer is alive."""
    stuck = situation.stuck & situation.kept
    if not stuck:
        return None
    lag = sum(situation.lag[tp] for tp in stuck)
    return Finding(Reason.STUCK_PARTITION, f"{_named(stuck)} not moving with {lag:,} records behind",
                   "look at the first uncommitted record and at the consumer that has it; more replicas cannot help")


def unread_partitions(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Nobody is assigned these partitions, though others of the group are read."""
    unread = {tp: seconds for tp, seconds in situation.unread.items() if seconds >= UNREAD_SECONDS}
    if not unread:
        return None
    topics = ", ".join(sorted({tp.topic for tp in unread})[:NAMED_AT_MOST])
    return Finding(
        Reason.UNREAD_PARTITIONS,
        f"no member was assigned {_named(frozenset(unread))} for {max(unread.values()):,.0f} s",
        f"they count for nothing; let the consumers read {topics}, or delete the group's offsets of what it no longer "
        "reads")


def hot_partition(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """A partition gets more than one consumer can process."""
    arrival, capacity = situation.rates.arrival, situation.rates.capacity
    if not situation.hot or isinstance(arrival, Unknown) or isinstance(capacity, Unknown):
        return None
    looks = ((situation.shares, arrival.average), (situation.shares_newest, arrival.newest))
    gets = max(shares.get(tp, 0.0) * rate for shares, rate in looks for tp in situation.hot)
    return Finding(
        Reason.HOT_PARTITION,
        f"{_named(situation.hot)} gets {gets:,.0f} records/s and one consumer does {capacity.per_consumer:,.0f}",
        "spread the keys over more partitions or make the consumer faster; even one of its own cannot keep up")


def ineffective_scaling(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """More consumers did not process more."""
    found = situation.memory.ineffective
    if found is None or not is_bound_downstream(situation):
        return None
    left = found.until - situation.now
    return Finding(
        Reason.INEFFECTIVE_SCALING,
        f"{found.tried} replicas processed {found.drained:,.0f} records/s and, by what a consumer did before, "
        f"{found.replicas} can do {found.drain:,.0f}",
        f"look for a bound downstream (database, quota, lock){f'; tried again in {left:,.0f} s' if left > 0 else ''}")


def replicas_not_joining(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Replicas that were asked for are not members of the group, or crash; once found, for as long as they do."""
    waited, members = not_joining_seconds(situation), situation.members
    if isinstance(members, Unknown) or not members:
        return None
    trouble, left, expected = situation.replicas.trouble, _came_and_went(situation), expected_members(situation)
    missing = waited is not None and members < expected
    goes_on = left >= CRASHING_MEMBERS or _was_found(situation, Reason.REPLICAS_NOT_JOINING)
    if not missing and not (trouble and goes_on):
        return None
    seen = f"{members} of {expected} consumers are members{f' for {waited:,.0f} s' if missing else ''}"
    if not missing and left >= CRASHING_MEMBERS:
        seen = f"{left} members came and went"
    return Finding(Reason.REPLICAS_NOT_JOINING, f"{seen}: {trouble}" if trouble else seen,
                   "look at the pods: they are pending, crash, or do not reach the brokers")


def at_partition_limit(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """More replicas are wanted than have partitions to work on."""
    return _bounded(policy, situation, _limit(trail, Reason.AT_PARTITION_LIMIT),
                    "add partitions, or make the consumer faster")


def at_max_replicas(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """More replicas are wanted than the user allows."""
    return _bounded(policy, situation, _limit(trail, Reason.AT_MAX_REPLICAS),
                    "raise maxReplicas, or make the consumer faster")


def at_quota_floor(policy: Policy, situation: Situation, throttle: Throttle) -> Finding | None:
    """Producers are held to their floors, and those are more than the group sustains."""
    if not throttle.is_at_floor:
        return None
    safe, each = safe_rate(policy, situation), record_bytes(situation)
    if isinstance(safe, Unknown) or isinstance(each, Unknown) or safe.sustained * each >= floor_of(policy):
        return None
    return Finding(
        Reason.AT_QUOTA_FLOOR,
        f"the floor is {floor_of(policy):,.0f} bytes/s and the group sustains {safe.sustained * each:,.0f}: "
        f"{_binding(throttle)}",
        "lower minBytesPerSecond, or lift what binds the consumers; till then the backlog grows")


def throttling_producers(policy: Policy, situation: Situation, throttle: Throttle) -> Finding | None:
    """Producers are held to a rate, or would be."""
    verb = "are" if policy.mode is Mode.ACTIVE and not policy.paused else "would be"
    return Finding(
        Reason.THROTTLING_PRODUCERS,
        f"producers {verb} held to {throttle.bytes_per_second:,.0f} bytes/s, at least {floor_of(policy):,.0f}: "
        f"{_binding(throttle)}",
        "lift what binds the consumers (partitions, maxReplicas, keys, a bound downstream), or let producers send less")


UPSTREAM_RULES: tuple[Callable[[Policy, Situation, Throttle], Finding | None], ...] = (
    at_quota_floor, throttling_producers,
)
RULES: tuple[Rule, ...] = (
    records_lost, retention_risk, topic_recreated, offsets_expiring, no_members, replicas_not_joining, rebalance_storm,
    replicas_changed_by_others, hung_transaction, ineffective_scaling, hot_partition, stuck_partition,
    unread_partitions, slow_consumers, producer_spike, brokers_slow, at_partition_limit, at_max_replicas,
)
"""What loses data comes first, then what is broken, then what is slow or much, then what bounds."""


def _usual(situation: Situation) -> Usual | None:
    """What is usual, of a group that is behind; None while it is caught up, or was so for too short a time."""
    usual = situation.memory.usual
    if usual is None or usual.seconds < USUAL_SECONDS_AT_LEAST or situation.backlog in NOT_BEHIND:
        return None
    return usual


def _binding(throttle: Throttle) -> str:
    """What binds, as a part of the evidence: behind a `; ` stands the remedy."""
    return throttle.because.replace("; ", ", and ")


def _is_too_much(policy: Policy, situation: Situation, replicas: int) -> bool:
    """Whether so many replicas cannot process the arrivals and drain the backlog within `recoverySeconds`.

    12 of 100 records/s: 270 records/s arrive and 197,000 are behind, so 270 + 197,000 / 300 = 927, which they can do.
    For the objective that is not so before consumers were seen busy: more were asked for on a guess.
    """
    arrival, capacity = situation.rates.arrival, situation.rates.capacity
    if isinstance(arrival, Unknown) or isinstance(capacity, Unknown):
        return policy.lag_per_replica is not None
    if not (capacity.learned or capacity.busy):
        return False
    needed = arrival.average + situation.lag_records / policy.recovery_seconds
    return needed > replicas * situation.spread.threads * capacity.per_consumer


def _more_of_them(situation: Situation, usual: Usual) -> str:
    """There are more of them than when it was usual: a bound that they share is as likely as slowness."""
    before = next((scale.before for scale in situation.memory.scales if scale.at >= usual.at), situation.current)
    return f", with {situation.current} replicas and then {before}" if situation.current > before else ""


def _can_help(situation: Situation) -> bool:
    """Whether a higher bound would be of use: not where those asked for do not work, or share another one.

    While a scale-up is on trial, a consumer counts with all that it promises.
    """
    return situation.members != 0 and not_joining_seconds(situation) is None and not is_bound_downstream(situation)


def _came_and_went(situation: Situation) -> int:
    """Members that came and went of late, without those that scale-downs took away."""
    return max(0, situation.unrest.left - _taken_away(situation))


def _taken_away(situation: Situation) -> int:
    """Members that scale-downs, ours and those of others, may have taken away in this time."""
    since = situation.now - UNREST_SECONDS - GIVE_UP_LEAVING_SECONDS
    recent = (each for each in situation.memory.scales if each.at >= since)
    ours = sum(max(0, each.before - each.after) for each in recent)
    return situation.spread.threads * (ours + taken_away_by_others(situation.memory, since))


def _was_found(situation: Situation, reason: Reason) -> bool:
    return any(each.reason is reason for each in situation.memory.found)


def _bounded(policy: Policy, situation: Situation, found: Limit | None, remedy: str) -> Finding | None:
    """The finding that a limit is, where a higher one would help."""
    if found is None or not _can_help(situation) or not _is_too_much(policy, situation, found.replicas):
        return None
    wanted = recommend(policy, situation).replicas
    return Finding(found.reason, f"{wanted:,} replicas are wanted and {found.replicas} allowed, {found.why}: "
                   f"{_load(situation)}", remedy)


def _load(situation: Situation) -> str:
    """`1,201 records/s arrive, one consumer does 100, 3,000 records are behind`, as far as it is known."""
    arrival, capacity = situation.rates.arrival, situation.rates.capacity
    told = [] if isinstance(arrival, Unknown) else [f"{arrival.average:,.0f} records/s arrive"]
    told += [] if isinstance(capacity, Unknown) else [f"one consumer does {capacity.per_consumer:,.0f}"]
    return ", ".join((*told, f"{situation.lag_records:,} records are behind"))


def _limit(trail: tuple[Limit, ...], reason: Reason) -> Limit | None:
    return next((limit for limit in trail if limit.reason is reason), None)


def _named(partitions: frozenset[TopicPartition]) -> str:
    first = ", ".join(str(tp) for tp in sorted(partitions)[:NAMED_AT_MOST])
    more = len(partitions) - NAMED_AT_MOST
    return f"{first} and {more} more" if more > 0 else first
