"""The autoscaler of the Flink Kubernetes operator, moved to a consumer group.

Source: apache/flink-kubernetes-operator 1.15.0, flink-autoscaler: ScalingMetricEvaluator (computeTargetDataRate,
computeProcessingRateThresholds, isProcessingBacklog, computeTrueProcessingRate), AutoScalerUtils
(getTargetProcessingCapacity), JobVertexScaler (computeScaleTargetParallelism, scale, detectBlockScaling,
applyScaleDownInterval, detectIneffectiveScaleUp), ScalingExecutor (computeScalingSummary), DelayedScaleDown,
ScalingMetricCollector (updateMetrics), config/AutoScalerOptions. The group is a job of one source vertex.

    input    = records processed a second over the window           target  = input + growth of the lag, at least 0
    wanted   = lag / catchUp + target * restart / catchUp + target / utilization
    factor   = wanted / true rate, within 1 - maxDown and 1 + maxUp
    replicas = ceil(factor * replicas), aligned to a divisor of the partitions

It acts only when the true rate is under `lag / catchUp + target / utilizationMax` or over
`lag / catchUp + target * restart / catchUp + target / utilizationMin`. While the lag is older than the backlog
threshold the two utilizations are 1 and 0: no scale-down.

What had to be adapted, because a Kafka group does not tell how busy its consumers are:

- The true rate is drain / busy share. Here a sample is busy when its lag is at least `busy_lag_seconds` of drain (Flink
  measures the rate while catching up under the same condition, `observed-true-processing-rate.lag-threshold`). If all
  samples of the window are busy the true rate is the window's drain. Else it is the highest rate of a consumer that
  was ever seen over `METER_SECONDS` in which all samples were busy (Flink's meters average a minute), times the
  replicas, or the drain if that is higher. Until a consumer was seen busy the true rate is unknown, and nothing is
  changed.
- A group that drains nothing has an infinite true rate, as in Flink, so it shrinks.
- A job that restarts is a group whose ready pods are not those asked for: samples are dropped then, and the
  stabilization begins when they are. The lag is of committed offsets, as everybody outside of the group sees it.
- A partition without a committed offset counts from the log's start. An incomplete snapshot is no sample.
- Flink knows no zero replicas: a group at zero is brought to at least one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf

from kafka_consumer_scaler.core.snapshot import Reading, Sample, Unknown
from kafka_consumer_scaler.simulation.scaler import Observation

METER_SECONDS = 60.0
"""Flink's per-second metrics are averages over a minute."""


@dataclass(frozen=True, slots=True)
class Options:
    """AutoScalerOptions with Flink's defaults; seconds and shares.

    Args:
        metrics_window_seconds: `metrics.window`.
        stabilization_seconds: `stabilization.interval`.
        utilization: `utilization.target`; `utilization_min` and `utilization_max` are target -/+ 0.3 by default.
        scale_down_interval_seconds: `scale-down.interval`.
        max_scale_down_factor: `scale-down.max-factor`: at most this share of the replicas goes at once.
        max_scale_up_factor: `scale-up.max-factor`.
        catch_up_seconds: `catch-up.duration`; 0 leaves the lag out.
        restart_seconds: `restart.time`.
        backlog_seconds: `backlog-processing.lag-threshold`.
        busy_lag_seconds: `observed-true-processing-rate.lag-threshold`.
        blocks_ineffective: `scaling.effectiveness.detection.enabled`.
        effectiveness: `scaling.effectiveness.threshold`.
        interval_seconds: the operator's `kubernetes.operator.reconcile.interval`.
    """

    metrics_window_seconds: float = 900.0
    stabilization_seconds: float = 300.0
    utilization: float = 0.7
    utilization_min: float = 0.4
    utilization_max: float = 1.0
    scale_down_interval_seconds: float = 3600.0
    max_scale_down_factor: float = 0.6
    max_scale_up_factor: float = 100_000.0
    catch_up_seconds: float = 1800.0
    restart_seconds: float = 300.0
    backlog_seconds: float = 300.0
    busy_lag_seconds: float = 30.0
    blocks_ineffective: bool = False
    effectiveness: float = 0.1
    interval_seconds: float = 60.0


PUBLISHED = Options()
SHRUNK = Options(
    metrics_window_seconds=60.0, stabilization_seconds=30.0, scale_down_interval_seconds=300.0, catch_up_seconds=300.0,
    restart_seconds=30.0, backlog_seconds=60.0, busy_lag_seconds=10.0, blocks_ineffective=True, interval_seconds=15.0)
"""Windows for a group whose pods start in seconds and whose objective is about a minute.

The window is the shortest in which commits every 5 s are a rate (12 of them); stabilization and restart are a pod's
start and a rebalance with some reserve; a sample is busy from two commit intervals of lag on; a scale-down waits 5
minutes, as the HPA's; a backlog is to be gone in 5 minutes.
"""


