"""Looks at a group as lines of JSON: what the operator records, and what `replay` reads.

One look, here broken into several lines; docs/replay.md tells what each field means and what may be left out:

    {"at": 12.0,
     "partitions": {"orders/0": {"start": 0, "end": 100, "committed": 40}},
     "group": {"state": "Stable", "assignor": "range", "members": [{"id": "m1", "partitions": ["orders/0"]}]},
     "replicas": {"spec": 2, "ready": 2}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from kafka_consumer_scaler.api.memory import memory_of, pieces_of
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.snapshot_schema import KNOWN, UNKNOWN, Line, Missing
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.snapshot import (
    Details,
    Group,
    Member,
    Reading,
    Replicas,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)

NOT_TOLD: Final = Unknown("the line does not tell whether a change was carried out")
WORDS: Final = {
    "extra_forbidden": "unknown field",
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "enum": "Input should be one of the reasons that docs/reference/reasons.md lists",
}
"""Types of pydantic's errors whose own words speak of classes, or are too many."""


class BadLook(ValueError):
    """A line is no look at a group; the message is one line that begins with the field's path."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A change of the target's replicas that was carried out at a time (seconds since the epoch)."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Look:
    """What one decision was given, and what became of it.

    Args:
        snapshot: what Kafka said.
        replicas: what the scale subresource said. Its `existing` is called `ready` in a line.
        decided_at: when it was decided, in seconds since the epoch; not before the snapshot.
        memory: what was remembered before the decision; None when that was not recorded.
        scaled: the change that was carried out, None when none was, Unknown when that was not recorded.
        all_partitions: whether the partitions named are all there are. Otherwise one that was named before and is
            not named now could not be read.
    """

    snapshot: Snapshot
    replicas: Replicas | Unknown
    decided_at: float
    memory: Memory | None = None
    scaled: Carried | Unknown | None = NOT_TOLD
    all_partitions: bool = True


def look_to_json(look: Look, *, with_memory: bool = False) -> str:
    """The line, without its end. The memory is left out by default: only that of a file's first line is read."""
    snapshot = look.snapshot
    line: dict[str, Any] = {
        "at": snapshot.at,
        "decidedAt": look.decided_at,
        "partitions": _told(snapshot.partitions, _partitions_told),
        "allPartitions": look.all_partitions,
        "group": _told(snapshot.group, _group_told),
        "replicas": _told(look.replicas, _replicas_told),
    }
    if not isinstance(look.scaled, Unknown):
        line["scaled"] = {"at": look.scaled.at, "to": look.scaled.replicas} if look.scaled else None
    if snapshot.details != Details():
        line["details"] = _details_told(snapshot.details)
    if with_memory and look.memory is not None:
        line["memory"] = pieces_of(look.memory)
    return json.dumps(line, allow_nan=False)


def look_from_json(line: str | bytes) -> Look:
    """The look that one line tells of, by itself.

    Raises:
        BadLook: it is no JSON, or a field is missing, of the wrong type or not known.
    """
    try:
        said = Line.model_validate(_parsed(line))
    except ValidationError as error:
        raise BadLook(_sentence(error)) from None
    decided_at = said.at if said.decided_at is None else said.decided_at
    if decided_at < said.at:
        raise BadLook(f"decidedAt: {decided_at} is before at, {said.at}")
    memory = None if said.memory is None else memory_of(said.memory, decided_at)
    scaled = None if said.scaled is None else Carried(said.scaled.at, said.scaled.to)
    return Look(
        snapshot=Snapshot(said.at, _partitions(said), _group(said), _details(said)),
        replicas=_replicas(said),
        decided_at=decided_at,
        memory=memory,
        scaled=scaled if "scaled" in said.model_fields_set else NOT_TOLD,
        all_partitions=said.all_partitions,
    )


def looks_of(lines: Iterable[bytes]) -> Iterator[Look]:
    """The looks of a file, in order; empty lines are skipped.

    A partition that an earlier line named and that a line leaves out is Unknown in it, unless `allPartitions` says
    that it is gone.

    Raises:
        BadLook: a line is bad, or not later than the one before; the message begins with its number.
    """
    named: set[TopicPartition] = set()
    before: float | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            look = _later(look_from_json(line), before)
        except BadLook as error:
            raise BadLook(f"line {number}: {error}") from None
        before = look.snapshot.at
        look = _completed(look, named)
        if not isinstance(look.snapshot.partitions, Unknown):
            named = set(look.snapshot.partitions)
        yield look


def _later(look: Look, before: float | None) -> Look:
    if before is not None and look.snapshot.at <= before:
        raise BadLook(f"at: {look.snapshot.at} is not later than {before} of the line before")
    return look


