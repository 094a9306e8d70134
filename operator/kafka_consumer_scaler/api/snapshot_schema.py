"""The fields of one recorded look, as docs/replay.md lists them. What may be Unknown may be null or left out.

Nothing is converted: a text is no number, true is no 1. A field that is not listed is refused, so that a misspelt one
does not pass for one that was left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import ConfigDict, Discriminator, Field, PlainValidator, Tag
from pydantic_core import PydanticCustomError

from kafka_consumer_scaler.api.parts import Part
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import TopicPartition

KNOWN: Final = "<known>"
UNKNOWN: Final = "<unknown>"
"""Marks of the two forms of a value in the path of an error; no part of what users wrote."""
TOPIC: Final = r"[a-zA-Z0-9._-]{1,249}"
NAME: Final = re.compile(rf"({TOPIC})/(0|[1-9][0-9]{{0,9}})")


def _topic_partition(value: Any) -> TopicPartition:
    found = NAME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("name", "a partition is written topic/number, such as orders/0")
    return TopicPartition(found[1], int(found[2]))


def _form(value: Any) -> str:
    return UNKNOWN if isinstance(value, Mapping) and "unknown" in value else KNOWN


T = TypeVar("T")
Name = Annotated[TopicPartition, PlainValidator(_topic_partition)]
Topic = Annotated[str, Field(pattern=rf"^{TOPIC}$")]
Bytes = Annotated[float, Field(gt=0, le=1e15)]
Seconds = Annotated[float, Field(ge=0, le=1e15)]
Offset = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class Piece(Part):
    """What all pieces of a look share: those of the resource's parts, and nothing is converted."""

    model_config = ConfigDict(strict=True)


class Missing(Piece):
    """Something that could not be learned: why in words, and the reason's word."""

    unknown: str
    reason: Annotated[Reason, Field(strict=False)] = Reason.METRICS_UNAVAILABLE


Maybe = Annotated[Annotated[T, Tag(KNOWN)] | Annotated[Missing, Tag(UNKNOWN)], Discriminator(_form)] | None


class PartitionPiece(Piece):
    """Offsets of one partition; no committed one is null."""

    start: Offset = 0
    end: Offset
    committed: Offset | None


class MemberPiece(Piece):
    """A member of the group."""

    id: str
    partitions: list[Name] = Field(default_factory=list)


class GroupPiece(Piece):
    """The coordinator's view."""

    state: str
    assignor: str = ""
    members: list[MemberPiece] = Field(default_factory=list)


class ReplicasPiece(Piece):
    """The target's replicas: asked for, and there; what was asked of the pods, and who wrote them, if asked."""

    spec: Count
    ready: Count
    trouble: str = ""
    changed_by: str = ""
    start_seconds: Seconds | None = None


class ScaledPiece(Piece):
    """A change that was carried out."""

    at: Seconds
    to: Count


class DetailsPiece(Piece):
    """What brokers are asked less often; what is left out was not told."""

    record_bytes: dict[Topic, Bytes] = Field(default_factory=dict)
    high_watermarks: dict[Name, Offset] = Field(default_factory=dict)
    offsets_retention_seconds: Seconds | None = None
    compacted: list[Topic] = Field(default_factory=list)
    stretch: Annotated[int, Field(ge=1, le=1000)] = 1
    leaders: dict[Name, Count] = Field(default_factory=dict)


class Line(Piece):
    """One look."""

    at: Seconds
    decided_at: Seconds | None = None
    partitions: Maybe[dict[Name, Maybe[PartitionPiece]]] = None
    all_partitions: bool = False
    group: Maybe[GroupPiece] = None
    replicas: Maybe[ReplicasPiece] = None
    scaled: ScaledPiece | None = None
    details: DetailsPiece | None = None
    memory: dict[str, Any] | None = None