@dataclass(frozen=True, slots=True)
class Reported:
    """One sample: records written, processed and waiting, summed over the partitions since the log's start."""

    at: float
    processed: float
    lag: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A window's figures, in records/s and records. `true_rate` is of all replicas together."""

    input_rate: float
    target_rate: float
    lag: float
    true_rate: float


@dataclass(slots=True)
class Flink:
    """The autoscaler with its memory; `Flink()` has Flink's published defaults."""

    min_replicas: int = 1
    max_replicas: int = 200
    options: Options = PUBLISHED
    name: str = "flink"
    _window: list[Reported] = field(init=False, default_factory=list)
    _running: tuple[int, float] = field(init=False, default=(-1, 0.0))
    _busy_rate: float = field(init=False, default=0.0)
    _down: list[tuple[float, int, bool]] = field(init=False, default_factory=list)
    _down_since: float | None = field(init=False, default=None)
    _last_up: tuple[int, float, float] | None = field(init=False, default=None)

    @classmethod
    def shrunk(cls, min_replicas: int = 1, max_replicas: int = 200) -> Flink:
        """The same algorithm with windows that serve a Kafka group: `SHRUNK`."""
        return cls(min_replicas, max_replicas, SHRUNK, "flink-shrunk")

    @property
    def interval_seconds(self) -> float:
        """The operator's reconcile interval."""
        return self.options.interval_seconds

    def look(self, observation: Observation) -> int | None:
        """Collect, and once the window is full evaluate and scale."""
        spec = observation.replicas.spec
        if spec == 0:
            return max(1, self.min_replicas)
        sample = observation.snapshot.complete()
        if not self._is_running(observation) or isinstance(sample, Unknown):
            return None
        self._window.append(reported(sample))
        self._learn(spec)
        if not self._is_full(observation.at):
            return None
        evaluated = self._evaluated(spec)
        if evaluated is None:
            return None
        return self._scaled(observation.at, spec, evaluated, len(sample.readings))

    def _is_running(self, observation: Observation) -> bool:
        """Whether the pods asked for are ready; any change of them is a restart, after which samples start anew."""
        spec = observation.replicas.spec
        if observation.ready != spec:
            self._running = (-1, observation.at)
            self._window.clear()
        elif self._running[0] != spec:
            self._running = (spec, observation.at)
            self._window.clear()
        return observation.ready == spec

    def _is_full(self, at: float) -> bool:
        """Whether the samples since the stabilization's end fill the window; what is older than it is dropped."""
        stable_at = self._running[1] + self.options.stabilization_seconds
        first = next((each.at for each in self._window if each.at >= stable_at), at + 1)
        if at < first + self.options.metrics_window_seconds:
            return False
        start = at - self.options.metrics_window_seconds
        self._window = [each for each in self._window if each.at >= start]
        return len(self._window) >= 2

    def _learn(self, replicas: int) -> None:
        """The highest rate of a consumer over a minute in which all samples were busy."""
        minute = [each for each in self._window if each.at >= self._window[-1].at - METER_SECONDS]
        if len(minute) >= 2 and minute[-1].at - minute[0].at >= METER_SECONDS - self.interval_seconds / 2:
            rate = drain(minute)
            if is_busy(minute, rate, self.options.busy_lag_seconds):
                self._busy_rate = max(self._busy_rate, rate / replicas)

    def _evaluated(self, replicas: int) -> Evaluated | None:
        window = self._window
        input_rate = drain(window)
        growth = (window[-1].lag - window[0].lag) / (window[-1].at - window[0].at)
        true_rate = self._true_rate(input_rate, replicas)
        if true_rate is None:
            return None
        return Evaluated(input_rate, max(0.0, input_rate + growth), window[-1].lag, true_rate)

    def _true_rate(self, input_rate: float, replicas: int) -> float | None:
        if input_rate <= 0:
            return inf
        if is_busy(self._window, input_rate, self.options.busy_lag_seconds):
            return input_rate
        return max(self._busy_rate * replicas, input_rate) if self._busy_rate else None

    def _scaled(self, at: float, replicas: int, evaluated: Evaluated, partitions: int) -> int | None:
        new = self._wanted(replicas, evaluated, partitions)
        outside = is_outside(evaluated, self.options)
        if new >= replicas:
            self._clear_down()
        if new == replicas or (new > replicas and self._is_ineffective(replicas, evaluated.true_rate)):
            return None
        if new < replicas:
            new, outside = self._delayed(at, new, outside, replicas)
        if new == replicas or not outside:
            return None
        self._clear_down()
        expected = evaluated.true_rate / replicas * new
        self._last_up = (new, evaluated.true_rate, expected) if new > replicas else None
        return new

    def _wanted(self, replicas: int, evaluated: Evaluated, partitions: int) -> int:
        options = self.options
        factor = capacity(evaluated, options, options.utilization, with_restart=True) / evaluated.true_rate
        factor = min(max(factor, 1 - options.max_scale_down_factor), 1 + options.max_scale_up_factor)
        least, most = min(replicas, self.min_replicas), max(replicas, self.max_replicas)
        return aligned(replicas, factor, partitions, least, most)

    def _is_ineffective(self, replicas: int, true_rate: float) -> bool:
        """Whether the last scale-up brought less than a tenth of what was expected of it, and that blocks."""
        if not self.options.blocks_ineffective or self._last_up is None or self._last_up[0] != replicas:
            return False
        _, before, expected = self._last_up
        return (true_rate - before) / (expected - before) < self.options.effectiveness

    def _delayed(self, at: float, new: int, outside: bool, replicas: int) -> tuple[int, bool]:
        """A scale-down waits for its interval; then the most that was wanted within it holds."""
        if self.options.scale_down_interval_seconds <= 0:
            return new, outside
        self._down_since = at if self._down_since is None else self._down_since
        start = at - self.options.scale_down_interval_seconds
        self._down = [each for each in self._down if each[0] >= start and each[1] > new] + [(at, new, outside)]
        if start < self._down_since:
            return replicas, outside
        return self._down[0][1], self._down[0][2]

    def _clear_down(self) -> None:
        self._down, self._down_since = [], None


