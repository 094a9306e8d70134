"""What a simulated consumer group is like. Times are seconds from the start of a run, rates records/s."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

EAGER = frozenset({"range", "roundrobin", "sticky"})
INCREMENTAL = frozenset({"cooperative-sticky", "uniform"})
PROTOCOLS = frozenset({"classic", "consumer"})
AT_LEAST = {
    "partitions": 1, "topics": 1, "threads": 1, "capacity": 0, "slow_members": 0, "slow_factor": 0,
    "downstream_limit": 0, "pod_start_seconds": 0, "pod_start_jitter": 0, "rebalance_seconds": 0,
    "session_timeout_seconds": 0, "initial_replicas": 0, "initial_lag": 0, "commit_seconds": 0.5,
    "pod_failure_chance": 0, "poll_gap_chance": 0, "poll_partial_chance": 0, "retention_seconds": 1,
}
CHANCES = ("pod_failure_chance", "poll_gap_chance", "poll_partial_chance")


@dataclass(frozen=True, slots=True)
class PlantSpec:
    """A simulated group, its partitions, its consumers and what goes wrong with them.

    Args:
        partitions: partitions of all topics together, numbered through.
        weights: relative shares of the arrivals, one for each partition, all above 0; empty means even.
        topics: how many topics the partitions belong to, in equal parts.
        capacity: records/s one consumer processes.
        capacity_changes: (at, factor): from `at` on the capacity of all is `factor` of what it was at the start.
        drift_per_hour: share of the capacity that is gained (lost, if negative) in an hour, evenly.
        slow_members: how many of the oldest members process at `slow_factor` of the capacity.
        slow_factor: see `slow_members`.
        downstream_limit: records/s that all consumers together can process (a database, a quota); None is no limit.
        outages: (start, seconds) in which no consumer processes anything; they stay in the group.
        threads: consumers in one replica.
        commit_seconds: time between two commits of a member, in whole seconds; each member has its own beat.
        pod_start_seconds: from asking for a pod until its members join.
        pod_start_jitter: at most this many seconds more, even chances.
        pod_failure_chance: chance that a start fails and the pod starts again, 0..0.99.
        assignor: range, roundrobin, sticky (all partitions stand still in a rebalance), cooperative-sticky or uniform
            (only those that move do).
        protocol: `classic`, or `consumer` for the group protocol of Kafka 4, in which range is incremental too.
        rebalance_seconds: how long partitions stand still in a rebalance.
        session_timeout_seconds: after this the coordinator drops a member that died.
        crashes: (at, pods): so many ready pods die at that time, and start again.
        poll_gap_chance: chance that a look at the group fails altogether, 0..0.99.
        poll_partial_chance: chance that a look lacks one partition, 0..0.99.
        retention_seconds: records older than this are deleted.
        initial_replicas: replicas at the start, ready and assigned.
        initial_lag: records that wait at the start (a replay from the earliest offset); their age counts from 0.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    partitions: int = 12
    weights: tuple[float, ...] = ()
    topics: int = 1
    capacity: float = 100.0
    capacity_changes: tuple[tuple[float, float], ...] = ()
    drift_per_hour: float = 0.0
    slow_members: int = 0
    slow_factor: float = 0.5
    downstream_limit: float | None = None
    outages: tuple[tuple[float, float], ...] = ()
    threads: int = 1
    commit_seconds: float = 5.0
    pod_start_seconds: float = 15.0
    pod_start_jitter: float = 0.0
    pod_failure_chance: float = 0.0
    assignor: str = "cooperative-sticky"
    protocol: str = "classic"
    rebalance_seconds: float = 5.0
    session_timeout_seconds: float = 45.0
    crashes: tuple[tuple[float, int], ...] = ()
    poll_gap_chance: float = 0.0
    poll_partial_chance: float = 0.0
    retention_seconds: float = 86400.0
    initial_replicas: int = 1
    initial_lag: int = 0

    def __post_init__(self) -> None:
        """Refuse what no group can be: a ValueError that names the field."""
        for name, least in AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not (value >= least and math.isfinite(value)):
                raise ValueError(f"{name} is {value}, at least {least} is needed")
        for name in CHANCES:
            if getattr(self, name) > 0.99:
                raise ValueError(f"{name} is {getattr(self, name)}, at most 0.99 is allowed")
        if self.assignor not in EAGER | INCREMENTAL:
            raise ValueError(f"assignor is {self.assignor!r}, not one of {', '.join(sorted(EAGER | INCREMENTAL))}")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol is {self.protocol!r}, not one of {', '.join(sorted(PROTOCOLS))}")
        if any(pods < 0 for _, pods in self.crashes):
            raise ValueError("crashes holds a negative number of pods")
        if self.topics > self.partitions:
            raise ValueError(f"topics is {self.topics}, more than the {self.partitions} partitions")
        self._check_weights()

    def _check_weights(self) -> None:
        if self.weights and len(self.weights) != self.partitions:
            raise ValueError(f"weights has {len(self.weights)} values for {self.partitions} partitions")
        if not all(weight > 0 and math.isfinite(weight) for weight in self.weights):
            raise ValueError("weights holds a value that is not above 0")

    @property
    def is_incremental(self) -> bool:
        """Whether only the partitions that move stand still in a rebalance."""
        return self.assignor in INCREMENTAL or self.protocol == "consumer"

    @property
    def is_consumer_protocol(self) -> bool:
        """Whether the group runs Kafka 4's protocol, whose coordinator assigns (`uniform` exists only there)."""
        return self.assignor == "uniform" or self.protocol == "consumer"

    def capacity_factor(self, at: float) -> float:
        """Share of `capacity` a consumer has at `at`: drift, changes and outages together; never below 0."""
        if any(start <= at < start + seconds for start, seconds in self.outages):
            return 0.0
        changed = max((change for change in self.capacity_changes if change[0] <= at), default=(0.0, 1.0))[1]
        return max(0.0, changed * (1.0 + self.drift_per_hour * at / 3600.0))


_SPEC = TypeAdapter(PlantSpec)


def plant_spec(values: Mapping[str, object]) -> PlantSpec:
    """The spec written as `values`, keys in camelCase or snake_case; a ValueError names the field that is wrong."""
    snake = {re.sub(r"(?<=[a-z0-9])([A-Z])", lambda hit: f"_{hit[1].lower()}", str(key)): value
             for key, value in values.items()}
    try:
        return _SPEC.validate_python(snake)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "unexpected_keyword_argument":
        return f"{field} is not a field of the plant; there are {', '.join(each.name for each in fields(PlantSpec))}"
    return f"{field}: {first['msg']}" if field else str(first["msg"]).removeprefix("Value error, ")


def load_plant(path: Path) -> PlantSpec:
    """The spec in a YAML file; an empty file is the default plant. Raises ValueError with the file's name."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: a mapping of the plant's fields is expected")
    try:
        return plant_spec(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
