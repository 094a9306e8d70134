"""Records/s that one consumer can process: learned only while consumers are busy, else a lower bound.

A consumer is busy over a stretch in which it kept its partitions and in every reading was behind by more than two
commit intervals' worth of what it drained, and by more than a poll's worth of the fastest that it committed:
whatever it had committed, there was more to do. (Commits that every look sees may be as far apart as the looks; an idle
consumer is then behind by up to one of them whenever it is looked at.) D records committed within
w seconds, at a commit interval of c, then mean D / w records/s, between D / (w + c) and D / (w - c): the commits at
both ends may each hold up to c. With commits every 5 s a stretch of 60 s is right to 8%. A consumer that is not busy
proves no more than the lower of the two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile

from kafka_consumer_scaler.core.commits import likely_commit_interval
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import WINDOW_SECONDS, Arrival, arrival, drain, position
from kafka_consumer_scaler.core.snapshot import Group, Sample, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.core.waiting import OVERDUE_COMMIT_INTERVALS

BUSY_COMMIT_INTERVALS = 2
Hands = Mapping[str, frozenset[TopicPartition]]
LIKELY_COMMIT_INTERVALS = 3
"""Busy for so many commit intervals, a consumer shows what it can do to a third; good enough until it is learned."""
ALL = ""
"""Stands for all consumers of a group whose members cannot be seen."""
SKIPPED_TIMES = 3
"""Who commits this many times what was learned has skipped records (a reset to the end), not processed them."""
WINDOW_SHARE_MAX = 0.8
"""Of the time that the history is kept."""
OVERDUE_RECORDS = 3
"""A consumer that has committed nothing for so many records' time, and for two commit intervals, may be dead."""
ARRIVAL_SHARE = 0.25
"""The arrival rate is an average over this share of the objective: for an hour, one record a minute is steady."""
SLOWED_SHARE = 0.85
"""Busy consumers that do less than this share of what was learned have become slower."""
SLOWED_COMMIT_INTERVALS = 4
"""A stretch of so many commit intervals is long enough to see that."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Records/s of one consumer: `learned` from busy consumers, or seen `busy` for less long, else a lower bound."""

    per_consumer: float
    learned: bool
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one consumer drained while it kept its partitions: records, seconds, and whether it was busy throughout."""

    drained: float
    seconds: float
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Unseen:
    """Consumers that no member stands for: how many, and since when (seconds since the epoch) so many worked."""

    consumers: int
    since: float


def capacity(history: History, policy: Policy, interval: float | Unknown, known: Capacity | None,
             unseen: Unseen | None = None, held: Set[str] = frozenset()) -> Capacity | Unknown:
    """What is known of a consumer's capacity after the latest sample.

    Busy for a window: the measured rate replaces the known one, also downwards, but not below that of another consumer.
    Busy for less: they may prove that they have become slower. Not busy: a lower bound that is beaten raises what is
    known. An idle group teaches nothing.

    Args:
        interval: seconds between two commits, as far as it can be told.
        known: what was known before.
        unseen: consumers that work and are no members: what all of them process is divided by their number.
        held: topics whose records are held back on purpose: a consumer is not busy with them.
    """
    if isinstance(interval, Unknown):
        return known or interval
    return _capacity(_found(history, policy, interval, unseen, held), history, interval, known)


def _found(history: History, policy: Policy, interval: float, unseen: Unseen | None,
           held: Set[str]) -> tuple[Stretch, ...]:
    if unseen is not None:
        return _unseen(history, policy, interval, unseen, held)
    return stretches(history, policy, interval, held)


def _capacity(found: tuple[Stretch, ...], history: History, interval: float,
              known: Capacity | None) -> Capacity | Unknown:
    busy = [each for each in found if each.is_busy and each.drained > 0]
    long = [each for each in busy if each.seconds >= _window_seconds(history, interval)]
    whole = (each for each in found if each.seconds >= LIKELY_COMMIT_INTERVALS * interval)
    proven = max((each.drained / (each.seconds + interval) for each in whole), default=0.0)
    if long:
        return Capacity(max(proven, _mean(long)), learned=True)
    slower = _slowed(busy, len(found), interval, known)
    if slower is not None:
        return slower
    if known is not None and known.learned and proven > SKIPPED_TIMES * known.per_consumer:
        return known
    likely = [each for each in busy if each.seconds >= LIKELY_COMMIT_INTERVALS * interval]
    if likely and (known is None or not known.learned):
        return Capacity(_mean(likely), learned=False, busy=True)
    if known is not None and known.per_consumer >= proven:
        return known
    if proven == 0:
        return Unknown("nothing was processed by consumers that kept their partitions for long enough")
    return Capacity(proven, known is not None and known.learned)


def stretches(history: History, policy: Policy, interval: float, held: Set[str] = frozenset()) -> tuple[Stretch, ...]:
    """One for each member of the latest sample that has kept its partitions for at least one poll."""
    samples = history.since(history.drain_since)
    if not samples or not isinstance(samples[-1].group, Group) or samples[-1].group.is_rebalancing:
        return ()
    recent = _recent(history, policy, samples, _window_seconds(history, interval))
    place_of = {tp: place for place, tp in enumerate(samples[-1].partitions)}
    found: list[Stretch | None] = []
    for member, hand in recent[0].hands.items():
        mine = [place for tp in hand if (place := place_of.get(tp)) is not None]
        free = [place_of[tp] for tp in hand if tp in place_of and tp.topic not in held] if held else mine
        found.append(_stretch(policy, interval, _while_kept(recent, member), mine, free) if hand else None)
    return tuple(each for each in found if each is not None)


def _unseen(history: History, policy: Policy, interval: float, unseen: Unseen,
            held: Set[str]) -> tuple[Stretch, ...]:
    """One stretch of all consumers together, in the share of one of them."""
    samples = history.since(max(history.drain_since, unseen.since))
    if len(samples) < 2:
        return ()
    newest, window = samples[-1], _window_seconds(history, interval)
    recent = [_Seen(sample, newest, history, policy.offset_reset, {}) for sample in reversed(samples)
              if newest.at - sample.at <= window]
    free = [place for place, tp in enumerate(newest.partitions) if tp.topic not in held]
    whole = _stretch(policy, interval, recent, range(len(newest.partitions)), free)
    if whole is None:
        return ()
    return (replace(whole, drained=whole.drained / unseen.consumers),)


def _mean(found: Iterable[Stretch]) -> float:
    each = list(found)
    return sum(one.drained for one in each) / sum(one.seconds for one in each)


def _slowed(busy: list[Stretch], members: int, interval: float, known: Capacity | None) -> Capacity | None:
    """Most consumers are busy, and even the most they may have done is well below what was learned."""
    enough = [each for each in busy if each.seconds >= SLOWED_COMMIT_INTERVALS * interval]
    if known is None or not known.learned or 2 * len(enough) <= members:
        return None
    most = sum(each.drained for each in enough) / sum(each.seconds - interval for each in enough)
    return Capacity(_mean(enough), learned=True) if most < SLOWED_SHARE * known.per_consumer else None


def _window_seconds(history: History, interval: float) -> float:
    """60 s, or three commit intervals, 180 s for commits once a minute, as far as the history goes back."""
    return min(max(WINDOW_SECONDS, LIKELY_COMMIT_INTERVALS * interval), WINDOW_SHARE_MAX * history.span_seconds)


@dataclass(frozen=True)
class _Seen:
    """A sample in columns, in the order of the newest one's partitions; None where it lacks one.

    Args:
        reset: what counts as processed in a partition without a committed offset.
        hands: the partitions of each member.
    """

    sample: Sample
    newest: Sample
    history: History
    reset: OffsetReset
    hands: Hands

    @property
    def at(self) -> float:
        """When the sample was taken."""
        return self.sample.at

    @cached_property
    def ends(self) -> Sequence[float]:
        """Log end offsets."""
        return self.sample.ends_of(self.newest)

    @cached_property
    def commits(self) -> Sequence[int | Uncommitted | None]:
        """Committed offsets."""
        if self.sample.is_aligned(self.newest):
            return self.sample.commits
        readings = map(self.sample.readings.get, self.newest.partitions)
        return [None if reading is None else reading.committed for reading in readings]

    @cached_property
    def positions(self) -> Sequence[int | None]:
        """The first offsets that are not processed."""
        if self.sample.positions is not None and self.sample.is_aligned(self.newest):
            return self.sample.positions
        readings = ((tp, self.sample.readings.get(tp)) for tp in self.newest.partitions)
        return [None if reading is None else position(self.history, tp, reading, self.reset)
                for tp, reading in readings]

    def passed(self, before: _Seen, among: Iterable[int]) -> int:
        """Records by which the positions at some places moved on since another sample."""
        now, then = self.positions, before.positions
        return sum([new - old for place in among
                    if (old := then[place]) is not None and (new := now[place]) is not None and new > old])

    def moved(self, before: _Seen, among: Iterable[int]) -> list[int]:
        """The places, among some, of partitions with another committed offset than in another sample."""
        now, then = self.commits, before.commits
        return [place for place in among
                if (old := then[place]) is not None and (new := now[place]) is not None and new != old]

    def has_moved(self, before: _Seen, among: Iterable[int]) -> bool:
        """Whether there is such a place."""
        now, then = self.commits, before.commits
        return any(now[place] != then[place] and now[place] is not None and then[place] is not None for place in among)

    def behind(self, among: Iterable[int]) -> float:
        """Records that wait in the partitions at some places."""
        ends, positions = self.ends, self.positions
        return sum([ends[place] - position for place in among if (position := positions[place]) is not None])

    def waiting(self, among: Iterable[int]) -> float:
        """The same, without the partitions whose position lies beyond the end."""
        ends, positions = self.ends, self.positions
        return sum([ends[place] - position for place in among
                    if (position := positions[place]) is not None and position < ends[place]])


def _recent(history: History, policy: Policy, samples: tuple[Sample, ...], seconds: float) -> list[_Seen]:
    """The samples of the window with a stable membership, newest first."""
    found: list[_Seen] = []
    group: Group | None = None
    hands: Hands = {}
    for sample in reversed(samples):
        if isinstance(sample.group, Unknown) or sample.group.is_rebalancing:
            break
        if sample.group is not group:
            group, hands = sample.group, {member.id: member.partitions for member in sample.group.members}
        found.append(_Seen(sample, samples[-1], history, policy.offset_reset, hands))
        if found[0].at - sample.at >= seconds:
            break
    return found


def _while_kept(recent: list[_Seen], member: str) -> list[_Seen]:
    """The newest samples in a row in which a member had the partitions that it has now."""
    now = recent[0].hands
    return list(takewhile(lambda each: each.hands is now or each.hands.get(member) == now[member], recent))


def _stretch(policy: Policy, interval: float, seen: list[_Seen], mine: Sequence[int],
             free: Sequence[int]) -> Stretch | None:
    """What a consumer drained over some samples, newest first; None where they show no time.

    Args:
        mine: the places of its partitions.
        free: the places of those of them whose records are not held back.
    """
    last, first = seen[0], seen[-1]
    seconds = last.at - first.at
    if seconds <= 0:
        return None
    drained = last.passed(first, mine)
    moving = last.moved(first, free)
    needed = BUSY_COMMIT_INTERVALS * interval * drained / seconds
    if last.waiting(moving) <= needed:
        return Stretch(drained, seconds, is_busy=False)
    needed = max(needed, _most_at_once(policy, seen, mine))
    patience = max(OVERDUE_COMMIT_INTERVALS * interval, OVERDUE_RECORDS * seconds / max(1, drained))
    busy = _busy(_in_work(seen, moving, patience), needed)
    if len(busy) < 2 or busy[0].at - busy[-1].at < min(seconds, WINDOW_SECONDS / 2):
        return Stretch(drained, seconds, is_busy=False)
    return Stretch(busy[0].passed(busy[-1], mine), busy[0].at - busy[-1].at, is_busy=True)


def _most_at_once(policy: Policy, seen: list[_Seen], mine: Sequence[int]) -> float:
    """The most records that a look may see committed at once: a poll's worth at the fastest rate over two looks."""
    seconds = min(policy.polling_interval_seconds, (seen[0].at - seen[-1].at) / (len(seen) - 1))
    pairs = zip(seen, seen[2:] or seen[-1:], strict=False)
    return seconds * max((now.passed(before, mine) / (now.at - before.at) for now, before in pairs), default=0.0)


