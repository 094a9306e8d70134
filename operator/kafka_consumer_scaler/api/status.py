"""The status of a KafkaConsumerScaler: its schema, and how a Verdict becomes one. Unknown values are left out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from kafka_consumer_scaler.api.conditions import conditions_as_status, conditions_by_type, is_timestamp, timestamp
from kafka_consumer_scaler.api.memory import mapping, memory_to_status
from kafka_consumer_scaler.api.parts import Part
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.spec import Int32, Int64
from kafka_consumer_scaler.api.upstream import LEASES_AT_MOST, QuotaLeaseStatus, SafeRateStatus
from kafka_consumer_scaler.core.advice import Advice
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.explain import PARTITIONS_SHOWN, Explanation, PartitionStanding, explain
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.verdict import Abstain, Condition, ConditionType, Measurements, Verdict

TREND_MARGIN: Final = 0.05
"""Arrival and drain that differ by no more than this share of the larger are called steady."""

RATE_SHARE: Final = 0.1
"""Safe rates that differ by no more than this share are the same to producers."""
SENTENCES_AT_MOST: Final = 30
SENTENCE_LONGEST: Final = 1024
NAME_LONGEST: Final = 316
INT64_MAX: Final = 2**63 - 1

DateTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Opaque = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
Whole32 = Annotated[int, Field(json_schema_extra=Int32)]
Whole64 = Annotated[int, Field(json_schema_extra=Int64)]


class Trend(StrEnum):
    """Whether the lag grows: more records arrive than are processed, or fewer, or about as many."""

    GROWING = "Growing"
    SHRINKING = "Shrinking"
    STEADY = "Steady"


class ConditionStatus(Part):
    """One aspect of the resource's state."""

    type: Annotated[str, Field(max_length=316)]
    """Ready, MetricsAvailable, AbleToScale, ScalingLimited, or the name of a finding while it lasts."""
    status: Literal["True", "False", "Unknown"]
    """Whether the condition holds."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one word; the same words as in events and metrics."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, in one sentence."""
    observed_generation: Whole64 | None = None
    """The `metadata.generation` that the condition speaks of."""
    last_transition_time: DateTime
    """When `status` last changed."""


class Lag(Part):
    """How far the group is behind."""

    records: Whole64 | None = None
    """Records not yet processed, over all partitions that count."""
    seconds: float | None = None
    """Age of the oldest record not yet processed."""
    trend: str | None = None
    """Growing, Shrinking or Steady: more records arrive than are processed, or fewer, or about as many."""


class RatesStatus(Part):
    """Rates in records per second."""

    arrival: float | None = None
    """Records produced."""
    drain: float | None = None
    """Records processed."""
    capacity_per_consumer: float | None = None
    """Records that one consumer can process; known once all consumers were seen busy."""


Sentences = Annotated[
    list[Annotated[str, Field(max_length=SENTENCE_LONGEST)]], Field(max_length=SENTENCES_AT_MOST)
]


class PartitionStatus(Part):
    """Where one partition stands."""

    partition: Annotated[str, Field(max_length=NAME_LONGEST)]
    """Topic and number, such as `orders/3`."""
    lag: Whole64 | None = None
    """Records not yet processed."""
    seconds: float | None = None
    """Age of the oldest record that waits."""
    arrival: float | None = None
    """Records produced per second."""
    note: Annotated[str, Field(max_length=64)] | None = None
    """`hot`: more arrives than one consumer can do; `stuck`: its committed offset does not move."""


class AdviceStatus(Part):
    """What could be changed outside of the operator."""

    about: Annotated[str, Field(max_length=SENTENCE_LONGEST)]
    """The setting or the part it is about."""
    evidence: Annotated[str, Field(max_length=SENTENCE_LONGEST)] | None = None
    """The measurements it rests on."""
    remedy: Annotated[str, Field(max_length=SENTENCE_LONGEST)] | None = None
    """What to do."""
    gain: Annotated[str, Field(max_length=SENTENCE_LONGEST)] | None = None
    """What it brings at best."""


class ExplanationStatus(Part):
    """The last decision in prose."""

    why: Sentences | None = None
    """What is so, and why it was decided."""
    limits: Sentences | None = None
    """Each limit that bound, and whose setting it is."""
    upstream: Sentences | None = None
    """What producers are held to, and why."""
    otherwise: Sentences | None = None
    """What would have to change for another decision."""
    partitions: Annotated[list[PartitionStatus], Field(max_length=PARTITIONS_SHOWN)] | None = None
    """The partitions with most lag, and those that more consumers cannot help."""
    advice: Annotated[list[AdviceStatus], Field(max_length=SENTENCES_AT_MOST)] | None = None
    """What could be changed in consumers, topics and producers, with its evidence."""


