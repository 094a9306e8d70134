"""Conditions in the form of Kubernetes: the time of the last transition moves only when the status does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.core.verdict import Condition

LONGEST_MESSAGE: Final = 2048
_STATUS: Final = {True: "True", False: "False", None: "Unknown"}
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def conditions_as_status(
    conditions: Iterable[Condition], generation: int, previous: Mapping[str, Any], now: float
) -> list[dict[str, Any]]:
    """The conditions as the status carries them.

    Args:
        conditions: one of each type.
        generation: the `metadata.generation` that they speak of.
        previous: the status before, in whatever condition.
        now: seconds since the epoch; the transition time of each condition that is new or whose status changed.
    """
    before = conditions_by_type(previous)
    return [_as_status(condition, generation, before.get(condition.type, {}), now) for condition in conditions]


def conditions_by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The conditions of a status by their type; what is not a condition is left out."""
    stored = status.get("conditions")
    entries = stored if isinstance(stored, list | tuple) else ()
    return {
        entry["type"]: entry for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("type"), str)
    }


def timestamp(at: float) -> str:
    """RFC 3339, to the second, as Kubernetes writes times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_timestamp(value: Any) -> bool:
    """Whether the value is a time as `timestamp` writes it, and one the API server will take back."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _as_status(condition: Condition, generation: int, before: Mapping[str, Any], now: float) -> dict[str, Any]:
    status, since = _STATUS[condition.status], before.get("lastTransitionTime")
    unchanged = before.get("status") == status and is_timestamp(since)
    return {
        "type": condition.type.value,
        "status": status,
        "reason": condition.reason.value,
        "message": one_line(condition.message, LONGEST_MESSAGE),
        "observedGeneration": generation,
        "lastTransitionTime": since if unchanged else timestamp(now),
    }
