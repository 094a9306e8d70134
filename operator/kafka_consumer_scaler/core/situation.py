"""All that is known at one moment about a group and its workload, when nothing essential is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from kafka_consumer_scaler.core.assignment import COOPERATIVE, Spread
from kafka_consumer_scaler.core.capacity import Rates
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.membership import Hung, Unrest
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.ownership import readers
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.prediction import Load, Loads, Mark, Plant
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.snapshot import Details, Group, Replicas, TopicPartition, Unknown

JOIN_SECONDS = 30.0
"""From asking for replicas to their consumers' having joined, before it was measured, or as long as a pod started."""
SLOW_START_SECONDS = 60.0
"""Pods that start sooner are taken to join in JOIN_SECONDS: one start on a busy node says little of the next."""
PROBED_SECONDS = 900.0
"""A step down that a scale-up takes back within this time, and the objective, was one too many."""
LIGHTER_SHARE = 0.8
"""A load under this share of the one for which replicas were too few is another load."""
PAUSE_SECONDS = 10.0
PAUSE_SECONDS_COOPERATIVE = 5.0
"""Processing time that a rebalance costs, before it was measured."""


def join_seconds_of(memory: Memory, replicas: Replicas) -> float:
    """From asking for replicas to their consumers' having joined: as measured, else as long as a slow pod started."""
    if memory.join_seconds is not None:
        return memory.join_seconds
    started = replicas.start_seconds or 0.0
    return started if started > SLOW_START_SECONDS else JOIN_SECONDS


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known at `now` about one group and its workload, when nothing essential is unknown.

    Args:
        lag: records between the committed and the end offset, by partition.
        waiting: the lag without what was probably processed since the last commit.
        stuck: partitions that have lag and whose committed offset has not moved for long.
        kept: partitions that had the same consumer for as long as it takes to be stuck.
        hot: partitions that get more than one consumer can process.
        age: age of the oldest record that is not committed, seconds.
        ages: age of the oldest record that is waiting, by partition, seconds.
        marks: the age profile of each backlog, oldest record first: (records ahead, age in seconds).
        shares: each partition's share of the arrival of the window.
        shares_newest: each partition's share of the arrival of the last interval.
        commit_interval: seconds between two commits of a consumer.
        is_interval_guessed: whether no more than the size of one commit shows that.
        memory: what is remembered, with what the latest sample taught.
        quiet_seconds: for how long, up to the latest sample, no offset moved; 0 when one just did.
        unbroken_seconds: for how long samples came without a gap.
        unfailed_seconds: since the last look that brought no complete sample; for ever when none is known.
        peace_seconds: for how long samples came without a gap and nothing was scaled.
        awaits_first_commit: there are members and lag, and the group has not committed any offset.
        retention: the partition that loses records first, and in how many seconds; None without a risk.
        details: what the brokers are asked less often.
        memberless_seconds: for how long, up to the latest sample, the group had no member.
        commits_unseen: while the group had no member, somebody committed: a consumer that is none, or an administrator.
        unrest: how often members came and went.
        hung: partitions that an open transaction holds up.
        lost: records that were deleted before they were processed, by partition.
        recreated: topics that were recreated of late.
        unread: partitions that no member is assigned, which count for nothing, and for how long that was seen, seconds.
        held: topics that are held back on purpose, and for how many seconds; their records count once they are due.
        rebalancing_seconds: for how long every sample saw a rebalance; 0 when the latest saw none.
        observed: what arrives, where the arrival of the rates is what producers asked for before they were held back.
    """

    now: float
    replicas: Replicas
    group: Group | Unknown
    lag: Mapping[TopicPartition, int]
    waiting: Mapping[TopicPartition, float]
    stuck: frozenset[TopicPartition]
    hot: frozenset[TopicPartition]
    age: float | Unknown
    ages: Mapping[TopicPartition, float | Unknown]
    shares: Mapping[TopicPartition, float]
    shares_newest: Mapping[TopicPartition, float]
    rates: Rates
    commit_interval: float | Unknown
    assignor: str
    spread: Spread
    backlog: Backlog
    memory: Memory
    quiet_seconds: float
    unbroken_seconds: float
    peace_seconds: float
    awaits_first_commit: bool
    unfailed_seconds: float = inf
    retention: tuple[TopicPartition, float] | None = None
    details: Details = field(default_factory=Details)
    memberless_seconds: float = 0.0
    unrest: Unrest = field(default_factory=Unrest)
    hung: Mapping[TopicPartition, Hung] = field(default_factory=dict)
    kept: frozenset[TopicPartition] = frozenset()
    lost: Mapping[TopicPartition, int] = field(default_factory=dict)
    recreated: frozenset[str] = frozenset()
    unread: Mapping[TopicPartition, float] = field(default_factory=dict)
    held: Mapping[str, float] = field(default_factory=dict)
    rebalancing_seconds: float = 0.0
    is_interval_guessed: bool = False
    commits_unseen: bool = False
    observed: Arrival | Unknown | None = None
    marks: Mapping[TopicPartition, tuple[Mark, ...]] = field(default_factory=dict)

    @property
    def arrived(self) -> Arrival | Unknown:
        """What is seen to arrive; the arrival of the rates is more while producers are held back."""
        return self.rates.arrival if self.observed is None else self.observed

    @property
    def lag_records(self) -> int:
        """Total lag, stuck partitions included."""
        return sum(self.lag.values())

    @property
    def lost_records(self) -> int:
        """Records that were deleted before they were processed, at least."""
        return sum(self.lost.values())

    @property
    def current(self) -> int:
        """Replicas asked for at present."""
        return self.replicas.spec

    @property
    def members(self) -> int | Unknown:
        """Members of the group that may be ours.

        Those that hold partitions of other topics alone are ours where the replicas bring as many members as there are;
        where there are more, they may be another workload's.
        """
        if isinstance(self.group, Unknown):
            return self.group
        every = len(self.group.members)
        brought = self.spread.threads * max(self.replicas.spec, self.replicas.existing)
        return every if every <= brought else len(readers(self.group, self.lag))

    @property
    def reads_other_topics(self) -> bool:
        """Whether some consumer of partitions that count also has partitions of topics that are not declared."""
        if isinstance(self.group, Unknown):
            return False
        topics = {tp.topic for tp in (*self.lag, *self.unread)}
        return any(tp.topic not in topics for member in readers(self.group, self.lag) for tp in member.partitions)

    @property
    def join_seconds(self) -> float:
        """From asking for replicas to their consumers' having joined, as far as it was measured."""
        return join_seconds_of(self.memory, self.replicas)

    @property
    def pause_seconds(self) -> float:
        """Processing time that a rebalance costs, as far as it was measured: at least that of the record in work."""
        capacity = self.rates.capacity
        in_work = 0.0 if isinstance(capacity, Unknown) or not capacity.per_consumer else 1 / capacity.per_consumer
        if self.memory.pause_seconds is not None:
            return max(in_work, self.memory.pause_seconds)
        return max(in_work, PAUSE_SECONDS_COOPERATIVE if self.assignor in COOPERATIVE else PAUSE_SECONDS)

    @property
    def since_scaled(self) -> float:
        """Seconds since the last change; for ever when none is known."""
        last = self.memory.last_scale
        return self.now - last.at if last else inf

    def taken_back_within(self, policy: Policy) -> float:
        """A scale-up this soon after a scale-down takes it back, seconds: the records of the load after it are late."""
        return max(PROBED_SECONDS, policy.lag_seconds + self.join_seconds + self.pause_seconds)

    @property
    def too_few(self) -> int:
        """Replicas that were too few for such a load a while ago: a step down to them was taken back; 0 for none."""
        found, arrival = self.memory.taken_back, self.helped_arrival
        if found is None or self.now >= found.held_until:
            return 0
        is_less = not isinstance(arrival, Unknown) and arrival < LIGHTER_SHARE * found.arrival
        return 0 if is_less else found.replicas

    @property
    def helped_arrival(self) -> float | Unknown:
        """Records/s that arrive on partitions that more consumers can help."""
        rates = self.rates_now
        return rates if isinstance(rates, Unknown) else sum(rates.values())

    @property
    def withdrawn_to(self) -> int | None:
        """Replicas beyond which a scale-up was shown not to help, while its back-off lasts."""
        found = self.memory.ineffective
        return found.replicas if found is not None and found.is_withdrawn and self.now < found.until else None

    @property
    def is_withdrawn(self) -> bool:
        """The present replicas are those that were shown not to help."""
        found = self.memory.ineffective
        return self.withdrawn_to is not None and found is not None and found.tried == self.current

    def can_help(self, tp: TopicPartition) -> bool:
        """Whether more consumers can help a partition: one that is stuck or hot has what they could give."""
        return tp not in self.stuck and tp not in self.hot

    @property
    def waits(self) -> bool:
        """Whether records wait that replicas can process, now or once they are due."""
        is_held = any(lag > 0 and tp.topic in self.held for tp, lag in self.lag.items())
        return is_held or any(lag > 0 and tp not in self.stuck for tp, lag in self.waiting.items())

    def plant(self, capacity: float) -> Plant:
        """The group as the prediction sees it, of which a consumer processes `capacity` records/s."""
        consumers = self.spread.consumers(self.current)
        return Plant(self.spread, self.assignor, capacity, self._hands(consumers), consumers)

    def _hands(self, consumers: int) -> tuple[tuple[TopicPartition, ...], ...]:
        """The partitions of each consumer, once all of them hold some; none while that is not known."""
        group, members = self.group, self.members
        if isinstance(group, Unknown) or isinstance(members, Unknown) or group.is_rebalancing or members < consumers:
            return ()
        owners = {tp: member.id for member in group.members for tp in member.partitions}
        hands: dict[str, list[TopicPartition]] = {}
        for tp in self.lag:
            if tp not in owners:
                return ()
            hands.setdefault(owners[tp], []).append(tp)
        return tuple(tuple(hand) for hand in hands.values())

    @property
    def rates_now(self) -> Mapping[TopicPartition, float] | Unknown:
        """Records/s that arrive in each partition that more consumers can help."""
        arrival = self.rates.arrival
        if isinstance(arrival, Unknown):
            return arrival
        average, helpless = arrival.average, self.stuck | self.hot
        return {tp: average * share for tp, share in self.shares.items() if not helpless or tp not in helpless}

    def loads(self, arrival: float) -> Loads | Unknown:
        """Each partition's load at a rate of arrival, without those that more consumers cannot help."""
        found: dict[TopicPartition, Load] = {}
        ages, shares, marks, helpless = self.ages, self.shares, self.marks, self.stuck | self.hot
        for tp, lag in self.waiting.items():
            if helpless and tp in helpless:
                continue
            age = ages[tp]
            if isinstance(age, Unknown):
                return age
            found[tp] = Load(lag, age, arrival * shares.get(tp, 0.0), marks.get(tp, ()))
        return found
