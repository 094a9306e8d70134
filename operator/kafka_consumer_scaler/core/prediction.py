"""How old the oldest unprocessed record will be: the fluid model behind the objective.

A partition's backlog of L records has an age profile a(x): the age of the record with x records ahead of it. The marks
of the profile are the end offsets that were seen; between two marks records arrived evenly, and without any mark all of
them did, from the age of the oldest down to 0. While A t more arrive in t seconds, x of them all are processed:

    x <= L:       the record at x is the oldest, t seconds older:    age = a(x) + t
    x >  L:       what is left, L + A t - x, is the newest:          age = (L + A t - x) / A

With a(0) = 20 s, L = 2,000, A = 100, 100 a second processed: age 20 for ever. With L = 0, A = 300, 100 a second
processed: after 30 s 6,000 are left and the oldest is 20 s old. With 1,000 records that arrived at once 100 s ago, 10 a
second processed: 200 s until the last of them is done, and it is then 200 s old; records that had arrived evenly would
be 100 s old at most.

A consumer serves its partitions evenly, and what one does not need goes to the others. 100 records/s for partitions
that get 10, 20 and 90: 10, 20 and 70.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import NamedTuple

from kafka_consumer_scaler.core.assignment import Spread, deal
from kafka_consumer_scaler.core.snapshot import TopicPartition

Mark = tuple[float, float]
"""(records ahead, age in seconds) of a record of a backlog."""


class Load(NamedTuple):
    """The backlog and the arrival rate of a partition. A tuple, since each poll creates one for each partition.

    Args:
        lag: the backlog, records.
        age: age of its oldest record, seconds.
        arrival: records/s.
        marks: the age profile between its ends, oldest first; or up to the newest record, where its age is known.
    """

    lag: float
    age: float
    arrival: float
    marks: tuple[Mark, ...] = ()

    @property
    def profile(self) -> tuple[Mark, ...]:
        """The marks with both ends: the oldest record, and the newest."""
        ends = self.marks if self.marks and self.marks[-1][0] >= self.lag else (*self.marks, (self.lag, 0.0))
        return ((0.0, self.age), *ends)

    def age_at(self, ahead: float) -> float:
        """Age of the record with `ahead` records of the backlog before it, seconds."""
        records, age = 0.0, self.age
        for more, younger in self.marks:
            if ahead <= more:
                return _between(records, age, more, younger, ahead)
            records, age = more, younger
        return _between(records, age, self.lag, 0.0, ahead) if ahead <= self.lag else 0.0

    def age_after(self, seconds: float, done: float) -> float:
        """Age of the oldest record after `seconds` in which `done` records were processed; 0 when none is left."""
        lag, _, arrival, _ = self
        left = lag + arrival * seconds - done
        if left <= 0.0:
            return 0.0
        return self.age_at(done) + seconds if done <= lag else left / arrival

    def after(self, seconds: float, done: float, has_marks: bool = True) -> Load:
        """The load after `seconds` in which `done` records were processed, no more than there are."""
        lag = max(0.0, self.lag + self.arrival * seconds - done)
        if not lag or not has_marks:
            return Load(lag, self.age_after(seconds, done), self.arrival)
        left = tuple([(records - done, age + seconds) for records, age in self.profile[1:] if records > done])
        return Load(lag, self.age_after(seconds, done), self.arrival, left)


def _between(records: float, age: float, more: float, younger: float, ahead: float) -> float:
    return age - (age - younger) * (ahead - records) / (more - records) if more > records else younger


Loads = Mapping[TopicPartition, Load]


def total(loads: Loads) -> Load:
    """The backlog and the arrival of all partitions together; its age says nothing."""
    return Load(sum(load.lag for load in loads.values()), 0.0, sum(load.arrival for load in loads.values()))


def oldest(loads: Loads) -> float:
    """The age of the oldest record of all partitions, seconds."""
    return max((load.age for load in loads.values()), default=0.0)


def fair_share(needs: Sequence[float], capacity: float) -> float:
    """What each may have at most, so that together they have `capacity`: 70 of 100 for needs of 10, 20 and 90."""
    left = capacity
    for served, need in enumerate(sorted(needs)):
        share = left / (len(needs) - served)
        if need >= share:
            return share
        left -= need
    return max(needs, default=0.0)


@dataclass(frozen=True, slots=True)
class Plant:
    """The group as the prediction sees it.

    Args:
        spread: how many consumers a number of replicas makes.
        assignor: how partitions are dealt.
        capacity: records/s of one consumer, as far as it may be used.
        seen: the partitions of each consumer as they are now. A sticky assignor's counts are even, its loads need not
            be: what so many consumers have is known of the present number alone.
        present: that number; some of so many may have none of these partitions.
    """

    spread: Spread
    assignor: str
    capacity: float
    seen: tuple[tuple[TopicPartition, ...], ...] = ()
    present: int = 0

    def hands(self, loads: Mapping[TopicPartition, object], consumers: int) -> tuple[tuple[TopicPartition, ...], ...]:
        """The partitions of each consumer: as assigned now, else as the assignor would deal them."""
        if not self.seen or consumers != self.present:
            return deal(tuple(loads), self.assignor, consumers)
        hands = (tuple(tp for tp in hand if tp in loads) for hand in self.seen)
        return tuple(hand for hand in hands if hand)

    def after(self, loads: Loads, seconds: float, consumers: int, pause: float = 0.0, has_marks: bool = True) -> Loads:
        """Each partition's load after `seconds` with so many consumers, in `pause` of which nothing is processed.

        Without `has_marks`, age profiles are left out: the caller does not need the age of records within a backlog.
        """
        if seconds <= 0:
            return loads
        found: dict[TopicPartition, Load] = {}
        for tp, done in self._done(loads, seconds, consumers, pause):
            found[tp] = loads[tp].after(seconds, done, has_marks)
        return found

    def late_hands(self, loads: Loads, seconds: float, consumers: int, pause: float,
                   limit: float) -> Iterator[tuple[Sequence[TopicPartition], Set[TopicPartition]]]:
        """Each consumer's partitions, and those of them with a record older than `limit` seconds after `seconds`.

        Where all it needs is processed nothing is late. Over more than `limit` seconds, every record that still waits
        of those that are there now is late, whatever its age.
        """
        can, is_long = self.capacity * max(0.0, seconds - pause), seconds > limit
        for hand in self.hands(loads, consumers):
            if seconds <= 0:
                yield hand, {tp for tp in hand if loads[tp].age > limit}
                continue
            mine = [loads[tp] for tp in hand]
            needs = [lag + arrival * seconds for lag, _, arrival, _ in mine]
            share = fair_share(needs, can)
            yield hand, {tp for tp, load, need in zip(hand, mine, needs, strict=True)
                         if need > share and ((is_long and share <= load.lag)
                                              or load.age_after(seconds, share) > limit)}

    def _done(self, loads: Loads, seconds: float, consumers: int,
              pause: float) -> Iterator[tuple[TopicPartition, float]]:
        """Records of each partition that `consumers` process in `seconds`."""
        if consumers <= 0:
            yield from ((tp, 0.0) for tp in loads)
            return
        can = self.capacity * max(0.0, seconds - pause)
        for hand in self.hands(loads, consumers):
            yield from self._done_of(hand, loads, seconds, can)

    @staticmethod
    def _done_of(hand: Sequence[TopicPartition], loads: Loads, seconds: float,
                 can: float) -> Iterable[tuple[TopicPartition, float]]:
        """Records of each partition of one consumer, which does `can` of them in `seconds`."""
        needs = [lag + arrival * seconds for lag, _, arrival, _ in map(loads.__getitem__, hand)]
        share = fair_share(needs, can)
        return zip(hand, [need if need < share else share for need in needs], strict=True)

    def oldest_done(self, loads: Loads, consumers: int, pause: float = 0.0) -> float:
        """The greatest age at which one of the records that wait now is processed, seconds; for ever without consumers.

        Future records are left out, so the answer is never later than the truth. A consumer
        gives each of its partitions the same until that is done. It comes to the record that has x ahead of it in its
        partition once it has done min(L, x) of each partition with a backlog of L: 100 records/s, backlogs of 500 and
        3,000, x = 2,000: after 25 s.
        """
        if consumers <= 0 or self.capacity <= 0:
            return inf if any(load.lag > 0 for load in loads.values()) else 0.0
        worst = 0.0
        for hand in self.hands(loads, consumers):
            lags = sorted(loads[tp].lag for tp in hand)
            sums = (0.0, *accumulate(lags))
            for tp in hand:
                for ahead, age in loads[tp].profile if loads[tp].lag > 0 else ():
                    smaller = bisect_right(lags, ahead)
                    done = sums[smaller] + ahead * (len(lags) - smaller)
                    worst = max(worst, age + pause + done / self.capacity)
        return worst

    def could(self, loads: Loads, late: Set[TopicPartition], seconds: float,
              consumers: int) -> Mapping[TopicPartition, float]:
        """Records of each of the `late` partitions that so many consumers could process, had those records no end.

        A consumer does 100 a second and has a late partition and one that gets 10: 90 a second for the late one.
        """
        found: dict[TopicPartition, float] = {}
        for hand in self.hands(loads, consumers):
            among = late & set(hand)
            if among:
                found |= dict.fromkeys(among, self.could_each(hand, among, loads, seconds))
        return found

    def could_each(self, hand: Sequence[TopicPartition], late: Set[TopicPartition], loads: Loads,
                   seconds: float) -> float:
        """Records of each `late` partition that its consumer, with the partitions of `hand`, could process."""
        if len(late) == len(hand):
            return self.capacity * seconds / len(hand)
        needs = [inf if tp in late else loads[tp].lag + loads[tp].arrival * seconds for tp in hand]
        return fair_share(needs, self.capacity * seconds)

    def could_at_least(self, loads: Loads, seconds: float, consumers: int) -> float:
        """Records of any partition that so many consumers could process: of the fullest hand, were all of it late."""
        return self.capacity * seconds / max(1, *(len(hand) for hand in self.hands(loads, consumers)), 1)

    def company(self, shares: Mapping[TopicPartition, float], hot: Set[TopicPartition], replicas: int) -> float:
        """The largest share of the arrival that goes to the partitions beside a hot one, at its consumer."""
        consumers = max(1, self.spread.consumers(replicas))
        hands = deal(tuple(sorted(shares)), self.assignor, consumers)
        return max(sum(shares[tp] for tp in hand if tp not in hot) for hand in hands if not hot.isdisjoint(hand))

    def busiest(self, rates: Mapping[TopicPartition, float], consumers: int) -> float:
        """Arrival rate of the busiest consumer, records/s."""
        return max((sum(rates[tp] for tp in hand) for hand in self.hands(rates, consumers)), default=0.0)

    def holds(self, loads: Loads, seconds: float, replicas: int, pause: float, limit: float,
              together: Load | None = None) -> bool:
        """Whether after `seconds` no record is older than `limit` seconds; `together` is the total of the loads.

        Answered first without dealing: who is within the limit has at most `limit` seconds of its arrival left (if
        `seconds` is no shorter), so all together have, and no division of the capacity can leave less than need - can.
        """
        lag, _, arrival, _ = total(loads) if together is None else together
        need, most = lag + arrival * seconds, limit * arrival
        can = self.capacity * self.spread.consumers(replicas) * max(0.0, seconds - pause)
        if seconds >= limit and need - can > most * (1 + 1e-9) + 1e-9:
            return False
        consumers = self.spread.consumers(replicas)
        if consumers <= 0:
            return self.oldest_after(loads, seconds, consumers, pause) <= limit
        return not any(late for _, late in self.late_hands(loads, seconds, consumers, pause, limit))

    def worst_age(self, loads: Loads, seconds: float, replicas: int, pause: float = 0.0) -> float:
        """Age of the oldest record after `seconds` with so many replicas, in `pause` of which nothing is processed."""
        return self.oldest_after(loads, seconds, self.spread.consumers(replicas), pause)

    def oldest_after(self, loads: Loads, seconds: float, consumers: int, pause: float = 0.0) -> float:
        """The same with so many consumers."""
        if seconds <= 0:
            return oldest(loads)
        done = self._done(loads, seconds, consumers, pause)
        return max((loads[tp].age_after(seconds, records) for tp, records in done), default=0.0)
