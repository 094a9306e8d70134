"""The safe rate: what may arrive for the group, at its useful maximum, to sustain it and get back under the objective.

A consumer that does c a second gets the share s of the arrival A and is L records behind. R seconds on, what it is
behind by must be no more than what arrives in 0.6 of the objective T, and for ever it must do what arrives:

    L + s A R - c R <= 0.6 T s A     so     A <= (c R - L) / (s (R - 0.6 T))     and     A <= c / s

12 even partitions, 12 consumers of 100 records/s, T = 60 s, R = 300 s, each consumer L behind:

    L        0    3,600    5,000    10,000    30,000
    A    1,200    1,200    1,136       909         0

One partition that gets 0.4 of all and has a consumer of its own: 100 / 0.4 = 250. R is no less than T. The whole
capacity counts, whatever `target.utilization` is: that is for buying replicas, not for turning records away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kafka_consumer_scaler.core.assignment import deal
from kafka_consumer_scaler.core.limits import ceiling
from kafka_consumer_scaler.core.objective import BACK_SHARE
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, TopicPartition, Unknown

NO_SHARES = Unknown("it is not known how the records spread over the partitions")


@dataclass(frozen=True, slots=True)
class SafeRate:
    """What the group sustains at its useful maximum.

    Args:
        records: records/s of the whole group that it sustains and comes back under the objective with in time.
        bytes: the same in bytes/s, by the mean size of a stored record.
        sustained: records/s that it sustains once nothing waits.
        replicas: the useful maximum: of maxReplicas, of what has work, and of what was shown to help, the least.
        because: one phrase with its numbers.
        is_learned: consumers were seen busy, for however long; else the rate is a lower bound.
        partition: the hot partition that decides; None where none does.
    """

    records: float
    bytes: float | Unknown
    sustained: float
    replicas: int
    because: str
    is_learned: bool
    partition: TopicPartition | None = None


@dataclass(frozen=True, slots=True)
class Burden:
    """What one consumer, or all of them by what they share, can do (records/s), gets (a share), and is behind by."""

    capacity: float
    share: float
    lag: float
    partitions: tuple[TopicPartition, ...] = ()

    @property
    def sustained(self) -> float:
        """Records/s of the whole group's arrival that it keeps up with."""
        return self.capacity / self.share

    def recovers(self, policy: Policy) -> float:
        """Records/s of the whole group's arrival with which it is back under the objective in time; 0 for none."""
        seconds = horizon(policy)
        left = self.capacity * seconds - self.lag
        return max(0.0, left) / (self.share * (seconds - BACK_SHARE * policy.lag_seconds))

    def safe(self, policy: Policy) -> float:
        """The lesser of the two."""
        return min(self.sustained, self.recovers(policy))

    def is_late(self, policy: Policy, arrival: float) -> bool:
        """Whether at this arrival a record will be older than the objective when it should be back under it."""
        gets, seconds = self.share * arrival, horizon(policy)
        return self.lag + gets * seconds - self.capacity * seconds > gets * policy.lag_seconds


def safe_rate(policy: Policy, situation: Situation) -> SafeRate | Unknown:
    """The safe rate by what is known now; Unknown while the capacity of a consumer is."""
    capacity, found = situation.rates.capacity, burdens(policy, situation)
    if isinstance(capacity, Unknown):
        return capacity
    if isinstance(found, Unknown):
        return found
    tightest = min(found, key=lambda each: each.safe(policy))
    records, sustained = tightest.safe(policy), min(each.sustained for each in found)
    each = record_bytes(situation)
    hot = max(situation.hot & set(tightest.partitions), key=lambda tp: situation.shares[tp], default=None)
    replicas = useful_maximum(policy, situation)
    return SafeRate(
        records=records,
        bytes=each if isinstance(each, Unknown) else records * each,
        sustained=sustained,
        replicas=replicas,
        because=_because(policy, situation, replicas, tightest, sustained, hot),
        is_learned=capacity.learned or capacity.busy,
        partition=hot,
    )


