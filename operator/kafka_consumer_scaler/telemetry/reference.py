"""docs/reference/metrics.md, written from the declarations: `python -m kafka_consumer_scaler.telemetry.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.verdict import ConditionType
from kafka_consumer_scaler.telemetry import series
from kafka_consumer_scaler.telemetry.lag import OTHERS, SHOWN_AT_MOST
from kafka_consumer_scaler.telemetry.series import PREFIX, Series

INTRODUCTION = """\
# Metrics

Served at `/metrics` in Prometheus' text format. A value that is unknown is absent: it is never 0 and never NaN, so
`absent()` and gaps in a graph mean what they say. The series of a deleted resource go at once.

This page is written from `operator/kafka_consumer_scaler/telemetry/series.py` by
`python -m kafka_consumer_scaler.telemetry.reference > docs/reference/metrics.md`.
"""

CARDINALITY = """\
## How many series

Each KafkaConsumerScaler has at most {gauges} gauges, the age of its sample, one information series, {states} backlog
states, {conditions} conditions and one counter for each pair of decision and reason it ever met (some ten in practice),
and {of_topic} series for each topic of its group: about {total} with one topic. A finding is one series while it lasts,
and, unless it is a bound, one condition. There is no 0 for the findings that are not there: they would be a dozen more
series that hardly ever change.

`consumergroup_lag` and `consumergroup_lag_seconds` are told for each topic. With `--metrics-per-partition`
(`KCS_METRICS_PER_PARTITION`, the chart's `metrics.perPartition`) they are told for each partition, with the label
`partition`, instead: two series for each partition. Sum the records and take the largest age, as
`sum by (consumergroup, topic)` and `max by (consumergroup, topic)`, and a query is right either way.

No resource has more than {shown} topics or partitions of its own there: those beyond, in the order of their names and
numbers, are one more series with topic (and partition) `{others}`: the sum of their records, the age of the oldest.
`topic_record_bytes` leaves out the topics beyond.

The workload is a label of `{info}` only, and the group of this and `consumergroup_lag*`, so
renaming them starts no other series anew. Each connection to a Kafka cluster adds {cluster} series, and one
for each reason its polls failed. Reasons and findings are fixed lists. No label holds a member, a client or a message.
"""

QUERIES = """\
## Queries to begin with

| question | query |
|---|---|
| which groups miss their objective? | `{prefix}group_lag_seconds > {prefix}objective_lag_seconds` |
| which groups have no usable sample for 5 minutes? | `{prefix}sample_age_seconds > 300` |
| which would need more than they may have? | `{prefix}replicas_wanted > {prefix}replicas_allowed` |
| which resources are not ready? | `{prefix}condition{{type="Ready"}} == 0` |
| lag by consumer group and topic | `sum by (consumergroup, topic) ({prefix}consumergroup_lag)` |
| age by consumer group and topic | `max by (consumergroup, topic) ({prefix}consumergroup_lag_seconds)` |
| what was found, now | `{prefix}finding == 1` |
| another number by consumer group | `{prefix}group_members * on (namespace, name) group_left (consumer_group) {join}` |
| is a Kafka cluster not polled any more? | `{prefix}last_poll_age_seconds > 60` |
"""


def reference() -> str:
    """The page."""
    parts = [
        INTRODUCTION,
        _table("For each KafkaConsumerScaler", series.OF_RESOURCES),
        _table("Of the operator", series.OF_THE_OPERATOR),
        "Besides, `process_*` and `python_gc_*` of the operator's own process.\n",
        _cardinality(),
        QUERIES.format(prefix=PREFIX, join=series.RESOURCE_INFO.name),
    ]
    return "\n".join(parts)


def _table(title: str, declared: Iterable[Series]) -> str:
    rows = [f"| `{one.name}` | {one.type} | {_labels(one)} | {one.help} |" for one in declared]
    return "\n".join([f"## {title}\n", "| name | type | labels | meaning |", "|---|---|---|---|", *rows, ""])


def _labels(declared: Series) -> str:
    always = ", ".join(f"`{label}`" for label in declared.labels)
    return always + "".join(f"; on demand `{label}`" for label in declared.labels_on_demand)


def _cardinality() -> str:
    gauges, states, conditions = len(series.RESOURCE_GAUGES), len(Backlog), len(ConditionType)
    of_topic = len((series.CONSUMERGROUP_LAG, series.CONSUMERGROUP_LAG_SECONDS, series.TOPIC_RECORD_BYTES))
    buckets_sum_count_age = len(series.POLL_BUCKETS_SECONDS) + 1 + 2 + 1
    return CARDINALITY.format(
        gauges=gauges,
        states=states,
        conditions=conditions,
        of_topic=of_topic,
        total=gauges + 2 + states + conditions + 10 + of_topic,
        shown=f"{SHOWN_AT_MOST:,}",
        others=OTHERS,
        info=series.RESOURCE_INFO.name,
        cluster=buckets_sum_count_age,
    )


if __name__ == "__main__":
    sys.stdout.write(reference())
