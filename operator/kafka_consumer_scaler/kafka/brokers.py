"""What brokers say of themselves: how many bytes they store of each partition, their settings, their groups' types.

librdkafka has no DescribeLogDirs and knows only two types of groups, so kafka-python asks. It is loaded at the first
question, and its connection is there for one question only. It waits for brokers, so ask in a thread on which nothing
else waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.security import security_of

log = logging.getLogger("kafka_consumer_scaler.kafka")

RETENTION = "offsets.retention.minutes"
CLEANUP = "cleanup.policy"
REQUEST_SECONDS = 5.0
"""For how long one broker is waited for."""
LONGEST_SECONDS = 30.0
"""After this no further broker is asked."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the brokers told; what they did not tell is absent.

    Args:
        log_bytes: bytes in the log, compressed as they are; of several replicas the largest.
        log_bytes_at: when they were so many, by the monotonic clock: in the middle of asking.
        offsets_retention_seconds: for how long offsets of a group without members are kept.
        compacted: of the topics asked about, whether compaction takes records from it.
    """

    log_bytes: Mapping[TopicPartition, int] = field(default_factory=dict)
    log_bytes_at: float = 0.0
    offsets_retention_seconds: float | None = None
    compacted: Mapping[str, bool] = field(default_factory=dict)


def ask(connection: Connection, partitions: Collection[TopicPartition], *, retention: bool,
        cleanup_of: Collection[str] = ()) -> Told:
    """The bytes of the partitions, the retention of offsets if wanted, and which of the topics are compacted.

    Never raises: no answer is `Told()`.
    """
    by = time.monotonic() + LONGEST_SECONDS
    try:
        with connected(connection) as admin:
            brokers = [one["broker_id"] for one in admin.describe_cluster()["brokers"] if not one.get("is_fenced")]
            seconds = _offsets_retention(admin, brokers, by) if retention else None
            began = time.monotonic()
            log_bytes = _log_bytes(admin, brokers, partitions, by)
            asked_at = (began + time.monotonic()) / 2
            compacted = _compacted(admin, cleanup_of, by)
    except Exception as problem:  # whatever it is, offsets are read by another client
        _note(f"the brokers of {connection.bootstrap_servers}", problem)
        return Told()
    if (partitions and not log_bytes) or (retention and seconds is None):
        servers = connection.bootstrap_servers
        log.debug("brokers of %s did not tell all: are DESCRIBE and DESCRIBE_CONFIGS of the cluster allowed?", servers)
    return Told(log_bytes, asked_at, seconds, compacted)


def group_types(connection: Connection, groups: Collection[str]) -> dict[str, str] | Unknown:
    """The types of these groups, such as `share`, by one ListGroups to each broker.

    A group is absent that no broker lists, and one whose broker is too old to tell a type. Unknown when a broker did
    not answer and a group was not listed by the others. Never raises.
    """
    by = time.monotonic() + LONGEST_SECONDS
    found: dict[str, str] = {}
    silent: list[str] = []
    try:
        with connected(connection) as admin:
            brokers = [one["broker_id"] for one in admin.describe_cluster()["brokers"] if not one.get("is_fenced")]
            for broker in brokers:
                listed = _listed_groups(admin, broker) if time.monotonic() < by else None
                if listed is None:
                    silent.append(str(broker))
                found |= types_of(listed or (), groups)
    except Exception as problem:  # whatever it is, offsets are read by another client
        return Unknown(connection.without_secrets(f"{type(problem).__name__}: {problem}"))
    if silent and not found.keys() >= set(groups):
        return Unknown(f"broker {', '.join(silent)} did not list its groups")
    return found


def _listed_groups(admin: Any, broker: int) -> list[Mapping[str, Any]] | None:
    """The groups that the broker coordinates, in the newest version it has; None when it does not answer."""
    try:
        return list(admin.list_groups(broker_ids=[broker]))
    except Exception as problem:
        _note(f"the groups of broker {broker}", problem)
        return None


def types_of(listed: Iterable[Mapping[str, Any]], groups: Collection[str]) -> dict[str, str]:
    """By group, of those asked about; before version 5 of ListGroups there is no type, and none is told."""
    wanted = frozenset(groups)
    types = ((one["group_id"], one.get("group_type") or "") for one in listed if one["group_id"] in wanted)
    return {group: word.lower() for group, word in types if word}


@contextmanager
def connected(connection: Connection) -> Iterator[Any]:
    """kafka-python's client; raises what that raises.

    It is kept from its first moment: one that cannot connect leaves its thread behind.
    """
    from kafka.admin import KafkaAdminClient  # type: ignore[import-untyped]  # 10 MiB: only for those who ask
    from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it tells every connection at level info
    clients: list[Any] = []

    def kept(**settings: Any) -> Any:
        clients.append(KafkaNetClient(**settings))
        return clients[-1]

    try:
        yield KafkaAdminClient(**_settings(connection), kafka_client=kept)
    finally:
        for client in clients:
            client.close()


def _settings(connection: Connection) -> dict[str, Any]:
    milliseconds = int(REQUEST_SECONDS * 1000)
    return {
        "bootstrap_servers": connection.bootstrap_servers.split(","),
        "client_id": "kafka-consumer-scaler",
        "bootstrap_timeout_ms": milliseconds,
        "request_timeout_ms": milliseconds,
        **security_of(connection),
    }


def _log_bytes(
    admin: Any, brokers: Iterable[int], partitions: Collection[TopicPartition], by: float
) -> dict[TopicPartition, int]:
    """Each broker is asked by itself, so that a silent one costs only what it alone stores."""
    topics: dict[str, list[int]] = {}
    for tp in partitions:
        topics.setdefault(tp.topic, []).append(tp.partition)
    found: dict[TopicPartition, int] = {}
    for broker in brokers:
        if topics and time.monotonic() < by:
            for tp, size in sizes_of(_directories(admin, broker, topics)):
                found[tp] = max(size, found.get(tp, 0))
    return found


def _directories(admin: Any, broker: int, topics: Mapping[str, Collection[int]]) -> list[Any]:
    """The broker's log directories; none when it does not answer. One that refuses us answers that it has none."""
    try:
        [answer] = admin.describe_log_dirs(topics, brokers=[broker])
    except Exception as problem:
        _note(f"the log directories of broker {broker}", problem)
        return []
    return list(answer["log_dirs"])


