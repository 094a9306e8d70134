"""Whole records in partitions: arrived, processed, committed and deleted.

A partition with the share w of its topic has, at second s, `first + floor(w * A(s) + phase)` records, where A is the
topic's cumulative arrival. Phases are spread evenly over the partitions: one record per minute over twelve partitions
arrives as one record each minute, not as twelve records every twelve minutes. Record number k (from `first`) arrived in
the first second in which w * A >= k + 1 - phase, which is one search in A.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.simulation.flow import Floats, fair_levels
from kafka_consumer_scaler.simulation.wild.world import Topic

Numbers = NDArray[np.intp]
Flags = NDArray[np.bool_]
ROUNDING = 1e-9


class Log:
    """The partitions of all topics, numbered consecutively; offsets are in records.

    Args:
        topics: in the order of their partitions.
        rng: draws the order of the phases.
    """

    def __init__(self, topics: Sequence[Topic], rng: np.random.Generator) -> None:
        sizes = [topic.partitions for topic in topics]
        total = sum(sizes)
        stops = np.cumsum(sizes)
        self.slices = [slice(int(stop - size), int(stop)) for size, stop in zip(sizes, stops, strict=True)]
        self._weights = np.concatenate([_shares(topic) for topic in topics])
        self._topic = np.repeat(np.arange(len(topics)), sizes)
        self._cumulative = np.array([np.concatenate(([0.0], np.cumsum(topic.arrival))) for topic in topics])
        self._phase = np.concatenate([_phases(topic, rng) for topic in topics])
        self._first, self.start = np.zeros(total), np.zeros(total)
        self.done, self.committed = np.zeros(total), np.full(total, -1.0)
        self.is_beyond = np.zeros(total, dtype=bool)
        self._begin(topics)
        self._rest = self.done.copy()
        self.delay = np.repeat([topic.delay_seconds for topic in topics], sizes)
        self.trailing = np.repeat([topic.trailing for topic in topics], sizes)
        self.second = 0
        self.lost = 0.0
        self.end = self._ends(0)

    def arrive(self, second: int) -> None:
        """Advance the end offsets to `second`."""
        self.second = second
        self.end = self._ends(second)

    def ready(self) -> Floats:
        """Offsets up to which records may be processed: the ends, or earlier where a topic delays its records."""
        if not self.delay.any():
            return self.end
        return self._ends(np.maximum(0, self.second - self.delay.astype(np.intp)))

    def process(self, worker: Numbers, capacities: Floats, slots: Numbers) -> None:
        """Let consumers work for one second; each consumer's capacity is shared fairly among its partitions.

        Args:
            worker: the consumer of each partition; `len(capacities)` for none.
            capacities: records/s of each consumer.
            slots: the partitions of each consumer, padded with `len(worker)`.
        """
        count = len(capacities)
        demand = np.maximum(self.ready() - self.done, 0.0)
        demand[worker == count] = 0.0
        wanted = np.bincount(worker, demand, count + 1)[:count]
        if (wanted <= capacities).all():
            self.done += demand
            return
        levels = np.append(fair_levels(np.append(demand, 0.0)[slots], capacities), 0.0)
        self.done += np.minimum(demand, np.maximum(levels[worker], 0.0))

    def commit(self, partitions: Sequence[int] | Numbers) -> None:
        """Commit the processed records of these partitions; a partition without processed records keeps its commit."""
        which = np.asarray(partitions, dtype=np.intp)
        which = which[self.done[which] > self._rest[which]]
        self.committed[which] = np.floor(self.done[which] + ROUNDING)

    def rewind(self, partitions: Sequence[int]) -> None:
        """Go back to the committed offsets: uncommitted records of these partitions are processed again."""
        which = np.asarray(partitions, dtype=np.intp)
        self.done[which] = np.maximum(np.where(self.is_beyond[which], self.done[which], self.committed[which]),
                                      self.start[which])

    def delete_before(self, at: float) -> None:
        """Delete records that arrived before `at`; those not yet processed are lost."""
        if at <= 0:
            return
        self.start = np.maximum(self.start, self._ends(int(at)))
        behind = self.start - self.done
        if behind.max() > 0:
            self.lost += float(np.maximum(behind, 0.0).sum())
            self.done = np.maximum(self.done, self.start)

    def waiting(self) -> Floats:
        """Backlog of each partition in records, without records that the topic still delays."""
        waiting: Floats = np.maximum(self.ready() - np.floor(self.done + ROUNDING), 0.0)
        return waiting

    def ages(self, which: Numbers) -> Floats:
        """Age of the oldest unprocessed record of each partition, in seconds; each of them must have a backlog."""
        number = np.floor(self.done[which] + ROUNDING) - self._first[which]
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(number < 0, 0.0, (number + 1 - self._phase[which]) / self._weights[which])
        arrived = np.zeros(len(which))
        for topic in np.unique(self._topic[which]):
            mine = self._topic[which] == topic
            arrived[mine] = np.searchsorted(self._cumulative[topic], needed[mine] - ROUNDING)
        ages: Floats = np.maximum(self.second - arrived - self.delay[which], 0.0)
        return ages

    def rate(self, at: int) -> Floats:
        """Arrival rate of each partition in the second `at`, in records/s."""
        now = self._cumulative[:, at + 1] - self._cumulative[:, at]
        rates: Floats = now[self._topic] * self._weights
        return rates

    def _ends(self, seconds: int | Numbers) -> Floats:
        arrived = self._cumulative[self._topic, seconds]
        ends: Floats = self._first + np.floor(self._weights * arrived + self._phase)
        return ends

    def _begin(self, topics: Sequence[Topic]) -> None:
        for topic, where in zip(topics, self.slices, strict=True):
            if topic.committed:
                self.committed[where] = 0.0
            for each in topic.offsets:
                place = where.start + each.partition
                self._first[place], self.start[place] = each.end, each.start
                self.committed[place] = each.committed
                self.is_beyond[place] = each.committed > each.end
                self.done[place] = each.end if self.is_beyond[place] else max(each.start, each.committed)


def _shares(topic: Topic) -> Floats:
    weights = np.array(topic.weights or (1.0,) * topic.partitions, dtype=np.float64)
    shares: Floats = weights / weights.sum()
    return shares


def _phases(topic: Topic, rng: np.random.Generator) -> Floats:
    order = rng.permutation(topic.partitions)
    turns: Floats = (np.full(topic.partitions, 0.5) if topic.in_step else (order + 0.5) / topic.partitions)
    return turns * (1 - ROUNDING)