class Status(Part):
    """What was seen and decided. Values that are not known are left out."""

    # No enum but that of the conditions' status: a CRD older than the operator must not refuse a new word.

    observed_generation: Whole64 | None = None
    """The `metadata.generation` that the status speaks of."""
    conditions: list[ConditionStatus] | None = Field(
        default=None, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    )
    """Ready, MetricsAvailable, AbleToScale and ScalingLimited, and the findings that last."""
    current_replicas: Whole32 | None = None
    """Replicas the workload asks for, as last seen."""
    desired_replicas: Whole32 | None = None
    """Replicas last decided on, after all limits and windows."""
    partitions: Whole32 | None = None
    """Partitions that count."""
    lag: Lag | None = None
    """How far the group is behind."""
    rates: RatesStatus | None = None
    """Rates in records per second."""
    backlog: str | None = None
    """State of the backlog: CaughtUp, Draining, Behind (not shrinking), Stalled, Rewound or Unknown."""
    last_scale_time: DateTime | None = None
    """When replicas were last changed by this resource."""
    last_decision: str | None = None
    """The last decision in one sentence, with its numbers and its trail."""
    safe_rate: SafeRateStatus | None = None
    """What the group sustains, for producers and gateways that can hold back. Told with `spec.backpressure` only."""
    quota_leases: Annotated[list[QuotaLeaseStatus], Field(max_length=LEASES_AT_MOST)] | None = None
    """The quotas of producers that are set now, each with what it was before."""
    explanation: ExplanationStatus | None = None
    """The last decision in prose: why, what bound it, what would change it, and advice."""
    memory: str | None = None
    """What outlives a restart of the operator, as JSON; private to it."""