def sizes_of(directories: Iterable[Mapping[str, Any]]) -> Iterator[tuple[TopicPartition, int]]:
    """The bytes of each replica that is told of; one that is being copied into another directory is left out."""
    for directory in directories:
        for topic in directory["topics"]:
            for one in topic["partitions"]:
                if not one["is_future_key"]:
                    yield TopicPartition(topic["name"], one["partition_index"]), one["partition_size"]


def _offsets_retention(admin: Any, brokers: Iterable[int], by: float) -> float | None:
    """The setting of the first broker that answers, which is that of all. One that refuses us tells no setting."""
    from kafka.admin import ConfigResource, ConfigResourceType

    for broker in map(str, brokers):
        if time.monotonic() > by:
            break
        try:
            asked = ConfigResource(ConfigResourceType.BROKER, broker, [RETENTION])
            said = admin.describe_configs([asked], config_filter="all")
        except Exception as problem:
            _note(f"{RETENTION} of broker {broker}", problem)
            continue
        return retention_of(said["broker"].get(broker, {}))
    return None


def _compacted(admin: Any, topics: Collection[str], by: float) -> dict[str, bool]:
    """One question for all topics. A topic whose settings we may not read is absent."""
    from kafka.admin import ConfigResource, ConfigResourceType

    if not topics or time.monotonic() > by:
        return {}
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, [CLEANUP]) for topic in sorted(topics)]
        said = admin.describe_configs(asked, config_filter="all")
    except Exception as problem:
        _note(f"{CLEANUP} of {len(topics)} topics", problem)
        return {}
    return compacted_of(said.get("topic", {}))


def compacted_of(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """By topic: `compact` and `compact,delete` are compacted; a topic that told no policy is absent."""
    policies = {topic: said.get(CLEANUP, {}).get("value") for topic, said in settings.items()}
    return {topic: "compact" in policy.split(",") for topic, policy in policies.items() if policy is not None}


def retention_of(settings: Mapping[str, Any]) -> float | None:
    """Seconds; None when the broker did not tell the setting."""
    minutes = settings.get(RETENTION, {}).get("value")
    return None if minutes is None else 60.0 * int(minutes)


def _note(subject: str, problem: Exception) -> None:
    log.debug("%s: %s: %s", subject, type(problem).__name__, problem)
