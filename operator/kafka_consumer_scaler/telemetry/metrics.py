"""The numbers behind /metrics. What is unknown is absent: never 0, never NaN."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.telemetry import lag, series
from kafka_consumer_scaler.telemetry.series import Series

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
DONE = "done"


@dataclass(slots=True)
class _Resource:
    """What is shown of one KafkaConsumerScaler. All of its series go when this goes."""

    gauges: tuple[float | None, ...] = ()
    backlog: Backlog | None = None
    sampled_at: float | None = None
    conditions: dict[str, bool] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    lag: tuple[lag.Row, ...] = ()
    record_bytes: Mapping[str, float] = field(default_factory=dict)
    info: tuple[str, str] | None = None
    decisions: Tally[tuple[str, str]] = field(default_factory=Tally)


class Metrics:
    """Takes observations, answers scrapes. The series of resources are drawn from their newest verdict when scraped.

    `per_partition` shows lag for each partition, instead of each topic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, per_partition: bool = False) -> None:
        # Else each counter gets a second series, with nothing but the time of its creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._resources: dict[tuple[str, str], _Resource] = {}
        self._polled_at: dict[tuple[str, str], float] = {}
        self._restarts = self._recycles = 0
        self._leader = _gauge(series.LEADER, self._registry)
        self._lease_transitions = _gauge(series.LEASE_TRANSITIONS, self._registry)
        self._resource_count = _gauge(series.RESOURCES, self._registry)
        self._events_waiting = _gauge(series.EVENTS_WAITING, self._registry)
        self._poll_seconds = Histogram(
            series.POLL_SECONDS.name,
            series.POLL_SECONDS.help,
            series.POLL_SECONDS.labels,
            buckets=series.POLL_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._poll_errors = _counter(series.POLL_ERRORS, self._registry)
        self._poll_stretch = _gauge(series.POLL_STRETCH, self._registry)
        self._polling_process_restarts = _counter(series.POLLING_PROCESS_RESTARTS, self._registry)
        self._polling_process_recycles = _counter(series.POLLING_PROCESS_RECYCLES, self._registry)
        self._scale_writes = _counter(series.SCALE_WRITES, self._registry)
        self._status_writes = _counter(series.STATUS_WRITES, self._registry)
        self._events = _counter(series.EVENTS, self._registry)
        self._clock = clock
        self._per_partition = per_partition
        self._registry.register(_Drawn(self._resources, self._polled_at, clock, per_partition))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def observe_verdict(self, namespace: str, name: str, verdict: Verdict, policy: Policy) -> None:
        """A poll of the resource's group ended in this verdict."""
        resource = self._resource(namespace, name)
        resource.gauges = tuple(_known(gauge.value(verdict, policy)) for gauge in series.RESOURCE_GAUGES)
        resource.backlog = verdict.backlog
        if not isinstance(verdict.measurements.lag_records, Unknown):
            resource.sampled_at = self._clock()
        resource.findings = tuple(sorted({finding.reason.value for finding in verdict.findings}))
        resource.lag, resource.record_bytes = (), {}
        if not isinstance(verdict.situation, Unknown):
            resource.lag = lag.rows(verdict.situation, self._per_partition)
            resource.record_bytes = lag.record_bytes(verdict.situation)
        resource.conditions = {c.type.value: c.status for c in verdict.conditions if c.status is not None}
        resource.decisions[type(verdict.decision).__name__, verdict.decision.reason.value] += 1

    def observe_resource(self, namespace: str, name: str, consumer_group: str, target: str) -> None:
        """The resource's spec was read or changed; `target` as `Deployment/orders-consumer`."""
        self._resource(namespace, name).info = (consumer_group, target)

    def forget(self, namespace: str, name: str) -> None:
        """The resource was deleted: all of its series go."""
        self._resources.pop((namespace, name), None)

    def set_leadership(self, may_write: bool, transitions: int) -> None:
        """Whether this operator may scale now, and how often its lease was acquired."""
        self._leader.set(may_write)
        self._lease_transitions.set(transitions)

    def set_resources(self, count: int) -> None:
        """So many KafkaConsumerScalers are looked after."""
        self._resource_count.set(count)

    def observe_poll(self, cluster: str, connection: str, seconds: float, problem: Reason | None) -> None:
        """A poll of a Kafka cluster ended, after `seconds`, with or without a problem."""
        self._polled_at[cluster, connection] = self._clock()
        self._poll_seconds.labels(cluster, connection).observe(seconds)
        if problem is not None:
            self._poll_errors.labels(cluster, connection, problem.value).inc()

    def observe_stretch(self, cluster: str, connection: str, stretch: int) -> None:
        """The polls of a Kafka cluster are so many polling intervals apart."""
        self._poll_stretch.labels(cluster, connection).set(stretch)

    def forget_cluster(self, cluster: str, connection: str) -> None:
        """No resource uses the Kafka cluster by that connection any more: all of its series go."""
        self._polled_at.pop((cluster, connection), None)
        for family in (self._poll_seconds, self._poll_errors, self._poll_stretch):
            family.remove_by_labels({"cluster": cluster, "connection": connection})

    def set_polling_process(self, restarts: int, recycles: int) -> None:
        """The polling process was restarted, and replaced in order, so often since the operator started."""
        self._polling_process_restarts.inc(max(0, restarts - self._restarts))
        self._polling_process_recycles.inc(max(0, recycles - self._recycles))
        self._restarts, self._recycles = max(restarts, self._restarts), max(recycles, self._recycles)

    def observe_scale_write(self, problem: Reason | None) -> None:
        """A scale was written, or not for this reason."""
        self._scale_writes.labels(problem.value if problem else DONE).inc()

    def observe_status_write(self, problem: Reason | None) -> None:
        """A status was written, or not for this reason."""
        self._status_writes.labels(problem.value if problem else DONE).inc()

    def observe_event(self, reason: Reason) -> None:
        """An event was told."""
        self._events.labels(reason.value).inc()

    def set_events_waiting(self, count: int) -> None:
        """So many events wait for the API server."""
        self._events_waiting.set(count)

    def exposition(self) -> bytes:
        """The answer to a scrape, in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)

    def _resource(self, namespace: str, name: str) -> _Resource:
        return self._resources.setdefault((namespace, name), _Resource())


class _Drawn(Collector):
    """The series that are computed when they are asked for."""

    def __init__(
        self,
        resources: dict[tuple[str, str], _Resource],
        polled_at: dict[tuple[str, str], float],
        clock: Callable[[], float],
        per_partition: bool,
    ) -> None:
        self._resources = resources
        self._polled_at = polled_at
        self._clock = clock
        self._per_partition = per_partition

    def describe(self) -> list[Metric]:
        """Nothing: registering must not draw."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Called at each scrape."""
        for index, declared in enumerate(series.RESOURCE_GAUGES):
            yield self._resource_gauge(index, declared.series)
        yield self._lag(series.CONSUMERGROUP_LAG, lambda row: row.records)
        yield self._lag(series.CONSUMERGROUP_LAG_SECONDS, lambda row: row.seconds)
        yield self._record_bytes()
        yield self._backlog_states()
        yield self._findings()
        yield self._conditions()
        yield self._sample_ages()
        yield self._infos()
        yield self._decisions()
        yield self._poll_ages()

    def _shown(self) -> tuple[tuple[tuple[str, str], _Resource], ...]:
        """All resources at this moment: a long scrape may be answered in a thread of its own while polls go on."""
        return tuple(self._resources.items())

    def _resource_gauge(self, index: int, declared: Series) -> Metric:
        family = _gauge_family(declared)
        for labels, resource in self._shown():
            value = resource.gauges[index] if resource.gauges else None
            if value is not None:
                family.add_metric(labels, value)
        return family

    def _lag(self, declared: Series, value: Callable[[lag.Row], float | None]) -> Metric:
        more = declared.labels_on_demand if self._per_partition else ()
        family = GaugeMetricFamily(declared.name, declared.help, labels=(*declared.labels, *more))
        for labels, resource in self._shown():
            group = resource.info[:1] if resource.info else ("",)
            for row in resource.lag:
                if (number := value(row)) is not None:
                    family.add_metric((*labels, *group, *row.labels), number)
        return family

    def _record_bytes(self) -> Metric:
        family = _gauge_family(series.TOPIC_RECORD_BYTES)
        for labels, resource in self._shown():
            for topic, size in resource.record_bytes.items():
                family.add_metric((*labels, topic), size)
        return family

    def _findings(self) -> Metric:
        family = _gauge_family(series.FINDING)
        for labels, resource in self._shown():
            for finding in resource.findings:
                family.add_metric((*labels, finding), 1.0)
        return family

    def _backlog_states(self) -> Metric:
        family = _gauge_family(series.BACKLOG_STATE)
        for labels, resource in self._shown():
            for state in Backlog if resource.backlog else ():
                family.add_metric((*labels, state.value), float(state is resource.backlog))
        return family

    def _conditions(self) -> Metric:
        family = _gauge_family(series.CONDITION)
        for labels, resource in self._shown():
            for condition, status in resource.conditions.items():
                family.add_metric((*labels, condition), float(status))
        return family

    def _sample_ages(self) -> Metric:
        family = _gauge_family(series.SAMPLE_AGE)
        now = self._clock()
        for labels, resource in self._shown():
            if resource.sampled_at is not None:
                family.add_metric(labels, now - resource.sampled_at)
        return family

    def _infos(self) -> Metric:
        family = _gauge_family(series.RESOURCE_INFO)
        for labels, resource in self._shown():
            if resource.info:
                family.add_metric((*labels, *resource.info), 1.0)
        return family

    def _decisions(self) -> Metric:
        declared = series.DECISIONS
        family = CounterMetricFamily(declared.name, declared.help, labels=declared.labels)
        for labels, resource in self._shown():
            for decision_and_reason, count in tuple(resource.decisions.items()):
                family.add_metric((*labels, *decision_and_reason), count)
        return family

    def _poll_ages(self) -> Metric:
        family = _gauge_family(series.LAST_POLL_AGE)
        now = self._clock()
        for labels, at in tuple(self._polled_at.items()):
            family.add_metric(labels, now - at)
        return family


def _known(value: float | Unknown | None) -> float | None:
    return None if isinstance(value, Unknown) else value


def _gauge(declared: Series, registry: CollectorRegistry) -> Gauge:
    return Gauge(declared.name, declared.help, declared.labels, registry=registry)


def _counter(declared: Series, registry: CollectorRegistry) -> Counter:
    """A counter; those of writes start at a visible 0, so that the first failure and the first success can be rated."""
    counter = Counter(declared.name, declared.help, declared.labels, registry=registry)
    if declared.labels == ("result",):
        counter.labels(DONE)
    return counter


def _gauge_family(declared: Series) -> GaugeMetricFamily:
    return GaugeMetricFamily(declared.name, declared.help, labels=declared.labels)