def _completed(look: Look, named: set[TopicPartition]) -> Look:
    """The look with the partitions that it should have named."""
    partitions = look.snapshot.partitions
    if look.all_partitions or isinstance(partitions, Unknown) or named <= partitions.keys():
        return look
    lost = dict.fromkeys(sorted(named - partitions.keys()), Unknown("the line leaves it out"))
    return replace(look, snapshot=replace(look.snapshot, partitions={**partitions, **lost}))


def _told(value: Any, known: Any) -> dict[str, Any]:
    if isinstance(value, Unknown):
        return {"unknown": value.why, "reason": str(value.reason)}
    return dict(known(value))


def _partitions_told(partitions: Mapping[TopicPartition, Reading | Unknown]) -> dict[str, Any]:
    return {str(tp): _told(reading, _reading_told) for tp, reading in partitions.items()}


def _reading_told(reading: Reading) -> dict[str, Any]:
    committed = None if isinstance(reading.committed, Uncommitted) else reading.committed
    return {"start": reading.start, "end": reading.end, "committed": committed}


def _group_told(group: Group) -> dict[str, Any]:
    members = [{"id": one.id, "partitions": [str(tp) for tp in sorted(one.partitions)]} for one in group.members]
    return {"state": group.state, "assignor": group.assignor, "members": members}


def _replicas_told(replicas: Replicas) -> dict[str, Any]:
    told = {"spec": replicas.spec, "ready": replicas.existing}
    said = {"trouble": replicas.trouble, "changedBy": replicas.changed_by, "startSeconds": replicas.start_seconds}
    return told | {name: words for name, words in said.items() if words}


def _details_told(details: Details) -> dict[str, Any]:
    """The fields that have a value."""
    fields = {
        "recordBytes": dict(details.record_bytes),
        "highWatermarks": {str(tp): offset for tp, offset in details.high_watermarks.items()},
        "offsetsRetentionSeconds": details.offsets_retention_seconds,
        "compacted": sorted(details.compacted),
        "stretch": details.stretch if details.stretch > 1 else None,
        "leaders": {str(tp): broker for tp, broker in details.leaders.items()},
    }
    return {name: value for name, value in fields.items() if value not in ({}, [], None)}


def _details(said: Line) -> Details:
    if said.details is None:
        return Details()
    told = said.details
    return Details(told.record_bytes, told.high_watermarks, told.offsets_retention_seconds, frozenset(told.compacted),
                   told.stretch, told.leaders)


def _partitions(said: Line) -> Mapping[TopicPartition, Reading | Unknown] | Unknown:
    if said.partitions is None or isinstance(said.partitions, Missing):
        return _unknown(said.partitions, "no partition was read")
    return {tp: _unknown(one, "it was not read") if one is None or isinstance(one, Missing) else
            Reading(one.end, Uncommitted() if one.committed is None else one.committed, one.start)
            for tp, one in said.partitions.items()}


def _group(said: Line) -> Group | Unknown:
    if said.group is None or isinstance(said.group, Missing):
        return _unknown(said.group, "the group was not described")
    members = tuple(Member(one.id, frozenset(one.partitions)) for one in said.group.members)
    return Group(said.group.state, said.group.assignor, members)


def _replicas(said: Line) -> Replicas | Unknown:
    if said.replicas is None or isinstance(said.replicas, Missing):
        return _unknown(said.replicas, "the target's replicas were not read")
    said_of = said.replicas
    return Replicas(said_of.spec, said_of.ready, said_of.trouble, said_of.changed_by, said_of.start_seconds)


def _unknown(said: Missing | None, why: str) -> Unknown:
    return Unknown(why) if said is None else Unknown(said.unknown, said.reason)


def _parsed(line: str | bytes) -> Any:
    try:
        text = line.decode() if isinstance(line, bytes) else line
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_refuse)
    except BadLook:
        raise
    except RecursionError:
        raise BadLook("not a JSON object: nested too deep") from None
    except json.JSONDecodeError as error:
        raise BadLook(f"not a JSON object: {error.msg} at column {error.colno}") from None
    except ValueError as error:  # no UTF-8, or a number of thousands of digits
        raise BadLook(one_line(f"not a JSON object: {error}")) from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadLook(one_line(f"{next(name for name in names if names.count(name) > 1)}: named twice"))
    return found


def _refuse(constant: str) -> Any:
    raise BadLook(f"{constant} is not a number in JSON")


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    text = WORDS.get(first["type"], first["msg"])
    path = ".".join(str(step) for step in first["loc"] if step not in (KNOWN, UNKNOWN, "[key]"))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return one_line(f"{path}: {text}" if path else text) + more
