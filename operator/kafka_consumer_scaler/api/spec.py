"""The spec of a KafkaConsumerScaler. The CRD and the reference page are generated from these models.

Defaults come from core/policy.py, bounds and rules are here. No reference has a namespace: a resource speaks only of
workloads and secrets of its own namespace.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

import re2
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kafka_consumer_scaler.api.parts import Part, text
from kafka_consumer_scaler.api.reaching import Kafka
from kafka_consumer_scaler.api.rules import Rule, TextRule, schema_of
from kafka_consumer_scaler.core.policy import (
    DEFAULT_SCALE_DOWN,
    DEFAULT_SCALE_UP,
    Fallback,
    FallbackBehavior,
    IsolationLevel,
    Mode,
    OffsetReset,
    Policy,
    ProducerQuota,
    ScalingRules,
    SelectPolicy,
    StepPolicy,
    StepUnit,
)

MAX_REPLICAS: Final = 10_000
MAX_RECORDS: Final = 10**12
MAX_CHANGES: Final = 1000
"""Times of so many changes are kept in the status for each direction."""
WEEK_SECONDS: Final = 7 * 24 * 3600
_DEFAULT: Final = Policy(max_replicas=1)

_MIN_LE_MAX = Rule(
    "self.minReplicas <= self.maxReplicas", "spec.minReplicas must not be greater than spec.maxReplicas", "minReplicas"
)
_ONE_CHOICE_OF_TOPICS = Rule(
    "!(has(self.topics) && has(self.topicPattern))",
    "only one of spec.topics and spec.topicPattern may be set",
    "topicPattern",
)
_FALLBACK_WITHIN_BOUNDS = Rule(
    "!has(self.fallback) || (self.minReplicas <= self.fallback.replicas && self.fallback.replicas <= self.maxReplicas)",
    "spec.fallback.replicas must be between spec.minReplicas and spec.maxReplicas",
    "fallback.replicas",
)
_HOUR_WITHIN_DAY = Rule(
    "!has(self.maxChangesPerHour) || !has(self.maxChangesPerDay) || self.maxChangesPerHour <= self.maxChangesPerDay",
    "maxChangesPerHour of spec.behavior must not be greater than maxChangesPerDay of the same direction",
    "maxChangesPerHour",
)
_ACTIVATION_FROM_ZERO = Rule(
    "self.target.activationLag == 0 || self.minReplicas == 0",
    "spec.target.activationLag counts only at zero replicas: set spec.minReplicas to 0, or leave it out",
    "target.activationLag",
)
_REGULAR_EXPRESSION = Rule(
    '"".matches(self) || !"".matches(self)', "spec.topicPattern must be a regular expression in RE2's syntax"
)
_GROUP_AND_VERSION = TextRule(
    "[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/v[0-9]+(?:(?:alpha|beta)[0-9]+)?",
    "spec.scaleTargetRef.apiVersion must be group/version, such as apps/v1",
)
_KIND = TextRule("[A-Z][A-Za-z0-9]*", "spec.scaleTargetRef.kind must be a kind, such as Deployment")
_OBJECT_NAME = TextRule(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*",
    "spec.scaleTargetRef.name must be an object's name in the same namespace: lower case letters, digits, '-' or '.'",
)
_ONE_KIND_OF_PRODUCER = Rule(
    "has(self.clientId) != has(self.user)", "an entry of spec.backpressure.quotas names either clientId or user"
)
_QUOTAS_ONCE = Rule(
    "!has(self.quotas) || self.quotas.all(one, self.quotas.exists_one(other, has(one.clientId) == has(other.clientId) "
    "&& (has(one.clientId) ? one.clientId == other.clientId : one.user == other.user)))",
    "spec.backpressure.quotas must not name a client id or a user twice",
    "quotas",
)
_TOPIC = TextRule(r"[A-Za-z0-9._-]+", "a topic's name is made of letters, digits, '.', '_' and '-'")
_PRODUCER = TextRule(
    r"[\x00-\x1f\x7f-\x9f]", "a client id or a user must not contain control characters", forbidden=True
)
_CONTROL = TextRule(r"[\x00-\x1f\x7f-\x9f]", "spec.consumerGroup must not contain control characters", forbidden=True)


def _compiles(pattern: str) -> str:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as error:
        message = f"{_REGULAR_EXPRESSION.message}: {error.args[0].decode(errors='replace')}"
        raise PydanticCustomError("rule", "{message}", {"message": message}) from None
    return pattern


Int32: Final = {"format": "int32"}
Int64: Final = {"format": "int64"}
Replicas = Annotated[int, Field(ge=0, le=MAX_REPLICAS, json_schema_extra=Int32)]
Seconds = Annotated[float, Field(ge=1, le=WEEK_SECONDS)]
Records = Annotated[int, Field(ge=0, le=MAX_RECORDS, json_schema_extra=Int64)]
Changes = Annotated[int, Field(ge=1, le=MAX_CHANGES, json_schema_extra=Int32)]
WindowSeconds = Annotated[int, Field(ge=0, le=3600, json_schema_extra=Int32)]
Topic = Annotated[str, text(249, _TOPIC), AfterValidator(_TOPIC.require)]


class ScaleTargetRef(Part):
    """The workload to scale, in the resource's own namespace: anything that has the scale subresource."""

    api_version: Annotated[str, text(317, _GROUP_AND_VERSION), AfterValidator(_GROUP_AND_VERSION.require)] = "apps/v1"
    """API group and version of the workload."""
    kind: Annotated[str, text(63, _KIND), AfterValidator(_KIND.require)] = "Deployment"
    """Kind of the workload: Deployment, StatefulSet, or a custom kind with the scale subresource."""
    name: Annotated[str, text(253, _OBJECT_NAME), AfterValidator(_OBJECT_NAME.require)]
    """Name of the workload."""