def _in_work(seen: list[_Seen], moving: Sequence[int], patience: float) -> Iterator[tuple[_Seen, Sequence[int]]]:
    """The newest samples in a row before each of which the member had committed within `patience` seconds.

    Each with the places of partitions that moved within half a minute before, or `patience` where that is longer: a
    backlog of a partition that stands still is no work. A consumer that is dead, or has been, is a member until its
    session ends, and longer if it comes back before. Commits every 5 s, 100 records/s: 10 s. One that does a record a
    minute: 180 s.
    """
    seconds = max(patience, WINDOW_SECONDS / 2)
    at_first = _later(seen, seen[-1].at + seconds).moved(seen[-1], moving)
    for each in seen:
        before = _earlier(seen, each.at - patience)
        if before is not None and not each.has_moved(before, moving):
            return
        since = _earlier(seen, each.at - seconds) or seen[-1]
        yield each, at_first if since is seen[-1] else each.moved(since, moving)


def _earlier(seen: list[_Seen], at: float) -> _Seen | None:
    """The newest of the samples, newest first, that was taken at `at` or before."""
    return next((each for each in seen if each.at <= at), None)


def _later(seen: list[_Seen], at: float) -> _Seen:
    """The oldest of the samples that was taken at `at` or later, else the newest."""
    return next((each for each in reversed(seen) if each.at >= at), seen[0])


