"""Records as a fluid: what arrived, was processed, committed and deleted, for all partitions at once.

Partition p gets the share w_p of all arrivals, so its end offset is w_p * A(t), with A the cumulative arrivals of the
group. Its oldest unprocessed record, at offset d_p, therefore arrived when A reached d_p / w_p, and the oldest of the
group is the one at the smallest d_p / w_p: one search in A, for any number of partitions. With A = 0, 100, 200, ... and
shares 0.5, offsets 30 and 80 are records of the times 0.6 and 1.6; at 3.0 the oldest is 2.4 s old.

Sources of the shares of one consumer: max-min fairness, Bertsekas and Gallager, Data Networks, 6.5.2.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEGLIGIBLE_RECORDS = 1e-6
NEGLIGIBLE_SHARE = 1e-13
"""Less than this, or than this share of all arrivals, is the rounding of floating point numbers, not a lag."""


def fair_levels(demands: Floats, capacities: Floats) -> Floats:
    """For each row the level x with sum(min(demand, x)) = capacity: nobody gets less than x but who wants less.

    For any k, sum(min(demand, x)) <= (sum of the k smallest) + (K - k) * x, and for one k they are equal. So x is the
    largest (capacity - sum of the k smallest) / (K - k); where all can be served it is at least the largest demand.
    Demands 10, 50, 80 of a capacity of 90: 30, 40, 30 for k = 0, 1, 2, so 10 + 40 + 40.

    `demands` is sorted in place.
    """
    demands.sort(axis=1)
    smallest = demands.cumsum(axis=1)
    smallest -= demands
    np.subtract(capacities[:, None], smallest, out=smallest)
    smallest /= np.arange(demands.shape[1], 0, -1)
    levels: Floats = np.maximum.reduce(smallest, axis=1)
    return levels


class Flow:
    """Offsets of all partitions, in records and fractions of them.

    Args:
        shares: each partition's share of the arrivals; they add up to 1.
        arrival: records/s of each second.
        initial_lag: records that are there at the start.
    """

    def __init__(self, shares: Floats, arrival: Sequence[float], initial_lag: float) -> None:
        self.partitions = len(shares)
        self.cumulative = list(accumulate(map(float, arrival), initial=float(initial_lag)))
        self._negligible = max(NEGLIGIBLE_RECORDS, NEGLIGIBLE_SHARE * self.cumulative[-1])
        self._shares = np.append(shares, 0.0)
        self._per_share = 1.0 / shares
        self.end = self._shares * initial_lag
        self.done = np.zeros(self.partitions + 1)
        self.committed = np.zeros(self.partitions + 1)
        self.start = np.zeros(self.partitions + 1)
        self.second = 0
        self.lag_records = float(initial_lag)
        self.lag_seconds = 0.0
        self.records_lost = 0.0
        self.records_reprocessed = 0.0
        self._slots = np.zeros((0, 0), dtype=np.intp)
        self._worker = np.zeros(self.partitions + 1, dtype=np.intp)
        self._levels = np.zeros(1)
        self._busiest_share = np.zeros(0)
        self._all_flow = False

    def give(self, work: Sequence[Sequence[int]]) -> None:
        """From now on the n-th consumer works on the partitions `work[n]`; on what is in none, nobody works."""
        widest = max(map(len, work), default=0)
        self._slots = np.full((len(work), widest), self.partitions, dtype=np.intp)
        self._worker = np.full(self.partitions + 1, len(work), dtype=np.intp)
        self._levels = np.zeros(len(work) + 1)
        for consumer, partitions in enumerate(work):
            self._slots[consumer, :len(partitions)] = partitions
            self._worker[list(partitions)] = consumer
        self._busiest_share = self._shares[self._slots].sum(axis=1)
        self._all_flow = sum(map(len, work)) == self.partitions

    def step(self, capacities: Floats, limit: float | None, tightest: float) -> None:
        """One second of arrivals and work.

        Args:
            capacities: records/s of each consumer given work.
            limit: records/s of all consumers together.
            tightest: records/s of arrivals that every consumer surely keeps up with.
        """
        self.second += 1
        arrived = self.cumulative[self.second]
        np.multiply(self._shares, arrived, out=self.end)
        if self.lag_records == 0.0 and arrived - self.cumulative[self.second - 1] <= tightest:
            self.done[:] = self.end
            return
        if len(capacities):
            self._work(capacities, limit)
        self._measure()

    def keeps_up_with(self, capacities: Floats, limit: float | None) -> float:
        """The arrivals (records/s) up to which every consumer processes in each second what arrives in it."""
        if not self._all_flow:
            return 0.0
        bound = float((capacities / self._busiest_share).min())
        return (bound if limit is None else min(bound, limit)) * (1 - 1e-12)

    def commit(self, partitions: Sequence[int] | NDArray[np.intp]) -> None:
        """What is processed of these partitions is committed."""
        self.committed[partitions] = self.done[partitions]

    def rewind(self, partitions: Sequence[int]) -> None:
        """What is not committed of these partitions will be processed again."""
        back = np.maximum(self.committed[partitions], self.start[partitions])
        self.records_reprocessed += float((self.done[partitions] - back).sum())
        self.done[partitions] = back
        self._measure()

    def delete_before(self, at: float) -> None:
        """Retention: records that arrived before `at` are gone; what was not processed of them is lost."""
        np.multiply(self._shares, self._arrived_by(at), out=self.start)
        lost = self.start - self.done
        if lost.max() > self._negligible:
            self.records_lost += float(np.maximum(lost, 0.0).sum())
            np.maximum(self.done, self.start, out=self.done)
            self._measure()

    @property
    def records_processed(self) -> float:
        """Records processed or passed over by deletion, each once; take off `records_lost` for the former."""
        return float(self.done.sum())

    def _work(self, capacities: Floats, limit: float | None) -> None:
        demand = self.end - self.done
        demands = demand[self._slots]
        if limit is not None:
            wanted = np.minimum(demands.sum(axis=1), capacities)
            if wanted.sum() > limit:
                capacities = np.minimum(wanted, fair_levels(wanted[None, :].copy(), np.array([limit]))[0])
        self._levels[:-1] = fair_levels(demands, capacities)
        self.done += np.minimum(demand, self._levels[self._worker])

    def _measure(self) -> None:
        """True lag and true age; a lag of rounding errors is none."""
        arrived = self.cumulative[self.second]
        self.lag_records = arrived - float(np.add.reduce(self.done))
        oldest = float(np.minimum.reduce(self.done[:-1] * self._per_share))
        if arrived - oldest <= self._negligible:
            self.done[:] = self.end
            self.lag_records = self.lag_seconds = 0.0
        else:
            self.lag_seconds = self.second - self._arrived_at(oldest)

    def _arrived_at(self, record: float) -> float:
        """When the record of this number in the group arrived: A's inverse, linear within a second.

        Where A is level for a while the next record is the one behind the break, whatever rounding says.
        """
        second = bisect_right(self.cumulative, record + self._negligible)
        if second == 0:
            return 0.0
        if second == len(self.cumulative):
            return float(self.second)
        before, after = self.cumulative[second - 1], self.cumulative[second]
        return second - 1 + max(0.0, record - before) / (after - before)

    def _arrived_by(self, at: float) -> float:
        """A(at): 0 before the start, where the initial lag arrives at once."""
        if at <= 0:
            return 0.0
        second = min(int(at), len(self.cumulative) - 2)
        before, after = self.cumulative[second], self.cumulative[second + 1]
        return before + (after - before) * (at - second)