class Target(Part):
    """The objective."""

    lag_seconds: Seconds = _DEFAULT.lag_seconds
    """No record waits longer than this many seconds before it is processed."""
    lag_per_replica: Annotated[int, Field(ge=1, le=MAX_RECORDS, json_schema_extra=Int64)] | None = (
        _DEFAULT.lag_per_replica
    )
    """Classic rule instead of `lagSeconds`: records that one replica may be behind (KEDA's lagThreshold)."""
    activation_lag: Records = _DEFAULT.activation_lag
    """At zero replicas, stay there until the group's total lag exceeds this many records. Needs `minReplicas: 0`."""
    utilization: Annotated[float, Field(ge=0.1, le=1)] = _DEFAULT.utilization
    """Share of the consumers' capacity to plan for; lower it to keep spare capacity."""


class Step(Part):
    """A limit to how much may change within a period, as in a HorizontalPodAutoscaler."""

    type: StepUnit
    """Whether `value` counts replicas (Pods) or per cent of the replicas at the start of the period (Percent)."""
    value: Annotated[int, Field(ge=1, le=MAX_REPLICAS, json_schema_extra=Int32)]
    """Replicas, or per cent of them, that may come or go within the period."""
    period_seconds: Annotated[int, Field(ge=1, le=1800, json_schema_extra=Int32)]
    """Length of the period in seconds."""


class _Direction(Part):
    model_config = ConfigDict(json_schema_extra=schema_of(_HOUR_WITHIN_DAY))

    stabilization_window_seconds: WindowSeconds
    cooldown_seconds: WindowSeconds
    tolerance: Annotated[float, Field(ge=0, le=1)] = DEFAULT_SCALE_UP.tolerance
    """Under `lagPerReplica`: share by which lag may differ from its target without a change of replicas."""
    policies: Annotated[tuple[Step, ...], Field(max_length=10)] = ()
    """Limits to the size of a change. Without any, one jump to the wanted number."""
    select_policy: SelectPolicy = DEFAULT_SCALE_UP.select_policy
    """Which policy holds when there are several: the one allowing the most (Max), the least (Min), or none, so that \
replicas never change in this direction (Disabled)."""
    max_changes_per_hour: Changes | None = DEFAULT_SCALE_UP.max_changes_per_hour
    """Most changes in this direction within any 3,600 s. Without it, no limit."""
    max_changes_per_day: Changes | None = DEFAULT_SCALE_UP.max_changes_per_day
    """Most changes in this direction within any 86,400 s. Without it, no limit."""

    @model_validator(mode="after")
    def _allows_no_more_in_an_hour_than_in_a_day(self) -> Self:
        hour, day = self.max_changes_per_hour, self.max_changes_per_day
        _HOUR_WITHIN_DAY.require(hour is None or day is None or hour <= day)
        return self

    def as_rules(self) -> ScalingRules:
        """The same, in the core's words."""
        return ScalingRules(
            stabilization_window_seconds=self.stabilization_window_seconds,
            cooldown_seconds=self.cooldown_seconds,
            tolerance=self.tolerance,
            policies=tuple(StepPolicy(step.type, step.value, step.period_seconds) for step in self.policies),
            select_policy=self.select_policy,
            max_changes_per_hour=self.max_changes_per_hour,
            max_changes_per_day=self.max_changes_per_day,
        )


