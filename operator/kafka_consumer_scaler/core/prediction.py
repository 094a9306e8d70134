"""How old the oldest unprocessed record will be: the fluid model behind the objective.

A partition's backlog of L records, whose oldest is g seconds old, is taken to have arrived evenly. While A t more
arrive in t seconds, x of them all are processed:

    x <= L:       the head moves by g x / L, and time by t:          age = g + t - g x / L
    x >  L:       what is left, L + A t - x, is the newest:          age = (L + A t - x) / A

With g = 20 s, L = 2,000, A = 100, 100 a second processed: age 20 for ever. With g = L = 0, A = 300, 100 a second
processed: after 30 s 6,000 are left and the oldest is 20 s old.

A consumer serves its partitions evenly, and what one does not need goes to the others. 100 records/s for partitions
that get 10, 20 and 90: 10, 20 and 70.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from math import inf

from kafka_consumer_scaler.core.assignment import Spread, deal
from kafka_consumer_scaler.core.snapshot import TopicPartition


@dataclass(frozen=True, slots=True)
class Load:
    """What waits and what comes: backlog (records), age of its oldest record (s), arrival (records/s)."""

    lag: float
    age: float
    arrival: float

    def after(self, seconds: float, done: float) -> Load:
        """The load after `seconds` in which `done` records were processed, no more than there are."""
        lag = max(0.0, self.lag + self.arrival * seconds - done)
        if lag == 0.0:
            return Load(0.0, 0.0, self.arrival)
        if done <= self.lag:
            return Load(lag, self.age + seconds - (self.age * done / self.lag if self.lag else 0.0), self.arrival)
        return Load(lag, lag / self.arrival, self.arrival)


Loads = Mapping[TopicPartition, Load]


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
    """

    spread: Spread
    assignor: str
    capacity: float

    def after(self, loads: Loads, seconds: float, consumers: int, pause: float = 0.0) -> Loads:
        """Each partition's load after `seconds` with so many consumers, in `pause` of which nothing is processed."""
        if seconds <= 0:
            return loads
        can = self.capacity * max(0.0, seconds - pause)
        hands = deal(tuple(loads), self.assignor, consumers) if consumers > 0 else (tuple(loads),)
        found: dict[TopicPartition, Load] = {}
        for hand in hands:
            needs = {tp: loads[tp].lag + loads[tp].arrival * seconds for tp in hand}
            share = fair_share(tuple(needs.values()), can) if consumers > 0 else 0.0
            found |= {tp: loads[tp].after(seconds, min(need, share)) for tp, need in needs.items()}
        return found

    def could(self, loads: Loads, late: Set[TopicPartition], seconds: float,
              consumers: int) -> Mapping[TopicPartition, float]:
        """Records of each of the `late` partitions that so many consumers could process, had those records no end.

        A consumer does 100 a second and has a late partition and one that gets 10: 90 a second for the late one.
        """
        found: dict[TopicPartition, float] = {}
        for hand in deal(tuple(loads), self.assignor, consumers):
            needs = [inf if tp in late else loads[tp].lag + loads[tp].arrival * seconds for tp in hand]
            found |= dict.fromkeys(late & set(hand), fair_share(needs, self.capacity * seconds))
        return found

    def company(self, shares: Mapping[TopicPartition, float], hot: Set[TopicPartition], replicas: int) -> float:
        """The largest share of the arrival that goes to the partitions beside a hot one, at its consumer."""
        consumers = max(1, self.spread.consumers(replicas))
        hands = deal(tuple(sorted(shares)), self.assignor, consumers)
        return max(sum(shares[tp] for tp in hand if tp not in hot) for hand in hands if not hot.isdisjoint(hand))

    def holds(self, loads: Loads, seconds: float, replicas: int, pause: float, limit: float) -> bool:
        """Whether after `seconds` no record is older than `limit` seconds.

        Told first without dealing: whoever is within the limit has at most `limit` seconds of its arrival left (if
        `seconds` is no shorter), so all together have, and no division of the capacity can leave less than need - can.
        """
        need = sum(load.lag + load.arrival * seconds for load in loads.values())
        can = self.capacity * self.spread.consumers(replicas) * max(0.0, seconds - pause)
        most = limit * sum(load.arrival for load in loads.values())
        if seconds >= limit and need - can > most * (1 + 1e-9) + 1e-9:
            return False
        return self.worst_age(loads, seconds, replicas, pause) <= limit

    def worst_age(self, loads: Loads, seconds: float, replicas: int, pause: float = 0.0) -> float:
        """Age of the oldest record after `seconds` with so many replicas, in `pause` of which nothing is processed."""
        return oldest(self.after(loads, seconds, self.spread.consumers(replicas), pause))