def horizon(policy: Policy) -> float:
    """Seconds in which the group is to be back under the objective; sooner than the objective nothing is late."""
    return max(policy.recovery_seconds, policy.lag_seconds)


def useful_maximum(policy: Policy, situation: Situation) -> int:
    """The fewest replicas that are as fast as the most that may be asked for and were not shown to be of no help."""
    most, withdrawn = ceiling(policy, situation.spread), situation.withdrawn_to
    most = most if withdrawn is None else min(most, withdrawn)
    return max(policy.min_replicas, situation.spread.fewest_as_fast(most))


def burdens(policy: Policy, situation: Situation) -> Sequence[Burden] | Unknown:
    """Each consumer's burden at the useful maximum, and that of all where they were shown to share a bound.

    Partitions that do not move get no better by any rate, and are left out.
    """
    capacity = situation.rates.capacity
    if isinstance(capacity, Unknown):
        return capacity
    found = [_burden(situation, capacity.per_consumer, hand)
             for hand in _hands(situation, useful_maximum(policy, situation))]
    found = [each for each in found if each.share > 0]
    bound = situation.memory.ineffective
    if bound is not None and bound.drained > 0 and found:
        found.append(Burden(bound.drained, sum(each.share for each in found), sum(each.lag for each in found)))
    return found or NO_SHARES


def record_bytes(situation: Situation) -> float | Unknown:
    """Mean bytes of a record that arrives: 0.75 of them in a topic of 400 and 0.25 in one of 200 are 350.

    While producers are held back, what came through tells it better than what is stored.
    """
    if situation.memory.throttling is not None:
        return situation.memory.throttling.record_bytes
    stored, shares = situation.details.record_bytes, situation.shares
    topics = {tp.topic for tp, share in shares.items() if share > 0}
    unknown = sorted(topics - stored.keys())
    if unknown or not topics:
        return Unknown(f"the mean size of a record of {unknown[0]} is not known") if unknown else NO_SHARES
    return sum(share * stored[tp.topic] for tp, share in shares.items() if share > 0)


def _burden(situation: Situation, per_consumer: float, hand: tuple[TopicPartition, ...]) -> Burden:
    share = sum(situation.shares.get(tp, 0.0) for tp in hand)
    return Burden(per_consumer, share, sum(situation.waiting[tp] for tp in hand), hand)


def _hands(situation: Situation, replicas: int) -> Sequence[tuple[TopicPartition, ...]]:
    """The partitions of each consumer: those it has where so many are there and rest, else those it would be dealt."""
    moving = tuple(tp for tp in sorted(situation.waiting) if tp not in situation.stuck)
    group, consumers = situation.group, situation.spread.consumers(replicas)
    if isinstance(group, Group) and not group.is_rebalancing and len(group.members) == consumers:
        held = [tuple(tp for tp in sorted(member.partitions) if tp in situation.waiting and tp not in situation.stuck)
                for member in group.members]
        if sum(map(len, held)) == len(moving):
            return held
    return deal(moving, situation.assignor, consumers) if consumers > 0 else ()


def _because(policy: Policy, situation: Situation, replicas: int, tightest: Burden, sustained: float,
             hot: TopicPartition | None) -> str:
    """`12 replicas sustain 1,200 records/s; 909 while 120,000 records wait, to be back within 300 s`."""
    bound = situation.memory.ineffective
    said = f"{replicas:,} {'replica sustains' if replicas == 1 else 'replicas sustain'} {sustained:,.0f} records/s"
    if hot is not None:
        said += f", as {hot} gets {situation.shares[hot]:.0%} of them and a consumer does {tightest.capacity:,.0f}"
    elif not tightest.partitions and bound is not None:
        said += f", as {bound.tried} did no more"
    safe = tightest.safe(policy)
    if safe < sustained:
        waiting = sum(situation.waiting.values())
        said += f"; {safe:,.0f} while {waiting:,.0f} records wait, to be back in {horizon(policy):,.0f} s"
    return said