def reported(sample: Sample) -> Reported:
    """The sums over all partitions."""
    pairs = [(reading.end, _position(reading)) for reading in sample.readings.values()]
    return Reported(sample.at, sum(done for _, done in pairs), sum(max(0, end - done) for end, done in pairs))


def _position(reading: Reading) -> int:
    return max(reading.committed, reading.start) if isinstance(reading.committed, int) else reading.start


def drain(window: Sequence[Reported]) -> float:
    """Records processed a second between the first and the last sample."""
    return (window[-1].processed - window[0].processed) / (window[-1].at - window[0].at)


def is_busy(window: Sequence[Reported], rate: float, lag_seconds: float) -> bool:
    """Whether every sample has at least `lag_seconds` of work waiting."""
    return rate > 0 and all(each.lag >= lag_seconds * rate for each in window)


def capacity(evaluated: Evaluated, options: Options, utilization: float, with_restart: bool) -> float:
    """Records/s needed: to catch up with the lag, with what a restart leaves behind, and to run at `utilization`."""
    if utilization <= 0:
        return inf
    catch_up = options.catch_up_seconds
    lag_rate = evaluated.lag / catch_up if catch_up else 0.0
    restart_rate = evaluated.target_rate * options.restart_seconds / catch_up if catch_up and with_restart else 0.0
    return floor(lag_rate + restart_rate + evaluated.target_rate / min(1.0, utilization) + 0.5)


def is_outside(evaluated: Evaluated, options: Options) -> bool:
    """Whether the true rate is outside of what the band of utilizations needs."""
    is_backlog = evaluated.input_rate > 0 and evaluated.lag / evaluated.input_rate > options.backlog_seconds
    highest, lowest = (1.0, 0.0) if is_backlog else (options.utilization_max, options.utilization_min)
    least = capacity(evaluated, options, highest, with_restart=False)
    most = capacity(evaluated, options, lowest, with_restart=True)
    return evaluated.true_rate < least or evaluated.true_rate > most


def aligned(replicas: int, factor: float, partitions: int, least: int, most: int) -> int:
    """ceil(factor * replicas) within the bounds, moved up to a divisor of the partitions (EVENLY_SPREAD).

    The search goes up to the bound (of a scale-down: to the present replicas). Where it finds none, it goes down to the
    boundary at which partitions a replica grow; a result against the direction leaves the replicas as they are.
    """
    bound = min(partitions, most)
    target = min(max(least, ceil(factor * replicas)), bound)
    if target == replicas:
        return replicas
    is_up = target > replicas
    end = bound if is_up else min(replicas, bound)
    found = next((number for number in range(target, end + 1) if partitions % number == 0), None)
    if found is not None:
        return found
    found = max(least, _boundary(target, partitions))
    return replicas if (found > replicas) != is_up or found == replicas else found


def _boundary(target: int, partitions: int) -> int:
    """The fewest that have as many whole partitions each as `target` has."""
    number = next((n for n in range(target, 0, -1) if partitions // n > partitions // target), 0)
    return number if number and partitions % number == 0 else number + 1 if number else 0
