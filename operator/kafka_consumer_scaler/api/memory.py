"""Memory, saved in the resource's status and read back after a restart. Whatever stands there, reading never raises.

The stored form is private to the operator: one text of JSON, so that an operator that is newer than the CRD loses
nothing, and who describes the resource sees one line of it. Every piece is checked by itself, and a piece that makes
no sense is dropped: the worst outcome is an operator that waits for a full window again, as after its first start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Final, TypeVar

from pydantic.alias_generators import to_camel

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.spec import MAX_REPLICAS
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.effect import (
    BACK_OFF_SECONDS_MAX,
    JOIN_SECONDS_MAX,
    TAKEN_BACK_SECONDS_MAX,
)
from kafka_consumer_scaler.core.memory import (
    SCALES_KEPT,
    Awaited,
    Commits,
    Found,
    Held,
    Ineffective,
    Memory,
    OthersChange,
    Peak,
    Recommended,
    Scaled,
    TakenBack,
    Threads,
    Throttling,
    Trial,
    Unread,
    Usual,
)
from kafka_consumer_scaler.core.pauses import PAUSE_SECONDS_MAX
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import BOUNDS, LASTING

VERSION: Final = 1
LONGEST: Final = 1000
"""Entries of one list that are read back, the newest."""
KNOWN_REASONS: Final = {reason.value: reason for reason in Reason}

T = TypeVar("T")


def memory_to_status(memory: Memory) -> str:
    """The stored form: JSON on one line."""
    return json.dumps(pieces_of(memory), separators=(",", ":"))


def memory_from_status(status: Mapping[str, Any], now: float) -> Memory:
    """What an earlier operator remembered, or the empty Memory.

    Args:
        status: the resource's status, in whatever condition.
        now: seconds since the epoch.
    """
    stored = mapping(status).get("memory")
    try:
        return memory_of(json.loads(stored) if isinstance(stored, str) else None, now)
    except (ValueError, RecursionError):
        return Memory()


def pieces_of(memory: Memory) -> dict[str, Any]:
    """The memory's pieces as JSON; those that are empty are left out."""
    capacity = memory.capacity
    pieces: dict[str, Any] = {
        "scales": [_stored(each) for each in memory.scales],
        "highs": [_stored(each) for each in memory.highs],
        "lows": [_stored(each) for each in memory.lows],
        "peaks": [_stored(each) for each in memory.peaks],
        "capacity": {"perConsumer": capacity.per_consumer, "learned": capacity.learned,
                     "busy": capacity.busy} if capacity else None,
        "joinSeconds": memory.join_seconds,
        "pauseSeconds": memory.pause_seconds,
        "awaited": _stored(memory.awaited),
        "trial": _stored(memory.trial),
        "ineffective": _stored(memory.ineffective),
        "threads": _stored(memory.threads),
        "pausedAt": memory.paused_at,
        "unevenSince": memory.uneven_since,
        "takenBack": _stored(memory.taken_back),
        "unread": _stored(memory.unread),
        "held": [_stored(each) for each in memory.held],
        "commits": _stored(memory.commits),
        "assignor": memory.assignor,
        "usual": _stored(memory.usual),
        "memberlessSince": memory.memberless_since,
        "unseenAt": memory.unseen_at,
        "found": [_stored(each) for each in memory.found],
        "said": sorted(memory.said),
        "throttling": _stored(memory.throttling),
        "others": [_stored(each) for each in memory.others],
        "ups": list(memory.ups),
        "downs": list(memory.downs),
    }
    return {"version": VERSION} | {name: piece for name, piece in pieces.items() if piece or piece == 0.0}