def status_of(verdict: Verdict, generation: int, previous: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The status that a verdict makes, but for its explanation.

    Args:
        verdict: with the memory that is to be saved.
        generation: the `metadata.generation` that was judged.
        previous: the status before, for times that stay.
        now: seconds since the epoch.
    """
    measured = verdict.measurements
    decision = verdict.decision
    return _without_unknown(
        {
            "observedGeneration": generation,
            "conditions": conditions_as_status(verdict.conditions, generation, previous, now),
            "currentReplicas": measured.replicas_current,
            "desiredReplicas": None if isinstance(decision, Abstain) else decision.replicas,
            "partitions": measured.partitions,
            "lag": _lag(measured),
            "rates": _rates(measured),
            "backlog": verdict.backlog.value,
            "lastScaleTime": _last_scale_time(verdict, previous),
            "lastDecision": one_line(verdict.message),
            "memory": memory_to_status(verdict.memory),
        }
    )


def safe_rate_as_status(safe_rate: SafeRate | Unknown, valid_until: float) -> dict[str, Any]:
    """The status' part that tells the safe rate until a time (seconds since the epoch); empty when it is not known."""
    if isinstance(safe_rate, Unknown):
        return {}
    return {"safeRate": _without_unknown({
        "recordsPerSecond": _rounded(safe_rate.records),
        "bytesPerSecond": _rounded(safe_rate.bytes),
        "sustainedRecordsPerSecond": _rounded(safe_rate.sustained),
        "replicas": safe_rate.replicas,
        "reason": one_line(safe_rate.because),
        "isLowerBound": not safe_rate.is_learned,
        "validUntil": timestamp(valid_until),
    })}


def explained(status: Mapping[str, Any], policy: Policy, verdict: Verdict) -> dict[str, Any]:
    """The status with the explanation of its verdict: prose that is made only where it is read."""
    return {**status, "explanation": explanation_as_status(explain(policy, verdict))}


def explanation_as_status(explanation: Explanation) -> dict[str, Any]:
    """The explanation as it stands in the status: bounded, on single lines, without what is unknown or empty."""
    return _without_empty({
        "why": _sentences(explanation.why),
        "limits": _sentences(explanation.limits),
        "upstream": _sentences(explanation.upstream),
        "otherwise": _sentences(explanation.otherwise),
        "partitions": [_partition(each) for each in explanation.partitions[:PARTITIONS_SHOWN]],
        "advice": [_advice(each) for each in explanation.advice[:SENTENCES_AT_MOST]],
    })


def status_of_invalid(message: str, generation: int, previous: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The status of a resource whose spec cannot be used; memory and the last change stay for when it can."""
    ready = Condition(ConditionType.READY, False, Reason.INVALID_SPEC, message)
    others = [
        Condition(kind, None, Reason.INVALID_SPEC, "the spec cannot be used")
        for kind in ConditionType
        if kind is not ConditionType.READY
    ]
    memory = previous.get("memory")
    before = previous.get("lastScaleTime")
    return {
        "observedGeneration": generation,
        "conditions": conditions_as_status([ready, *others], generation, previous, now),
        "backlog": Backlog.UNKNOWN.value,
        "lastDecision": one_line(f"Nothing is changed: {message}"),
    } | _without_unknown(
        {
            "lastScaleTime": before if is_timestamp(before) else None,
            "memory": memory if isinstance(memory, str) else None,
        }
    )


def same_meaning(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two statuses differ in nothing but numbers of lag and rates, wording, explanation and memory."""
    return _meaning(one) == _meaning(other)


def is_another_rate(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether producers should hear of it soon: only one has a safe rate, or is a lower bound, or they differ much."""
    before, after = mapping(one.get("safeRate")), mapping(other.get("safeRate"))
    if before.get("isLowerBound") != after.get("isLowerBound"):
        return True
    told, rate = before.get("recordsPerSecond", 0.0), after.get("recordsPerSecond", 0.0)
    return not isinstance(told, int | float) or abs(rate - told) > RATE_SHARE * told


def _meaning(status: Mapping[str, Any]) -> dict[str, Any]:
    same = ("observedGeneration", "currentReplicas", "desiredReplicas", "partitions", "backlog", "lastScaleTime",
            "quotaLeases")
    conditions = conditions_by_type(mapping(status))
    return {name: mapping(status).get(name) for name in same} | {
        "conditions": {kind: (each.get("status"), each.get("reason")) for kind, each in conditions.items()}
    }


def _without_unknown(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not (value is None or isinstance(value, Unknown))}


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _without_unknown(values).items() if value not in ("", [])}


def _sentences(sentences: tuple[str, ...]) -> list[str]:
    return [one_line(sentence, SENTENCE_LONGEST) for sentence in sentences[:SENTENCES_AT_MOST]]


def _partition(standing: PartitionStanding) -> dict[str, Any]:
    return _without_empty({
        "partition": one_line(str(standing.partition), NAME_LONGEST),
        "lag": _whole64(standing.lag),
        "seconds": _rounded(standing.seconds),
        "arrival": _rounded(standing.arrival),
        "note": standing.note,
    })


def _advice(advice: Advice) -> dict[str, Any]:
    words = {"about": advice.about, "evidence": advice.evidence, "remedy": advice.remedy, "gain": advice.gain}
    return _without_empty({name: one_line(text, SENTENCE_LONGEST) for name, text in words.items()})


def _lag(measured: Measurements) -> dict[str, Any] | None:
    lag = {
        "records": _whole64(measured.lag_records),
        "seconds": _rounded(measured.lag_seconds),
        "trend": _trend(measured.arrival, measured.drain),
    }
    return _without_unknown(lag) or None


def _rates(measured: Measurements) -> dict[str, Any] | None:
    rates = {
        "arrival": _rounded(measured.arrival),
        "drain": _rounded(measured.drain),
        "capacityPerConsumer": _rounded(measured.capacity_per_consumer),
    }
    return _without_unknown(rates) or None


def _whole64(number: int | Unknown) -> int | None:
    """As much of it as the API server takes: offsets have 63 bits each, and the lag is a sum of them."""
    return None if isinstance(number, Unknown) else min(number, INT64_MAX)


def _trend(arrival: float | Unknown, drain: float | Unknown) -> str | None:
    if isinstance(arrival, Unknown) or isinstance(drain, Unknown):
        return None
    if abs(arrival - drain) <= TREND_MARGIN * max(arrival, drain):
        return Trend.STEADY.value
    return (Trend.GROWING if arrival > drain else Trend.SHRINKING).value


def _rounded(number: float | Unknown) -> float | int | None:
    """Whole numbers from 100 (kubectl prints 1234567.8 as 1.2345678e+06), one decimal from 1, two digits below."""
    if isinstance(number, Unknown):
        return None
    if number >= 100:
        return round(number)
    short = round(number, 1) if number >= 1 else float(f"{number:.2g}")
    return int(short) if short.is_integer() else short


def _last_scale_time(verdict: Verdict, previous: Mapping[str, Any]) -> str | None:
    last, before = verdict.memory.last_scale, previous.get("lastScaleTime")
    if last is not None:
        return timestamp(last.at)
    return before if is_timestamp(before) else None
