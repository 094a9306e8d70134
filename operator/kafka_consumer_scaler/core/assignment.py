"""How partitions spread over consumers, by assignor: which numbers of replicas are useful, and which as fast as fewer.

The range assignor (Kafka's default) divides each topic apart, so its n-th consumer is useful up to the largest topic's
partitions; all others divide all partitions together. The busiest of n consumers has ceil(P / n) partitions of P:

    P = 10, n:   1  2  3  4  5  6  7  8  9  10
    busiest:    10  5  4  3  2  2  2  2  2   1      6..9 are no faster than 5

Members of the group that are not ours (`foreign`) take their part: with 2 of them, 3 replicas make 5 consumers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kafka_consumer_scaler.core.snapshot import TopicPartition

APART = frozenset({"", "range", "rangeassignor"})
"""Assignors, in small letters, that divide each topic apart; one that was never seen may be Kafka's default, range."""
COOPERATIVE = frozenset({"cooperative-sticky", "uniform"})
"""Assignors whose rebalance pauses only the partitions that move."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The partitions of a group as its assignor divides them among replicas of `threads` consumers each.

    `shares` holds the partitions of each part that is divided apart: one for each topic under range, else one for all.
    `foreign` are members of the group beyond our replicas.
    """

    shares: tuple[int, ...]
    threads: int = 1
    foreign: int = 0

    @property
    def useful_replicas(self) -> int:
        """Replicas beyond this have nothing to do."""
        return -(-max(0, max(self.shares, default=0) - self.foreign) // self.threads)

    def consumers(self, replicas: int) -> int:
        """Members of the group with so many replicas."""
        return replicas * self.threads + self.foreign

    def busiest(self, replicas: int) -> int:
        """Partitions of the busiest consumer."""
        consumers = max(1, self.consumers(replicas))
        return sum(-(-share // consumers) for share in self.shares)

    def fewest_as_fast(self, replicas: int) -> int:
        """The fewest replicas whose busiest consumer has no more than with `replicas`: 5 for 5..9 of 10 partitions."""
        replicas = min(replicas, max(1, self.useful_replicas))
        while replicas > 1 and self.busiest(replicas - 1) == self.busiest(replicas):
            replicas -= 1
        return replicas

    def next_faster(self, replicas: int) -> int:
        """`replicas` if it is faster than one less, else the next number that is: 10 for 6..10 of 10 partitions.

        Numbers from the useful replicas on are left as they are: what bounds them is to be told.
        """
        if replicas >= self.useful_replicas or self.fewest_as_fast(replicas) == replicas:
            return replicas
        faster = replicas + 1
        while self.busiest(faster) == self.busiest(replicas):
            faster += 1
        return faster

    def steps(self, most: int) -> tuple[int, ...]:
        """The numbers of replicas up to `most` that are each faster than one less: 1 2 3 4 5 10 of 10 partitions."""
        last = max(1, min(most, self.useful_replicas))
        return tuple(n for n in range(1, last + 1) if n == 1 or self.busiest(n) < self.busiest(n - 1))


def spread(partitions: Collection[TopicPartition], assignor: str, threads: int, foreign: int = 0) -> Spread:
    """The spread under an assignor. Only range is known to divide topics apart: Kafka Streams and others do not."""
    topics = Counter(tp.topic for tp in partitions)
    if divides_together(assignor):
        return Spread((len(partitions),), threads, foreign)
    return Spread(tuple(topics[topic] for topic in sorted(topics)), threads, foreign)


def divides_together(assignor: str) -> bool:
    """Whether the assignor, by its name or its class, divides the partitions of all topics together."""
    return assignor.rpartition(".")[2].lower() not in APART


def deal(partitions: Sequence[TopicPartition], assignor: str, consumers: int) -> tuple[tuple[TopicPartition, ...], ...]:
    """The partitions of each consumer, as the assignor would hand them out to an empty group.

    Range gives each topic out in rows, the first consumers getting one more: 5 partitions of a topic to 2 consumers are
    0 1 2 | 3 4. Roundrobin deals all partitions of all topics in turn: 0 2 4 | 1 3. Sticky and uniform assignors
    balance the same counts; which partitions meet depends on the past, so the deal stands for them.

    There are no more hands than partitions: ten million consumers take no longer than as many as have something to do.

    Args:
        partitions: in order.
        consumers: at least 1.
    """
    consumers = min(consumers, max(1, len(partitions)))
    if divides_together(assignor):
        return tuple(tuple(partitions[first::consumers]) for first in range(consumers))
    hands: list[list[TopicPartition]] = [[] for _ in range(consumers)]
    rows: dict[str, list[TopicPartition]] = {}
    for tp in partitions:
        rows.setdefault(tp.topic, []).append(tp)
    for row in rows.values():
        size, more = divmod(len(row), consumers)
        for index, hand in enumerate(hands):
            start = index * size + min(index, more)
            hand += row[start:start + size + (index < more)]
    return tuple(tuple(hand) for hand in hands)