class ScaleUp(_Direction):
    """How replicas are added."""

    stabilization_window_seconds: WindowSeconds = DEFAULT_SCALE_UP.stabilization_window_seconds
    """The lowest recommendation of this many past seconds counts."""
    cooldown_seconds: WindowSeconds = DEFAULT_SCALE_UP.cooldown_seconds
    """Replicas are not added sooner than this many seconds after the last change."""


class ScaleDown(_Direction):
    """How replicas are removed."""

    stabilization_window_seconds: WindowSeconds = DEFAULT_SCALE_DOWN.stabilization_window_seconds
    """The highest arrival of this many past seconds counts; under `lagPerReplica`, the highest recommendation."""
    cooldown_seconds: WindowSeconds = DEFAULT_SCALE_DOWN.cooldown_seconds
    """Replicas are not removed sooner than this many seconds after the last change."""
    tolerance: Annotated[float, Field(ge=0, le=1)] = DEFAULT_SCALE_DOWN.tolerance
    """Under `lagPerReplica`: share by which lag may differ from its target without a change of replicas."""
    select_policy: SelectPolicy = DEFAULT_SCALE_DOWN.select_policy
    """Which policy holds when there are several: the one allowing the most (Max), the least (Min), or none, so that \
replicas never change in this direction (Disabled)."""


class Behavior(Part):
    """Pace of change for each direction, with the names of a HorizontalPodAutoscaler's `behavior`."""

    scale_up: ScaleUp = ScaleUp()
    """How replicas are added."""
    scale_down: ScaleDown = ScaleDown()
    """How replicas are removed."""


class FallbackSpec(Part):
    """Replicas to go to when the lag stays unknown. Without it, replicas are left as they are."""

    failure_threshold: Annotated[int, Field(ge=1, le=1000, json_schema_extra=Int32)]
    """Polls in a row without a usable answer before the fallback is used."""
    replicas: Replicas
    """Replicas to go to; between `minReplicas` and `maxReplicas`."""
    behavior: FallbackBehavior = FallbackBehavior.STATIC
    """Which number is taken: `replicas` (Static), the present one (CurrentReplicas), the higher of the two \
(CurrentReplicasIfHigher, which never lowers) or the lower one (CurrentReplicasIfLower)."""


Producer = Annotated[str, text(255, _PRODUCER), AfterValidator(_PRODUCER.require)]


def is_producer(name: str) -> bool:
    """Whether a spec could name a client id or a user so."""
    return _PRODUCER.holds(name)


class ProducerQuotaSpec(Part):
    """Producers that may be held back by a quota at the brokers, once the administrator allowed it."""

    model_config = ConfigDict(json_schema_extra=schema_of(_ONE_KIND_OF_PRODUCER))

    client_id: Producer | None = None
    """Their `client.id`."""
    user: Producer | None = None
    """The user that brokers know them as, without `User:`; instead of `clientId`."""
    min_bytes_per_second: Annotated[int, Field(ge=1, le=MAX_RECORDS, json_schema_extra=Int64)]
    """They are never held to less, over all brokers together. Several entries share a rate in proportion to this."""

    @model_validator(mode="after")
    def _names_one_kind(self) -> Self:
        _ONE_KIND_OF_PRODUCER.require((self.client_id is None) != (self.user is None))
        return self

    def as_quota(self) -> ProducerQuota:
        """The same, in the core's words."""
        return ProducerQuota(self.min_bytes_per_second, self.client_id, self.user)


class Backpressure(Part):
    """What producers are told while the group cannot keep up: `status.safeRate`, and quotas where they are named."""

    model_config = ConfigDict(json_schema_extra=schema_of(_QUOTAS_ONCE))

    quotas: Annotated[tuple[ProducerQuotaSpec, ...], Field(min_length=1, max_length=10)] | None = None
    """Whom the brokers may hold back. Without it nobody is."""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        named = [(each.client_id, each.user) for each in self.quotas or ()]
        _QUOTAS_ONCE.require(len(set(named)) == len(named))
        return self


