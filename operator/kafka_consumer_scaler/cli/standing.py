"""How a KafkaConsumerScaler stands, as one plain object: what `explain` prints as JSON, and shows as text and HTML.

It is made of a resource as the API server has it, in whatever condition. What is unknown is left out; all text is on
one line with control characters escaped; times are absolute, so that two looks at the same state are equal but for
`asked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from kafka_consumer_scaler.api.memory import memory_from_status
from kafka_consumer_scaler.api.upstream import leases_from_status
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, KafkaConsumerScaler
from kafka_consumer_scaler.cli.foreign import (
    entries,
    explanation_of,
    known,
    line,
    mapping,
    moment,
    number,
    runbook_of,
    whole,
)
from kafka_consumer_scaler.cli.hints import hints_of
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import ConditionType

EVENTS_SHOWN: Final = 8
GENERAL: Final = frozenset(kind.value for kind in ConditionType)


def standing_of(body: Mapping[str, Any], replicas: Replicas | Unknown, events: list[Any] | Unknown,
                asked: datetime) -> dict[str, Any]:
    """The object, with the keys that docs/explain.md tells of; events are in the form of core/v1 and in no order."""
    status, metadata, wanted = mapping(body.get("status")), mapping(body.get("metadata")), _parsed(body)
    conditions = _conditions(status)
    found = {
        "namespace": line(metadata.get("namespace")),
        "name": line(metadata.get("name")),
        "asked": _text(asked),
        "written": _text(written_at(metadata)),
        **_wanted(wanted, mapping(body.get("spec"))),
        "backlog": line(status.get("backlog")),
        "lag": _lag(mapping(status.get("lag"))),
        "rates": _numbers(mapping(status.get("rates")), "arrival", "drain", "capacityPerConsumer"),
        "partitions": whole(status.get("partitions")),
        "replicas": _replicas(body, replicas),
        "decision": line(status.get("lastDecision")),
        "scaled": _text(moment(status.get("lastScaleTime"))),
        "safeRate": _safe_rate(mapping(status.get("safeRate"))),
        "throttle": _throttle(status, wanted, asked),
        "explanation": explanation_of(status.get("explanation")),
        "findings": [_finding(each) for each in conditions if each["type"] not in GENERAL and each["status"] == "True"],
        "conditions": [each for each in conditions if each["type"] in GENERAL],
        "events": [] if isinstance(events, Unknown) else _events(events),
    }
    problem = line(str(wanted)) if isinstance(wanted, InvalidSpec) else ""
    return known(found | {"hints": hints_of(body, found, problem, replicas, events, asked)})


def written_at(metadata: Mapping[str, Any]) -> datetime | None:
    """When the status was last written with other values than before, as the API server keeps books of it."""
    managed = [mapping(each) for each in entries(metadata.get("managedFields"))]
    times = [moment(each.get("time")) for each in managed if each.get("subresource") == "status"]
    return max((time for time in times if time), default=None)


def _parsed(body: Mapping[str, Any]) -> KafkaConsumerScaler | InvalidSpec:
    try:
        return KafkaConsumerScaler.parse(body)
    except InvalidSpec as problem:
        return problem


def _wanted(resource: KafkaConsumerScaler | InvalidSpec, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the spec says, with its defaults; of a spec that cannot be used, as much as can be read."""
    if isinstance(resource, InvalidSpec):
        return {"group": line(spec.get("consumerGroup"))}
    policy, target = resource.policy(), resource.spec.scale_target_ref
    per_replica = policy.lag_per_replica
    return {
        "group": line(resource.spec.consumer_group),
        "target": line(f"{target.kind}/{target.name}"),
        "mode": policy.mode.value,
        "paused": policy.paused,
        "objective": {"lagPerReplica": per_replica} if per_replica else {"lagSeconds": policy.lag_seconds},
    }


def _lag(lag: Mapping[str, Any]) -> dict[str, Any]:
    return known(_numbers(lag, "records", "seconds") | {"trend": line(lag.get("trend"))})


def _numbers(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return known({name: number(values.get(name)) for name in names})


def _replicas(body: Mapping[str, Any], seen: Replicas | Unknown) -> dict[str, Any]:
    """`current` and `existing` as just read, else as the operator saw them; `desired` as it decided."""
    status, spec = mapping(body.get("status")), mapping(body.get("spec"))
    now = seen if isinstance(seen, Replicas) else None
    return known({
        "current": now.spec if now else whole(status.get("currentReplicas")),
        "existing": now.existing if now else None,
        "desired": whole(status.get("desiredReplicas")),
        "minimum": whole(spec.get("minReplicas", 1)),
        "maximum": whole(spec.get("maxReplicas")),
    })


def _safe_rate(safe: Mapping[str, Any]) -> dict[str, Any]:
    """What producers may send, and what is sustained once nothing waits, in records/s, with how many replicas."""
    return known({
        "records": number(safe.get("recordsPerSecond")),
        "sustained": number(safe.get("sustainedRecordsPerSecond")),
        "replicas": whole(safe.get("replicas")),
        "isLowerBound": True if safe.get("isLowerBound") is True else None,
    })


def _throttle(status: Mapping[str, Any], wanted: KafkaConsumerScaler | InvalidSpec, asked: datetime) -> dict[str, Any]:
    """What producers are held to, as the operator remembers it; `isSet` once brokers were told by a lease."""
    held = memory_from_status(status, asked.timestamp()).throttling
    if held is None or held.record_bytes <= 0:
        return {}
    quotas = () if isinstance(wanted, InvalidSpec) else wanted.policy().quotas
    return known({
        "records": number(held.rate / held.record_bytes),
        "bytes": held.rate,
        "floorBytes": sum(quota.min_bytes_per_second for quota in quotas) if quotas else None,
        "demand": held.demand,
        "isSet": bool(leases_from_status(status)),
        "since": _text(datetime.fromtimestamp(held.since, UTC)),
    })


def _conditions(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [_condition(mapping(each)) for each in entries(status.get("conditions"))]
    return [each for each in found if "type" in each and "status" in each]


def _condition(given: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: line(given.get(name)) for name in ("type", "status", "reason", "message")}
    return known(texts | {"since": _text(moment(given.get("lastTransitionTime")))})


def _finding(condition: Mapping[str, Any]) -> dict[str, Any]:
    """A finding's message is `evidence; remedy`, and a remedy may have a second part behind another `; `."""
    evidence, _, remedy = str(condition.get("message", "")).partition("; ")
    return known({"name": condition["type"], "evidence": evidence, "remedy": remedy,
                  "since": condition.get("since"), "runbook": runbook_of(condition["type"])})


def _events(events: list[Any]) -> list[dict[str, Any]]:
    """The latest, newest first."""
    found = [_event(mapping(each)) for each in events]
    dated = [each for each in found if "at" in each and "note" in each]
    return sorted(dated, key=lambda each: str(each["at"]), reverse=True)[:EVENTS_SHOWN]


def _event(given: Mapping[str, Any]) -> dict[str, Any]:
    series = mapping(given.get("series"))
    times = [moment(value) for value in (series.get("lastObservedTime"), given.get("lastTimestamp"),
                                         given.get("eventTime"), given.get("firstTimestamp"))]
    return known({
        "at": _text(next((time for time in times if time), None)),
        "type": line(given.get("type")),
        "reason": line(given.get("reason")),
        "note": line(given.get("message")),
        "count": whole(series.get("count")) or whole(given.get("count")),
    })


def _text(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
