"""Values that others wrote, made fit to show: text on one line, numbers that are numbers; junk becomes nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.core.reasons import Reason

LONGEST_LINE: Final = 2048
MOST_ENTRIES: Final = 50
_HUMP: Final = re.compile(r"(?<!^)(?=[A-Z])")
_TEXTS: Final = ("why", "limits", "upstream", "otherwise")
_TABLES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "partitions": (("partition", "note"), ("lag", "seconds", "arrival")),
    "advice": (("about", "evidence", "remedy", "gain"), ()),
}


def line(value: Any) -> str:
    """The text on one line, control characters escaped; empty if the value is no text."""
    return one_line(value, LONGEST_LINE) if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e18 <= value <= 1e18:
        return None
    return value if math.isfinite(value) else None


def whole(value: Any) -> int | None:
    """The value if it is a whole number."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Any]:
    """The value's first entries if it is a list, else none."""
    return list(value[:MOST_ENTRIES]) if isinstance(value, list | tuple) else []


def lines(value: Any) -> list[str]:
    """The texts among the entries."""
    return [shown for each in entries(value) if (shown := line(each))]


def moment(value: Any) -> datetime | None:
    """The time if the value is one as Kubernetes writes them."""
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that say something: no None, and nothing that is empty."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}


def explanation_of(value: Any) -> dict[str, Any]:
    """What can be read of a `status.explanation`, in the same shape."""
    given = mapping(value)
    texts = {name: lines(given.get(name)) for name in _TEXTS}
    tables = {name: _rows(given.get(name), *columns) for name, columns in _TABLES.items()}
    return known(texts | tables)


def _rows(value: Any, texts: tuple[str, ...], numbers: tuple[str, ...]) -> list[dict[str, Any]]:
    """The entries that at least have a name, which is the first of the texts."""
    found = [mapping(each) for each in entries(value)]
    rows = [known({name: line(each.get(name)) for name in texts} | {name: number(each.get(name)) for name in numbers})
            for each in found]
    return [row for row in rows if texts[0] in row]


def runbook_of(reason: str) -> str:
    """The name of the page that tells what to do about a finding; empty for a word that is no Reason."""
    return f"docs/runbooks/{_HUMP.sub('-', reason).lower()}.md" if reason in set(Reason) else ""
