"""The frames between the operator and its polling process: four bytes of length, then that many bytes of JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka_consumer_scaler.core.policy import IsolationLevel, OffsetReset
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Reading, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas, Standing
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample

HEADER_BYTES = 4
BODY_BYTES_MAX = 64 * 2**20
"""Ten thousand groups of a hundred partitions take half of this; more is no answer, and is not waited for."""


def frame(message: Mapping[str, Any]) -> bytes:
    """The message as bytes on a pipe."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_length(header: bytes) -> int:
    """How many bytes follow the header. Raises ValueError for more than any answer has."""
    length = int.from_bytes(header, "big")
    if length > BODY_BYTES_MAX:
        raise ValueError(f"a frame of {length:,} bytes")
    return length


def query_as_json(query: GroupQuery) -> list[Any]:
    return [query.group, query.topics, query.topic_pattern, query.offset_reset, query.isolation_level,
            query.with_leaders]


def query_from_json(values: Sequence[Any]) -> GroupQuery:
    group, topics, pattern, reset, isolation, with_leaders = values
    return GroupQuery(group, tuple(topics), pattern, OffsetReset(reset), IsolationLevel(isolation), with_leaders)


def sample_as_json(sample: GroupSample) -> dict[str, Any]:
    """`{"partitions": {"orders": [[0, end, committed, start]]}, "group": {...}}`; no commit is null.

    Details are there as `[record bytes, [[topic, partition, high watermark]], retention, [compacted topic], [[topic,
    partition, leader]]]` only if there are any.
    """
    values = {"partitions": _partitions_as_json(sample.partitions), "group": _group_as_json(sample.group)}
    return values if sample.details == Details() else {**values, "details": _details_as_json(sample.details)}


def samples_from_json(values: Any, count: int) -> list[GroupSample]:
    """So many samples that `sample_as_json` wrote. Raises ValueError for anything else."""
    with _understood():
        samples = [sample_from_json(sample) for sample in values]
    if len(samples) != count:
        raise ValueError(f"{len(samples)} samples for {count} questions")
    return samples


def sample_from_json(values: Mapping[str, Any]) -> GroupSample:
    """The sample that `sample_as_json` wrote."""
    details = _details_from_json(values["details"]) if "details" in values else Details()
    return GroupSample(_partitions_from_json(values["partitions"]), _group_from_json(values["group"]), details)


def entities_as_json(entities: Iterable[Entity]) -> list[Any]:
    return [[one.client_id, one.user] for one in entities]


def entities_from_json(values: Iterable[Sequence[Any]]) -> list[Entity]:
    return [Entity(client_id, user) for client_id, user in values]


def changes_as_json(changes: Iterable[Change]) -> list[Any]:
    return [[one.entity.client_id, one.entity.user, list(one.expected), one.rate] for one in changes]


def changes_from_json(values: Iterable[Sequence[Any]]) -> list[Change]:
    return [Change(Entity(client_id, user), frozenset(expected), rate) for client_id, user, expected, rate in values]


def quotas_as_json(quotas: Quotas | Unknown) -> Any:
    """`{"cluster": id, "standings": [[client id, user, own, inherited, overridden by]]}`; no quota is null."""
    if isinstance(quotas, Unknown):
        return _unknown_as_json(quotas)
    rows = [[entity.client_id, entity.user, one.own, one.inherited, one.overridden_by]
            for entity, one in quotas.standings.items()]
    return {"cluster": quotas.cluster, "standings": rows}


def quotas_from_json(values: Any, entities: Collection[Entity]) -> Quotas | Unknown:
    """What `quotas_as_json` wrote. Raises ValueError for anything else, and where an entity is missing."""
    with _understood():
        if isinstance(values, list):
            return _unknown_from_json(values)
        standings = {Entity(row[0], row[1]): Standing(_rate(row[2]), _rate(row[3]), str(row[4]))
                     for row in values["standings"]}
        return Quotas(str(values["cluster"]), {entity: standings[entity] for entity in entities})


