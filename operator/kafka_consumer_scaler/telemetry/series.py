"""Every series, declared once: what the operator exposes and what docs/reference/metrics.md says are read from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.verdict import Verdict

PREFIX = "kafka_consumer_scaler_"
RESOURCE = ("namespace", "name")
CONSUMERGROUP_TOPIC = (*RESOURCE, "consumergroup", "topic")
PARTITION = "partition"
"""Its value is a label only where the operator was asked for it."""
POLL_BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class SeriesType(StrEnum):
    """Prometheus' types."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric. A counter's `_total` is part of its name. `labels_on_demand` are there only where asked for."""

    short_name: str
    type: SeriesType
    labels: tuple[str, ...]
    help: str
    labels_on_demand: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PREFIX + self.short_name


Value = Callable[[Verdict, Policy], float | Unknown | None]


@dataclass(frozen=True, slots=True)
class ResourceGauge:
    """A gauge of each KafkaConsumerScaler, read off its newest verdict; absent while the value is unknown."""

    series: Series
    value: Value


def _gauge(short_name: str, value: Value, text: str) -> ResourceGauge:
    return ResourceGauge(Series(short_name, SeriesType.GAUGE, RESOURCE, text), value)


def arrival_bytes_per_second(situation: Situation) -> float | Unknown:
    """Stored bytes per second: 10 records/s of 200 bytes and 5 of 1,000 are 7,000; Unknown if one topic's size is."""
    arrival, sizes = situation.rates.arrival, situation.details.record_bytes
    if isinstance(arrival, Unknown):
        return arrival
    shares = {tp: share for tp, share in situation.shares.items() if share > 0 and arrival.average > 0}
    missing = sorted({tp.topic for tp in shares} - sizes.keys())
    if missing:
        return Unknown(f"the size of {missing[0]}'s records is not known")
    return arrival.average * sum(share * sizes[tp.topic] for tp, share in shares.items())


def _of_situation(value: Callable[[Situation], float | Unknown]) -> Value:
    """Read off what was known, if enough was."""
    return lambda v, _: v.situation if isinstance(v.situation, Unknown) else value(v.situation)


def _of_safe_rate(value: Callable[[SafeRate], float | Unknown]) -> Value:
    """Read off the safe rate, if there is one."""
    return lambda v, _: v.safe_rate if isinstance(v.safe_rate, Unknown) else value(v.safe_rate)


RESOURCE_GAUGES = (
    _gauge("group_lag_records", lambda v, _: v.measurements.lag_records, "Records the group has not yet processed."),
    _gauge("group_lag_seconds", lambda v, _: v.measurements.lag_seconds, "Age of the oldest unprocessed record."),
    _gauge("group_arrival_records_per_second", lambda v, _: v.measurements.arrival, "Records produced per second."),
    _gauge("group_drain_records_per_second", lambda v, _: v.measurements.drain, "Records processed per second."),
    _gauge(
        "consumer_capacity_records_per_second",
        lambda v, _: v.measurements.capacity_per_consumer,
        "Records per second that one busy consumer was seen to process.",
    ),
    _gauge(
        "group_arrival_bytes_per_second",
        _of_situation(arrival_bytes_per_second),
        "Bytes produced per second, as they are stored.",
    ),
    _gauge("group_commit_interval_seconds", _of_situation(lambda s: s.commit_interval), "Time between two commits."),
    _gauge(
        "group_lost_records",
        _of_situation(lambda s: s.lost_records),
        "Records that were deleted before the group processed them, at least: log starts beyond committed offsets.",
    ),
    _gauge("group_members", _of_situation(lambda s: s.members), "Members of the group."),
    _gauge("group_partitions", lambda v, _: v.measurements.partitions, "Partitions the group consumes."),
    _gauge(
        "useful_replicas",
        lambda v, _: v.measurements.useful_replicas,
        "Replicas beyond which a further one would get no partition.",
    ),
    _gauge("replicas_current", lambda v, _: v.measurements.replicas_current, "Replicas the target is set to."),
    _gauge("replicas_wanted", lambda v, _: v.measurements.replicas_wanted, "Replicas the lag asks for, before limits."),
    _gauge("replicas_allowed", lambda v, _: v.measurements.replicas_allowed, "Replicas wanted, after all limits."),
    _gauge(
        "safe_rate_records_per_second",
        _of_safe_rate(lambda safe: safe.records),
        "Records per second that may arrive for the group to get, and stay, under its objective with all useful "
        "replicas; at least, while its capacity is not learned.",
    ),
    _gauge(
        "safe_rate_bytes_per_second", _of_safe_rate(lambda safe: safe.bytes), "The same in bytes, as they are stored."
    ),
    _gauge(
        "throttle_bytes_per_second",
        lambda v, _: v.throttle.bytes_per_second if v.throttle else 0.0,
        "Bytes per second that producers are to be held to, over all brokers; 0 while they are not. Of a resource that "
        "only advises: what they would be.",
    ),
    _gauge("replicas_min", lambda _, p: p.min_replicas, "spec.minReplicas."),
    _gauge("replicas_max", lambda _, p: p.max_replicas, "spec.maxReplicas."),
    _gauge("objective_lag_seconds", lambda _, p: p.lag_seconds, "spec.target.lagSeconds."),
    _gauge("polling_interval_seconds", lambda _, p: p.polling_interval_seconds, "spec.pollingIntervalSeconds."),
)