class Spec(Part):
    """What is wanted: the workload, the consumer group it is made of, bounds, and the objective."""

    model_config = ConfigDict(
        json_schema_extra=schema_of(_MIN_LE_MAX, _ONE_CHOICE_OF_TOPICS, _FALLBACK_WITHIN_BOUNDS, _ACTIVATION_FROM_ZERO)
    )

    scale_target_ref: ScaleTargetRef
    """The workload whose replicas are set, in the resource's own namespace."""
    kafka: Kafka
    """The Kafka cluster that holds the consumer group."""
    consumer_group: Annotated[str, text(255, _CONTROL), AfterValidator(_CONTROL.require)]
    """The consumers' `group.id`."""
    topics: Annotated[tuple[Topic, ...], Field(min_length=1, max_length=256)] | None = Field(
        default=None, json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Topics that count. Default: all that the group has committed offsets for."""
    topic_pattern: Annotated[str, Field(min_length=1, max_length=249), AfterValidator(_compiles)] | None = Field(
        default=_DEFAULT.topic_pattern, json_schema_extra=schema_of(_REGULAR_EXPRESSION)
    )
    """Regular expression (RE2 syntax, matching the whole name) that selects topics, instead of `topics`."""
    min_replicas: Replicas = _DEFAULT.min_replicas
    """Fewest replicas; 0 allows scaling to zero."""
    max_replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS, json_schema_extra=Int32)]
    """Most replicas."""
    target: Target = Target()
    """The objective."""
    recovery_seconds: Seconds = _DEFAULT.recovery_seconds
    """A backlog that exists is drained within this many seconds."""
    polling_interval_seconds: Annotated[int, Field(ge=1, le=3600, json_schema_extra=Int32)] = (
        _DEFAULT.polling_interval_seconds
    )
    """Seconds between two looks at the group."""
    consumer_threads: Annotated[int, Field(ge=1, le=1000, json_schema_extra=Int32)] | None = None
    """Consumers (members of the group) that run in one replica. Without it, the operator learns the number."""
    offset_reset: OffsetReset = _DEFAULT.offset_reset
    """The consumers' own `auto.offset.reset`: what a partition without a committed offset means."""
    isolation_level: IsolationLevel = _DEFAULT.isolation_level
    """The consumers' own `isolation.level`: whether records of open transactions count as lag."""
    behavior: Behavior = Behavior()
    """Pace of change for each direction."""
    mode: Mode = _DEFAULT.mode
    """Active scales; Advisory decides and reports, and changes nothing."""
    paused: bool = _DEFAULT.paused
    """While true nothing is scaled; status is still reported."""
    fallback: FallbackSpec | None = None
    """Replicas to go to when the lag stays unknown. Without it, replicas are left as they are."""
    backpressure: Backpressure | None = None
    """What producers are told when more consumers cannot help. Without it, nothing."""

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        _MIN_LE_MAX.require(self.min_replicas <= self.max_replicas)
        _ONE_CHOICE_OF_TOPICS.require(self.topics is None or self.topic_pattern is None)
        replicas = self.fallback.replicas if self.fallback else self.min_replicas
        _FALLBACK_WITHIN_BOUNDS.require(self.min_replicas <= replicas <= self.max_replicas)
        _ACTIVATION_FROM_ZERO.require(self.target.activation_lag == 0 or self.min_replicas == 0)
        return self

    @model_validator(mode="after")
    def _names_each_topic_once(self) -> Self:
        topics = self.topics or ()
        if len(set(topics)) < len(topics):
            raise PydanticCustomError("rule", "spec.topics must not name a topic twice")
        return self

    def as_policy(self) -> Policy:
        """The same, in the core's words."""
        fallback = self.fallback
        return Policy(
            max_replicas=self.max_replicas,
            min_replicas=self.min_replicas,
            lag_seconds=self.target.lag_seconds,
            lag_per_replica=self.target.lag_per_replica,
            activation_lag=self.target.activation_lag,
            utilization=self.target.utilization,
            recovery_seconds=self.recovery_seconds,
            polling_interval_seconds=self.polling_interval_seconds,
            consumer_threads=self.consumer_threads,
            topics=self.topics or (),
            topic_pattern=self.topic_pattern,
            offset_reset=self.offset_reset,
            isolation_level=self.isolation_level,
            scale_up=self.behavior.scale_up.as_rules(),
            scale_down=self.behavior.scale_down.as_rules(),
            mode=self.mode,
            paused=self.paused,
            fallback=Fallback(fallback.failure_threshold, fallback.replicas, fallback.behavior) if fallback else None,
            quotas=tuple(each.as_quota() for each in (self.backpressure and self.backpressure.quotas) or ()),
        )
