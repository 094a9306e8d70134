"""KEDA's Kafka scaler driving a HorizontalPodAutoscaler.

Source: KEDA 2.20.2. The metric: pkg/scalers/kafka_scaler.go (getLagForPartition, getTotalLag,
getNextFactorThatBalancesConsumersToTopicPartitions, GetMetricsAndActivity). From and to zero:
pkg/scaling/executor/scale_scaledobjects.go (RequestScale, scaleToZeroOrIdle, scaleFromZeroOrIdle) and
pkg/scaling/scale_handler.go (startScaleLoop, checkScalers). The HPA it makes: controllers/keda/hpa.go.

Where the source differs from what its documentation lets one expect:

- The partition limit divides whole numbers: with P partitions and threshold T it holds only once lag // T > P. With
  P = 5, T = 5 a lag of 29 passes (29 // 5 = 5) and makes ceil(29 / 5) = 6 replicas, one of them idle; 30 is cut to 25.
- A lag cut to P * T makes the HPA's ratio P / n. With P = 24 it is 24 / 22 = 1.09 at 22 replicas, within the
  tolerance: 22 and 23 replicas stay, whatever the lag.
- `ensureEvenDistributionOfPartitions` replaces the lag by f * T for the least divisor f of P with f * T >= lag, or P:
  it is never more than P replicas, and never less than 1 replica's worth, even at no lag. There 29 makes 5 replicas.
- An uncommitted partition under `latest` counts as a lag of 1 (of 0 with `scaleToZeroOnInvalidOffset`); under
  `earliest` as its whole end offset (of 0 with `scaleToZeroOnInvalidOffset`), without the log's start.
- Lag is end minus committed, not bounded below.

Three choices. The HPA that KEDA makes has no `behavior` unless the user writes one; here Kubernetes' documented default
behavior holds (from 1 replica a sync may go to 5 instead of 4, from 4 on both double): `behavior=None` is the other
one. Where both the operator and the HPA would write at the same moment, the operator's change from or to zero wins. And
one query serves both at that moment, else `excludePersistentLag` would compare a partition with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import gcd

from kafka_consumer_scaler.core.policy import OffsetReset
from kafka_consumer_scaler.core.snapshot import Reading, Snapshot, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.simulation.hpa import DEFAULT_BEHAVIOR, SYNC_SECONDS, Behavior, Hpa
from kafka_consumer_scaler.simulation.scaler import Observation

DEFAULT_LAG_THRESHOLD = 10
DEFAULT_POLLING_SECONDS = 30.0
DEFAULT_COOLDOWN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """The Kafka trigger's metadata, with KEDA's defaults. The group's topics count together, as without `topic`.

    Args:
        lag_threshold: records of lag for each replica.
        activation_lag_threshold: total lag above which the trigger is active.
        offset_reset: `latest` or `earliest`, for partitions without a committed offset.
        allow_idle_consumers: no limit to the number of partitions.
        limit_to_partitions_with_lag: the limit is the number of partitions that lag.
        ensure_even_distribution: only divisors of the number of partitions.
        scale_to_zero_on_invalid_offset: an uncommitted partition has no lag.
        exclude_persistent_lag: a partition whose committed offset has not moved since the last query has no lag.

    Raises:
        ValueError: a threshold, or a combination, that KEDA refuses.
    """

    lag_threshold: int = DEFAULT_LAG_THRESHOLD
    activation_lag_threshold: int = 0
    offset_reset: OffsetReset = OffsetReset.LATEST
    allow_idle_consumers: bool = False
    limit_to_partitions_with_lag: bool = False
    ensure_even_distribution: bool = False
    scale_to_zero_on_invalid_offset: bool = False
    exclude_persistent_lag: bool = False

    def __post_init__(self) -> None:
        """Refuse what KEDA refuses."""
        if self.lag_threshold <= 0:
            raise ValueError("lag_threshold must be a positive number")
        if self.activation_lag_threshold < 0:
            raise ValueError("activation_lag_threshold must not be negative")
        if self.limit_to_partitions_with_lag and (self.allow_idle_consumers or self.ensure_even_distribution):
            raise ValueError("limit_to_partitions_with_lag goes with neither allow_idle_consumers "
                             "nor ensure_even_distribution")


@dataclass(frozen=True, slots=True)
class Metric:
    """What one query of the trigger brings: the lag for the HPA, and whether the trigger is active."""

    lag: int
    is_active: bool


def metric(trigger: Trigger, readings: Mapping[TopicPartition, Reading],
           previous: Mapping[TopicPartition, int] | None = None) -> Metric:
    """The trigger's metric. `previous`: committed offsets of the query before, for `exclude_persistent_lag`."""
    lags = {tp: _lag(trigger, reading) for tp, reading in readings.items()}
    stuck = {tp for tp, reading in readings.items() if _is_persistent(trigger, reading, (previous or {}).get(tp))}
    counted = [0 if tp in stuck else lag for tp, lag in lags.items()]
    limited = _limited(trigger, sum(counted), len(counted), sum(lag > 0 for lag in counted))
    return Metric(limited, sum(lags.values()) > trigger.activation_lag_threshold)