CONSUMERGROUP_LAG = Series(
    "consumergroup_lag",
    SeriesType.GAUGE,
    CONSUMERGROUP_TOPIC,
    "Records the group has not yet processed, of a topic or partition.",
    (PARTITION,),
)
CONSUMERGROUP_LAG_SECONDS = Series(
    "consumergroup_lag_seconds",
    SeriesType.GAUGE,
    CONSUMERGROUP_TOPIC,
    "Age of the oldest record that waits, of a topic or partition; records that were probably processed since the last "
    "commit do not count.",
    (PARTITION,),
)
TOPIC_RECORD_BYTES = Series(
    "topic_record_bytes", SeriesType.GAUGE, (*RESOURCE, "topic"), "Mean bytes of a topic's record, as it is stored."
)
FINDING = Series(
    "finding", SeriesType.GAUGE, (*RESOURCE, "finding"), "1 while the finding lasts, absent otherwise."
)

BACKLOG_STATE = Series(
    "backlog_state", SeriesType.GAUGE, (*RESOURCE, "state"), "1 for the present state of the backlog, 0 for the others."
)
CONDITION = Series(
    "condition",
    SeriesType.GAUGE,
    (*RESOURCE, "type"),
    "1 while the condition is True, 0 while False, absent if Unknown.",
)
SAMPLE_AGE = Series(
    "sample_age_seconds", SeriesType.GAUGE, RESOURCE, "Time since the group's lag was last known whole."
)
RESOURCE_INFO = Series(
    "resource_info", SeriesType.GAUGE, (*RESOURCE, "consumer_group", "target"), "Always 1: the group and the workload."
)
DECISIONS = Series(
    "decisions_total",
    SeriesType.COUNTER,
    (*RESOURCE, "decision", "reason"),
    "Decisions, one for each poll of the group.",
)
LEADER = Series("leader", SeriesType.GAUGE, (), "1 while this operator may scale, 0 while another one does or may.")
LEASE_TRANSITIONS = Series(
    "lease_transitions", SeriesType.GAUGE, (), "Times the Lease was acquired, as it says itself; 0 without an election."
)
RESOURCES = Series("resources", SeriesType.GAUGE, (), "KafkaConsumerScalers the operator looks after.")
OF_A_CONNECTION = ("cluster", "connection")
"""The address, and the name of the connection or of the first resource that is on it."""
POLL_SECONDS = Series(
    "poll_seconds", SeriesType.HISTOGRAM, OF_A_CONNECTION,
    "Duration of one poll of a Kafka cluster, for all its groups.",
)
POLL_ERRORS = Series(
    "poll_errors_total", SeriesType.COUNTER, (*OF_A_CONNECTION, "reason"),
    "Polls of a Kafka cluster that failed, by reason.",
)
POLL_STRETCH = Series(
    "poll_stretch", SeriesType.GAUGE, OF_A_CONNECTION,
    "Polling intervals between two polls of a Kafka cluster: above 1 while its brokers answer slowly.",
)
LAST_POLL_AGE = Series(
    "last_poll_age_seconds", SeriesType.GAUGE, OF_A_CONNECTION, "Time since the last poll of a Kafka cluster ended."
)
POLLING_PROCESS_RESTARTS = Series(
    "polling_process_restarts_total", SeriesType.COUNTER, (),
    "Times the process that asks Kafka was started again, having died or having been killed.",
)
POLLING_PROCESS_RECYCLES = Series(
    "polling_process_recycles_total", SeriesType.COUNTER, (),
    "Times the process that asks Kafka was replaced in order, since its memory had grown.",
)
SCALE_WRITES = Series(
    "scale_writes_total", SeriesType.COUNTER, ("result",), "Writes of a scale: `done`, or the reason of the failure."
)
STATUS_WRITES = Series(
    "status_writes_total", SeriesType.COUNTER, ("result",), "Writes of a status: `done`, or the reason of the failure."
)
EVENTS = Series("events_total", SeriesType.COUNTER, ("reason",), "Events told about resources, by reason.")
EVENTS_WAITING = Series("events_waiting", SeriesType.GAUGE, (), "Events that wait for the API server to come back.")

OF_RESOURCES = (
    *(gauge.series for gauge in RESOURCE_GAUGES),
    CONSUMERGROUP_LAG,
    CONSUMERGROUP_LAG_SECONDS,
    TOPIC_RECORD_BYTES,
    BACKLOG_STATE,
    FINDING,
    CONDITION,
    SAMPLE_AGE,
    RESOURCE_INFO,
    DECISIONS,
)
OF_THE_OPERATOR = (
    LEADER,
    LEASE_TRANSITIONS,
    RESOURCES,
    POLL_SECONDS,
    POLL_ERRORS,
    POLL_STRETCH,
    LAST_POLL_AGE,
    POLLING_PROCESS_RESTARTS,
    POLLING_PROCESS_RECYCLES,
    SCALE_WRITES,
    STATUS_WRITES,
    EVENTS,
    EVENTS_WAITING,
)
ALL = (*OF_RESOURCES, *OF_THE_OPERATOR)
