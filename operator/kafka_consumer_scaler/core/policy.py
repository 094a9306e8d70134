"""What the user wants, frozen. The defaults here are the only ones: the resource's schema takes them from here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MINUTE_SECONDS = 60
HOUR_SECONDS = 3_600
DAY_SECONDS = 86_400


class Mode(StrEnum):
    """`Active` scales; `Advisory` decides and reports and changes nothing."""

    ACTIVE = "Active"
    ADVISORY = "Advisory"


class OffsetReset(StrEnum):
    """What a partition without a committed offset means (the consumers' own `auto.offset.reset`)."""

    EARLIEST = "earliest"
    LATEST = "latest"
    NONE = "none"


class IsolationLevel(StrEnum):
    """Up to where end offsets are read: the last stable offset, or the high watermark."""

    READ_COMMITTED = "read_committed"
    READ_UNCOMMITTED = "read_uncommitted"


class StepUnit(StrEnum):
    """Whether a step policy counts replicas or per cent of the replicas at the start of its period."""

    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(StrEnum):
    """Which of several step policies holds: the one that allows the most, the least, or no change at all."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """At most `value` replicas (or per cent of them) may come or go within `period_seconds` (HPA v2)."""

    unit: StepUnit
    value: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class ChangeLimit:
    """At most so many changes in one direction within any `period_seconds`."""

    changes: int
    period_seconds: int

    @property
    def is_hourly(self) -> bool:
        """It is the limit of an hour, not that of a day."""
        return self.period_seconds == HOUR_SECONDS


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """How fast one direction may go; the names of the HPA v2 `behavior`, the cooldown and the change limits.

    Args:
        stabilization_window_seconds: up: the least, down: the most recommended within this window counts.
        cooldown_seconds: no change in this direction sooner than this after the last change in any direction.
        tolerance: share by which lag per replica may differ from its target without a change.
        policies: step limits; none means one jump.
        select_policy: which of them holds.
        max_changes_per_hour: most changes in this direction within any 3,600 s; None is no limit.
        max_changes_per_day: most changes in this direction within any 86,400 s; None is no limit.
    """

    stabilization_window_seconds: int
    cooldown_seconds: int
    tolerance: float = 0.1
    policies: tuple[StepPolicy, ...] = ()
    select_policy: SelectPolicy = SelectPolicy.MAX
    max_changes_per_hour: int | None = None
    max_changes_per_day: int | None = None

    @property
    def change_limits(self) -> tuple[ChangeLimit, ...]:
        """The limits that are set, the shorter period first."""
        given = ((self.max_changes_per_hour, HOUR_SECONDS), (self.max_changes_per_day, DAY_SECONDS))
        return tuple(ChangeLimit(changes, period) for changes, period in given if changes is not None)


DEFAULT_SCALE_UP = ScalingRules(stabilization_window_seconds=0, cooldown_seconds=30)
DEFAULT_SCALE_DOWN = ScalingRules(stabilization_window_seconds=300, cooldown_seconds=120)


class FallbackBehavior(StrEnum):
    """Whether a fallback goes to its own number, stays at the present one, or takes the higher or lower of the two."""

    STATIC = "Static"
    CURRENT_REPLICAS = "CurrentReplicas"
    CURRENT_REPLICAS_IF_HIGHER = "CurrentReplicasIfHigher"
    CURRENT_REPLICAS_IF_LOWER = "CurrentReplicasIfLower"


@dataclass(frozen=True, slots=True)
class Fallback:
    """Replicas to go to once `failure_threshold` polls in a row brought no usable sample."""

    failure_threshold: int
    replicas: int
    behavior: FallbackBehavior = FallbackBehavior.STATIC

    def wanted(self, current: int, least: int, most: int) -> int:
        """The replicas, of a target that is at `current`. The bounds are those of `replicas`, not of `current`.

        So CurrentReplicasIfHigher never lowers, also where somebody has scaled above `most`.

            replicas 6, current    4    9
            Static                 6    6
            CurrentReplicas        4    9
            ...IfHigher            6    9
            ...IfLower             4    6
        """
        static = min(most, max(least, self.replicas))
        return {
            FallbackBehavior.STATIC: static,
            FallbackBehavior.CURRENT_REPLICAS: current,
            FallbackBehavior.CURRENT_REPLICAS_IF_HIGHER: max(static, current),
            FallbackBehavior.CURRENT_REPLICAS_IF_LOWER: min(static, current),
        }[self.behavior]


@dataclass(frozen=True, slots=True)
class ProducerQuota:
    """Producers that may be slowed down while the group cannot keep up: a client id or a user, exactly one of them.

    Several entries share a rate in proportion to their floors: floors of 300 and 100 get 3/4 and 1/4 of it.

    Args:
        min_bytes_per_second: they are never held to less, over all brokers together.
        client_id: the producers' `client.id`.
        user: their principal's name.
    """

    min_bytes_per_second: int
    client_id: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One KafkaConsumerScaler's wishes, with every default filled in. Seconds and records throughout.

    `consumer_threads` is None where the members of a replica are to be learned.
    """

    max_replicas: int
    min_replicas: int = 1
    lag_seconds: float = 60.0
    lag_per_replica: int | None = None
    activation_lag: int = 0
    utilization: float = 1.0
    recovery_seconds: float = 300.0
    polling_interval_seconds: int = 15
    consumer_threads: int | None = None
    topics: tuple[str, ...] = ()
    topic_pattern: str | None = None
    offset_reset: OffsetReset = OffsetReset.LATEST
    isolation_level: IsolationLevel = IsolationLevel.READ_COMMITTED
    scale_up: ScalingRules = field(default=DEFAULT_SCALE_UP)
    scale_down: ScalingRules = field(default=DEFAULT_SCALE_DOWN)
    mode: Mode = Mode.ACTIVE
    paused: bool = False
    fallback: Fallback | None = None
    quotas: tuple[ProducerQuota, ...] = ()
