"""What may arrive for n replicas to keep up with it: what one consumer does, over the largest share that one gets.

    12 even partitions, 100 records/s a consumer:  6 replicas, 2 of 12 each:  100 / (2 / 12) = 600 records/s
                                                   4 replicas, 3 of 12 each:  100 / (3 / 12) = 400
    one of the 12 gets 0.34 and the others 0.06:   6 replicas, 0.34 + 0.06:   100 / 0.4      = 250

Partitions that more consumers cannot help are left out, as they are where replicas are asked for.
"""

from __future__ import annotations

from math import inf

from kafka_consumer_scaler.core.assignment import deal
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown


def planned(policy: Policy, situation: Situation) -> float | Unknown:
    """Records/s of one consumer, as far as they may be planned with."""
    capacity = situation.rates.capacity
    return capacity if isinstance(capacity, Unknown) else policy.utilization * capacity.per_consumer


def at_least(situation: Situation) -> str:
    """`at least ` where the capacity is no more than a lower bound, so that every rate made of it is."""
    capacity = situation.rates.capacity
    is_bound = not isinstance(capacity, Unknown) and not capacity.learned and not capacity.busy
    return "at least " if is_bound else ""


def sustained(situation: Situation, per_consumer: float, replicas: int) -> float:
    """Records/s of the whole group's arrival that so many replicas keep up with; without end where no share counts."""
    consumers = situation.spread.consumers(replicas)
    if consumers < 1:
        return 0.0
    shares = {tp: share for tp, share in sorted(situation.shares.items()) if situation.can_help(tp)}
    hands = deal(tuple(shares), situation.assignor, consumers)
    largest = max(sum(shares[tp] for tp in hand) for hand in hands)
    return per_consumer / largest if largest > 0 else inf
