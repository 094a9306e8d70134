"""A simulated group whose producers obey a byte rate on each broker, and a run in which the verdict sets it.

What producers want to send beyond the rate waits with them and flows once it may. What has waited for 120 s is refused
to whoever produced it (Kafka's default `delivery.timeout.ms`), and counted. Partitions are led by three brokers in
turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.core.snapshot import Details
from kafka_consumer_scaler.core.throttle import Throttle
from kafka_consumer_scaler.simulation.flow import Floats, Flow
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.overloads import RECORD_BYTES, Overload, policy_of
from kafka_consumer_scaler.simulation.plant import Plant
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.spec import PlantSpec

BROKERS = 3
DELIVERY_SECONDS = 120
"""What waited longer with its producer is refused: Kafka's default `delivery.timeout.ms`."""


class HeldFlow(Flow):
    """A flow whose arrivals are what the brokers let through, so that each partition has its own course.

    Args:
        shares: each partition's share of what is asked for.
        asked: records/s that producers want to send, of each second.
        initial_lag: records that are there at the start.
    """

    def __init__(self, shares: Floats, asked: Sequence[float], initial_lag: float) -> None:
        super().__init__(shares, asked, initial_lag)
        self.allowed = np.inf
        self.records_refused = 0.0
        self.waiting = np.zeros(self.partitions)
        self._leaders = np.arange(self.partitions) % BROKERS
        self._ends = np.zeros((self.partitions, len(self.cumulative)))
        self._ends[:, 0] = self.end[:-1]

    def step(self, capacities: Floats, limit: float | None, tightest: float) -> None:
        """One second: what may be sent arrives, then the consumers work."""
        self.second += 1
        self.end[:-1] += self._sent()
        self._ends[:, self.second] = self.end[:-1]
        if len(capacities):
            self._work(capacities, limit)
        self._measure()

    def _sent(self) -> Floats:
        """Each broker lets through no more than `allowed` records; of its partitions none is preferred."""
        shares, asked = self._shares[:-1], self.cumulative
        self.waiting += shares * (asked[self.second] - asked[self.second - 1])
        by_broker = np.bincount(self._leaders, weights=self.waiting, minlength=BROKERS)
        part = np.minimum(1.0, self.allowed / np.maximum(by_broker, 1e-12))
        sent: Floats = self.waiting * part[self._leaders]
        self.waiting -= sent
        kept = shares * (asked[self.second] - asked[max(0, self.second - DELIVERY_SECONDS)])
        self.records_refused += float(np.maximum(0.0, self.waiting - kept).sum())
        np.minimum(self.waiting, kept, out=self.waiting)
        return sent

    def delete_before(self, at: float) -> None:
        """Retention, by each partition's own course."""
        second, part = int(at), at - int(at)
        self.start[:-1] = (1 - part) * self._ends[:, second] + part * self._ends[:, min(second + 1, self.second)]
        lost = self.start - self.done
        if lost.max() > self._negligible:
            self.records_lost += float(np.maximum(lost, 0.0).sum())
            np.maximum(self.done, self.start, out=self.done)
            self._measure()

    def _measure(self) -> None:
        behind = self.end - self.done
        self.lag_records = float(behind.sum())
        late = np.flatnonzero(behind > self._negligible)
        self.lag_seconds = max((self.second - self._time_of(int(partition)) for partition in late), default=0.0)

    def _time_of(self, partition: int) -> float:
        """When the first record that is not processed arrived; what was there at the start counts from 0."""
        ends, done = self._ends[partition, :self.second + 1], self.done[partition]
        after = int(np.searchsorted(ends, done + self._negligible, side="right"))
        if after == 0 or after == len(ends):
            return 0.0 if after == 0 else float(self.second)
        before = ends[after - 1]
        return float(after - 1 + max(0.0, done - before) / (ends[after] - before))


class HeldPlant(Plant):
    """A group whose producers can be held to a rate."""

    def __init__(self, spec: PlantSpec, asked: Sequence[float], seed: int) -> None:
        super().__init__(spec, asked, seed)
        self.held = HeldFlow(self._flow._shares[:-1], asked, spec.initial_lag)
        self._flow = self.held
        self._share_out()
        self._details = Details(
            record_bytes={tp.topic: RECORD_BYTES for tp in self._names},
            leaders={tp: number % BROKERS for number, tp in enumerate(self._names)})

    def hold(self, throttle: Throttle | None) -> None:
        """From now on producers obey this; None sets them free."""
        told = None if throttle is None else sum(quota.bytes_per_broker for quota in throttle.quotas)
        self.held.allowed = np.inf if told is None else told / RECORD_BYTES

    def observe(self) -> Observation:
        """What an observer is told now: leaders and the size of records too."""
        seen = super().observe()
        return replace(seen, snapshot=replace(seen.snapshot, details=self._details))


@dataclass(frozen=True, slots=True)
class Course:
    """A run, second by second; arrays hold one value for each.

    Args:
        asked: records/s that producers want to send.
        arrival: records/s that arrived.
        drain: records/s that were processed.
        age: of the oldest record not processed, at the end of the second; seconds.
        rate: records/s that producers are held to; infinite while they are not.
        starved: records/s that consumers could have done of those that waited with their producers.
        replicas: replicas asked for.
        lost: records that retention deleted before they were processed.
        refused: records that waited with their producers for too long.
    """

    asked: Floats
    arrival: Floats
    drain: Floats
    age: Floats
    rate: Floats
    starved: Floats
    replicas: NDArray[np.int64]
    lost: float
    refused: float

    @property
    def used(self) -> float:
        """Share of what was sustainable and asked for that was processed, while producers were held."""
        held = np.isfinite(self.rate)
        done, starved = float(self.drain[held].sum()), float(self.starved[held].sum())
        return done / (done + starved) if done else 1.0

    @property
    def changes(self) -> int:
        """Changes of the rate, its beginning and its end among them."""
        return int(np.count_nonzero(self.rate[1:] != self.rate[:-1]))

    def seconds_over(self, seconds: float, since: int = 0) -> int:
        """Seconds at whose end the oldest record was older than that."""
        return int(np.count_nonzero(self.age[since:] > seconds))


def play(overload: Overload, with_loop: bool) -> Course:
    """The run of our own policy, with the upstream half of the loop or without."""
    scaler, load = KafkaConsumerScaler(policy_of(with_loop)), overload.load
    plant = HeldPlant(load.plant, load.arrival, load.seed)
    rows: list[tuple[float, ...]] = []
    rate = np.inf
    for second in range(1, len(load.arrival) + 1):
        before, ended = plant.records_processed, plant.held.end.sum()
        plant.step()
        drain = plant.records_processed - before
        starved = min(max(0.0, overload.sustained - drain), float(plant.held.waiting.sum()))
        rows.append((plant.arrival, plant.held.end.sum() - ended, drain, plant.lag_seconds, rate, starved,
                     plant.replicas_spec))
        if second % scaler.interval_seconds == 0:
            rate = _looked(plant, scaler)
    asked, arrival, drained, age, rates, idle, replicas = np.array(rows).T
    return Course(asked, arrival, drained, age, rates, idle, replicas.astype(np.int64), plant.records_lost,
                  plant.held.records_refused)


def _looked(plant: HeldPlant, scaler: KafkaConsumerScaler) -> float:
    """Scale and hold as the verdict says; the rate from now on, in records/s."""
    wanted = scaler.look(plant.observe())
    if wanted is not None:
        plant.scale(wanted)
    throttle = scaler.verdicts[-1][1].throttle
    plant.hold(throttle)
    return np.inf if throttle is None else throttle.bytes_per_second / RECORD_BYTES