def _busy(seen: Iterable[tuple[_Seen, Sequence[int]]], needed: float) -> list[_Seen]:
    """The newest samples in a row in which the member was behind by more than `needed` records."""
    return [each for each, _ in takewhile(lambda pair: pair[0].behind(pair[1]) > needed, seen)]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of a group in records/s, and what its members drained while they kept their partitions."""

    arrival: Arrival | Unknown
    drain: float | Unknown
    capacity: Capacity | Unknown
    stretches: tuple[Stretch, ...] = ()


def measure(history: History, policy: Policy, known: Capacity | None, interval: float | Unknown,
            unseen: Unseen | None = None, lead: float = 0.0, held: Set[str] = frozenset()) -> Rates:
    """All rates of the window that ends with the latest sample.

    Args:
        known: what is known of a consumer's capacity.
        interval: the likely commit interval, seconds.
        unseen: consumers that work and are no members.
        lead: for how many seconds ahead the arrival will be forecast.
        held: topics whose records are held back on purpose.
    """
    arrived = arrival(history, lead, ARRIVAL_SHARE * policy.lag_seconds)
    drained = drain(history, policy, interval)
    if isinstance(interval, Unknown):
        return Rates(arrived, drained, known or interval)
    found = _found(history, policy, interval, unseen, held)
    of_members = found if unseen is None else ()
    return Rates(arrived, drained, _capacity(found, history, interval, known), of_members)


def busy_drain(history: History, policy: Policy, seconds: float, held: Set[str] = frozenset(),
               known: float | None = None) -> float | None:
    """Records/s of all members together, when every one that has partitions was busy for `seconds`; None else.

    Args:
        known: the commit interval that was measured before, seconds; None where none was.
    """
    interval = likely_commit_interval(history, policy, known)
    found = () if isinstance(interval, Unknown) else stretches(history, policy, interval, held)
    return drain_of(history, found, seconds)


def drain_of(history: History, found: Collection[Stretch], seconds: float) -> float | None:
    """The same, where the stretches of the members are known."""
    group = history.samples[-1].group if history.samples else None
    owners = [each for each in group.members if each.partitions] if isinstance(group, Group) else []
    all_busy = all(each.is_busy and each.seconds >= seconds for each in found)
    if not owners or len(found) < len(owners) or not all_busy:
        return None
    return sum(each.drained / each.seconds for each in found)