def _lag(trigger: Trigger, reading: Reading) -> int:
    if not isinstance(reading.committed, Uncommitted):
        return reading.end - reading.committed
    if trigger.scale_to_zero_on_invalid_offset:
        return 0
    return reading.end if trigger.offset_reset is OffsetReset.EARLIEST else 1


def _is_persistent(trigger: Trigger, reading: Reading, before: int | None) -> bool:
    return trigger.exclude_persistent_lag and before is not None and reading.committed == before


def _limited(trigger: Trigger, lag: int, partitions: int, lagging: int) -> int:
    """The total lag within the partition limit."""
    threshold = trigger.lag_threshold
    if trigger.allow_idle_consumers and not trigger.ensure_even_distribution:
        return lag
    if trigger.ensure_even_distribution:
        lag = _even(lag, partitions, threshold) * threshold
    limit = lagging if trigger.limit_to_partitions_with_lag else partitions
    whole = lag // threshold if lag >= 0 else -(-lag // threshold)
    return limit * threshold if whole > limit else lag


def _even(lag: int, partitions: int, threshold: int) -> int:
    divisors = (number for number in range(1, partitions + 1) if partitions % number == 0)
    return next((number for number in divisors if number * threshold >= lag), partitions)


@dataclass(slots=True)
class Keda:
    """A ScaledObject with one Kafka trigger, and its HPA.

    The operator asks the trigger every `polling_seconds` and moves between zero and active; the HPA asks it every 15 s,
    anew each time (KEDA's `useCachedMetrics: false`). A snapshot that is not complete fails the query: the operator
    changes nothing, the HPA keeps its number.

    Args:
        lag_threshold: records of lag for each replica; goes before the one in `trigger`.
        min_replicas: 0 lets the operator go to zero; the HPA's own minimum is then 1.
        trigger: the trigger's other fields.
        cooldown_seconds: the last active query must be longer ago than this before the operator goes to zero.
    """

    lag_threshold: int = DEFAULT_LAG_THRESHOLD
    min_replicas: int = 0
    max_replicas: int = 100
    trigger: Trigger = Trigger()
    polling_seconds: float = DEFAULT_POLLING_SECONDS
    cooldown_seconds: float = DEFAULT_COOLDOWN_SECONDS
    behavior: Behavior | None = DEFAULT_BEHAVIOR
    name: str = "keda"
    _hpa: Hpa = field(init=False)
    _previous: dict[TopicPartition, int] = field(init=False, default_factory=dict)
    _active_at: float | None = field(init=False, default=None)
    _poll_due: float = field(init=False, default=0.0)
    _sync_due: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Make the HPA as KEDA does."""
        self.trigger = replace(self.trigger, lag_threshold=self.lag_threshold)
        self._hpa = Hpa(self.lag_threshold, max(1, self.min_replicas), self.max_replicas, self.behavior)

    @property
    def interval_seconds(self) -> float:
        """So often that both the operator's and the HPA's moments are met."""
        return float(gcd(int(SYNC_SECONDS), int(self.polling_seconds)))

    def look(self, observation: Observation) -> int | None:
        """The operator's step if it is due and changes something, else the HPA's if it is due."""
        at, spec = observation.at, observation.replicas.spec
        is_poll, is_sync = at >= self._poll_due, at >= self._sync_due
        if not is_poll and not (is_sync and spec):
            return None
        asked = self._query(observation.snapshot)
        moved = self._request_scale(at, asked, spec) if is_poll else None
        if moved is not None or not is_sync:
            return moved
        self._sync_due = at + SYNC_SECONDS
        return self._hpa.sync(at, None if asked is None else asked.lag, spec, observation.replicas.existing)

    def _query(self, snapshot: Snapshot) -> Metric | None:
        """The trigger's metric; None where the query fails, after which the trigger starts anew."""
        sample = snapshot.complete()
        if isinstance(sample, Unknown):
            self._previous = {}
            return None
        asked = metric(self.trigger, sample.readings, self._previous)
        committed = {tp: reading.committed for tp, reading in sample.readings.items()}
        self._previous |= {tp: offset for tp, offset in committed.items() if isinstance(offset, int)}
        return asked

    def _request_scale(self, at: float, asked: Metric | None, spec: int) -> int | None:
        """The operator's part: up from zero when active, to zero after the cooldown, up to the minimum at any time."""
        self._poll_due = at + self.polling_seconds
        if asked is None:
            return None
        if asked.is_active:
            self._active_at = at
            return max(1, self.min_replicas) if spec == 0 else None
        if self.min_replicas == 0 and spec > 0:
            is_cold = self._active_at is None or self._active_at + self.cooldown_seconds < at
            return 0 if is_cold else None
        return self.min_replicas if spec < self.min_replicas else None