def memory_of(stored: Any, now: float) -> Memory:
    """The pieces' memory, or the empty Memory. Times after `now` become `now`: the clock was set back."""
    if not isinstance(stored, Mapping) or stored.get("version") != VERSION:
        return Memory()
    return Memory(
        scales=_read_all(Scaled, stored.get("scales"), now),
        highs=_read_all(Recommended, stored.get("highs"), now),
        lows=_read_all(Recommended, stored.get("lows"), now),
        peaks=_read_all(Peak, stored.get("peaks"), now),
        capacity=_capacity(mapping(stored.get("capacity"))),
        join_seconds=_up_to(JOIN_SECONDS_MAX, stored.get("joinSeconds")),
        pause_seconds=_up_to(PAUSE_SECONDS_MAX, stored.get("pauseSeconds")),
        awaited=_read(Awaited, stored.get("awaited"), now),
        trial=_read(Trial, stored.get("trial"), now),
        ineffective=_read(Ineffective, stored.get("ineffective"), now),
        threads=_read(Threads, stored.get("threads"), now),
        paused_at=_time(stored.get("pausedAt"), now),
        uneven_since=_time(stored.get("unevenSince"), now),
        taken_back=_read(TakenBack, stored.get("takenBack"), now),
        unread=_read(Unread, stored.get("unread"), now),
        held=_read_all(Held, stored.get("held"), now),
        commits=_read(Commits, stored.get("commits"), now),
        assignor=_assignor(stored.get("assignor")),
        usual=_read(Usual, stored.get("usual"), now),
        memberless_since=_time(stored.get("memberlessSince"), now),
        unseen_at=_time(stored.get("unseenAt"), now),
        found=tuple(each for each in _read_all(Found, stored.get("found"), now) if each.reason in LASTING | BOUNDS),
        said=_reasons(stored.get("said")),
        throttling=_read(Throttling, stored.get("throttling"), now),
        others=_read_all(OthersChange, stored.get("others"), now)[-SCALES_KEPT:],
        ups=_times(stored.get("ups"), now),
        downs=_times(stored.get("downs"), now),
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _stored(piece: Any) -> dict[str, Any] | None:
    if piece is None:
        return None
    values = {to_camel(field.name): getattr(piece, field.name) for field in fields(piece)}
    return {name: value for name, value in values.items() if value is not None}


def _read_all(kind: type[T], stored: Any, now: float) -> tuple[T, ...]:
    entries = stored[-LONGEST:] if isinstance(stored, list | tuple) else ()
    found = [each for each in (_read(kind, entry, now) for entry in entries) if each is not None]
    return tuple(sorted(found, key=lambda each: each.at))  # type: ignore[attr-defined]


def _read(kind: type[T], entry: Any, now: float) -> T | None:
    """The piece, each field by the reader of its name; None when one that must be there makes no sense."""
    found: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        value = READERS[field.name](mapping(entry).get(to_camel(field.name)), now)
        if value is None and field.default is MISSING:
            return None
        found[field.name] = value
    return kind(**found)


def _time(value: Any, now: float) -> float | None:
    at = _number(value)
    return None if at is None else min(at, now)


def _times(value: Any, now: float) -> tuple[float, ...]:
    """Times, oldest first, each once; those that make no sense are left out."""
    found = [_time(each, now) for each in value[-LONGEST:]] if isinstance(value, list | tuple) else []
    return tuple(sorted({at for at in found if at is not None}))


def _until(value: Any, now: float) -> float | None:
    return _up_to(now + BACK_OFF_SECONDS_MAX, value)


def _up_to(most: float, value: Any) -> float | None:
    number = _number(value)
    return None if number is None else min(number, most)


def _number(value: Any, _: float = 0.0) -> float | None:
    """A finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1e15 else None


def _replicas(value: Any, _: float = 0.0) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number <= MAX_REPLICAS and number.is_integer() else None


def _topics(value: Any, _: float = 0.0) -> tuple[str, ...] | None:
    """Names of topics; None when there is none."""
    names = value[:LONGEST] if isinstance(value, list | tuple) else ()
    return tuple(name for name in names if isinstance(name, str) and len(name) <= 249) or None


def _topic(value: Any, _: float = 0.0) -> str | None:
    return next(iter(_topics([value]) or ()), None)


def _consumers(value: Any, _: float = 0.0) -> int | None:
    """At least one."""
    return _replicas(value) or None


def _capacity(entry: Mapping[str, Any]) -> Capacity | None:
    rate, learned = _number(entry.get("perConsumer")), entry.get("learned")
    return Capacity(rate, learned, entry.get("busy") is True) if rate and isinstance(learned, bool) else None


def _assignor(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 255 else ""


def _reason(value: Any, _: float = 0.0) -> Reason | None:
    return KNOWN_REASONS.get(value) if isinstance(value, str) else None


def _reasons(stored: Any) -> frozenset[Reason]:
    words = stored if isinstance(stored, list | tuple) else ()
    return frozenset(reason for reason in map(_reason, words) if reason is not None)


def _numbers(value: Any, _: float = 0.0) -> tuple[float, ...]:
    """Numbers in their order; none at all when one of them makes no sense."""
    found = [_number(each) for each in value[:LONGEST]] if isinstance(value, list | tuple) else []
    return tuple(each for each in found if each is not None) if None not in found else ()


def _words(value: Any, _: float = 0.0) -> str | None:
    return one_line(value) if isinstance(value, str) else None


READERS: Mapping[str, Callable[[Any, float], Any]] = {
    "at": _time, "since": _time, "joined_at": _time, "missing_at": _time, "until": _until,
    "held_until": lambda value, now: _up_to(now + TAKEN_BACK_SECONDS_MAX, value),
    "before": _replicas, "after": _replicas, "replicas": _replicas, "tried": _replicas, "times": _replicas,
    "seconds": _number, "per_consumer": _number, "reason": _reason, "evidence": _words, "remedy": _words,
    "manager": lambda value, now: _words(value, now) or "",
    "lost": lambda value, _: value is True,
    "count": _consumers, "members": _replicas, "is_learned": lambda value, _: value is True,
    "topic": _topic,
    "topics": _topics,
    "arrival": _number, "drain": _number, "drained": _number,
    "rate": _number, "demand": _number, "changed_at": _time, "seen_at": _time, "calm_since": _time,
    "per_broker": _numbers, "record_bytes": _number, "is_weighed": lambda value, _: value is True,
}
"""How a field of a stored piece is read, by its name."""