def found_as_json(found: Mapping[Entity, Before]) -> list[Any]:
    """`[[client id, user, rate before]]`; an Unknown is a list."""
    return [[entity.client_id, entity.user, _unknown_as_json(one) if isinstance(one, Unknown) else one]
            for entity, one in found.items()]


def found_from_json(values: Any, entities: Collection[Entity]) -> dict[Entity, Before]:
    """What `found_as_json` wrote. Raises ValueError for anything else, and where an entity is missing."""
    with _understood():
        found = {Entity(client_id, user): _unknown_from_json(one) if isinstance(one, list) else _rate(one)
                 for client_id, user, one in values}
        return {entity: found[entity] for entity in entities}


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _rate(value: Any) -> int | None:
    if not (value is None or type(value) is int):
        raise ValueError("a rate is no whole number")
    return value


def _partitions_as_json(partitions: Mapping[TopicPartition, Reading | Unknown] | Unknown) -> Any:
    if isinstance(partitions, Unknown):
        return _unknown_as_json(partitions)
    topics: dict[str, list[list[Any]]] = {}
    for tp, said in partitions.items():
        topics.setdefault(tp.topic, []).append([tp.partition, *_reading_as_json(said)])
    return topics


def _partitions_from_json(values: Any) -> dict[TopicPartition, Reading | Unknown] | Unknown:
    if isinstance(values, list):
        return _unknown_from_json(values)
    rows = ((topic, row) for topic, rows in values.items() for row in rows)
    return {TopicPartition(topic, row[0]): _reading_from_json(row[1:]) for topic, row in rows}


def _reading_as_json(said: Reading | Unknown) -> list[Any]:
    if isinstance(said, Unknown):
        return _unknown_as_json(said)
    return [said.end, None if isinstance(said.committed, Uncommitted) else said.committed, said.start]


def _reading_from_json(values: list[Any]) -> Reading | Unknown:
    if len(values) == 2:
        return _unknown_from_json(values)
    end, committed, start = values
    if not (type(end) is type(start) is int and (committed is None or type(committed) is int)):
        raise ValueError("an offset is no whole number")
    return Reading(end, Uncommitted() if committed is None else committed, start)


def _group_as_json(group: Group | Unknown) -> Any:
    if isinstance(group, Unknown):
        return _unknown_as_json(group)
    members = [[one.id, sorted((tp.topic, tp.partition) for tp in one.partitions)] for one in group.members]
    return {"state": group.state, "assignor": group.assignor, "members": members}


def _group_from_json(values: Any) -> Group | Unknown:
    if isinstance(values, list):
        return _unknown_from_json(values)
    members = (Member(name, frozenset(TopicPartition(*pair) for pair in pairs)) for name, pairs in values["members"])
    return Group(values["state"], values["assignor"], tuple(members))


def _details_as_json(details: Details) -> list[Any]:
    return [dict(details.record_bytes), _by_partition(details.high_watermarks), details.offsets_retention_seconds,
            sorted(details.compacted), _by_partition(details.leaders)]


def _details_from_json(values: Sequence[Any]) -> Details:
    record_bytes, highs, retention, compacted, leaders = values
    return Details(record_bytes, _from_partitions(highs), retention, frozenset(compacted),
                   leaders=_from_partitions(leaders))


def _by_partition(numbers: Mapping[TopicPartition, int]) -> list[list[Any]]:
    return [[tp.topic, tp.partition, number] for tp, number in numbers.items()]


def _from_partitions(rows: Sequence[Sequence[Any]]) -> dict[TopicPartition, int]:
    return {TopicPartition(topic, partition): number for topic, partition, number in rows}


def _unknown_as_json(unknown: Unknown) -> list[Any]:
    return [unknown.why, unknown.reason]


def _unknown_from_json(values: Sequence[Any]) -> Unknown:
    why, reason = values
    return Unknown(why, Reason(reason))
