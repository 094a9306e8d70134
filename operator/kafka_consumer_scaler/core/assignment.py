"""How partitions spread over consumers, by assignor: which numbers of replicas are useful, and which as fast as fewer.

The range assignor (Kafka's default) divides each topic apart, so its n-th consumer is useful up to the largest topic's
partitions; all others divide all partitions together. The busiest of n consumers has ceil(P / n) partitions of P:

    P = 10, n:   1  2  3  4  5  6  7  8  9  10
    busiest:    10  5  4  3  2  2  2  2  2   1      6..9 are no faster than 5
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from kafka_consumer_scaler.core.snapshot import TopicPartition

TOGETHER = frozenset({"roundrobin", "sticky", "cooperative-sticky", "uniform"})


@dataclass(frozen=True, slots=True)
class Spread:
    """The partitions of a group as its assignor divides them among replicas of `threads` consumers each.

    `shares` holds the partitions of each part that is divided apart: one for each topic under range, else one for all.
    """

    shares: tuple[int, ...]
    threads: int = 1

    @property
    def useful_replicas(self) -> int:
        """Replicas beyond this have nothing to do."""
        return -(-max(self.shares, default=0) // self.threads)

    def busiest(self, replicas: int) -> int:
        """Partitions of the busiest consumer."""
        consumers = max(1, replicas * self.threads)
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
        while faster < self.useful_replicas and self.busiest(faster) == self.busiest(replicas):
            faster += 1
        return faster if self.busiest(faster) < self.busiest(replicas) else self.fewest_as_fast(replicas)


def spread(partitions: Collection[TopicPartition], assignor: str, threads: int) -> Spread:
    """The spread under an assignor; one that is not known counts as range, the one with the fewest useful replicas."""
    topics = Counter(tp.topic for tp in partitions)
    if assignor in TOGETHER:
        return Spread((len(partitions),), threads)
    return Spread(tuple(topics[topic] for topic in sorted(topics)), threads)
