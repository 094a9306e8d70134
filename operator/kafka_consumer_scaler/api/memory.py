"""Memory, saved in the resource's status and read back after a restart. Whatever stands there, reading never raises.

The stored form is private to the operator, so the CRD leaves it open: an operator that is newer than the CRD loses
nothing. Every piece is checked by itself, and a piece that makes no sense is dropped: the worst outcome is an operator
that waits for a full window again, as after its first start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from kafka_consumer_scaler.api.spec import MAX_REPLICAS
from kafka_consumer_scaler.core.limits import Scaled
from kafka_consumer_scaler.core.rates import Capacity
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.stabilization import Memory, Recommended

VERSION: Final = 1
LONGEST: Final = 1000
"""Entries of one list that are read back, the newest."""


T = TypeVar("T", Scaled, Recommended)


def memory_to_status(memory: Memory) -> dict[str, Any]:
    """The stored form: pieces that are empty are left out."""
    capacity = memory.capacity
    pieces: dict[str, Any] = {
        "scales": [{"at": each.at, "before": each.before, "after": each.after} for each in memory.scales],
        "highs": [{"at": each.at, "replicas": each.replicas} for each in memory.highs],
        "lows": [{"at": each.at, "replicas": each.replicas} for each in memory.lows],
        "capacity": {"perConsumer": capacity.per_consumer, "learned": capacity.learned} if capacity else None,
        "assignor": memory.assignor,
        "said": sorted(memory.said),
    }
    return {"version": VERSION} | {name: piece for name, piece in pieces.items() if piece}


def memory_from_status(status: Mapping[str, Any], now: float) -> Memory:
    """What an earlier operator remembered, or the empty Memory. Times after `now` become `now`: the clock was set back.

    Args:
        status: the resource's status, in whatever condition.
        now: seconds since the epoch.
    """
    stored = mapping(status).get("memory")
    if not isinstance(stored, Mapping) or stored.get("version") != VERSION:
        return Memory()
    return Memory(
        scales=_read_all(stored.get("scales"), now, _scaled),
        highs=_read_all(stored.get("highs"), now, _recommended),
        lows=_read_all(stored.get("lows"), now, _recommended),
        capacity=_capacity(mapping(stored.get("capacity"))),
        assignor=_assignor(stored.get("assignor")),
        said=_reasons(stored.get("said")),
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _read_all(stored: Any, now: float, read: Callable[[Mapping[str, Any], float], T | None]) -> tuple[T, ...]:
    entries = stored[-LONGEST:] if isinstance(stored, list | tuple) else ()
    found = [read(entry, now) for entry in entries if isinstance(entry, Mapping)]
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.at))


def _scaled(entry: Mapping[str, Any], now: float) -> Scaled | None:
    at, before, after = _time(entry.get("at"), now), _replicas(entry.get("before")), _replicas(entry.get("after"))
    return None if at is None or before is None or after is None else Scaled(at, before, after)


def _recommended(entry: Mapping[str, Any], now: float) -> Recommended | None:
    at, replicas = _time(entry.get("at"), now), _replicas(entry.get("replicas"))
    return None if at is None or replicas is None else Recommended(at, replicas)


def _time(value: Any, now: float) -> float | None:
    at = _number(value)
    return None if at is None else min(at, now)


def _number(value: Any) -> float | None:
    """A finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1e15 else None


def _replicas(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number <= MAX_REPLICAS and number.is_integer() else None


def _capacity(entry: Mapping[str, Any]) -> Capacity | None:
    rate, learned = _number(entry.get("perConsumer")), entry.get("learned")
    return Capacity(rate, learned) if rate and isinstance(learned, bool) else None


def _assignor(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 255 else ""


def _reasons(stored: Any) -> frozenset[Reason]:
    known = {reason.value: reason for reason in Reason}
    words = stored if isinstance(stored, list | tuple) else ()
    return frozenset(known[word] for word in words if isinstance(word, str) and word in known)
