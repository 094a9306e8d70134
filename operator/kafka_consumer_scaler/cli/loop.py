"""Both sides of the loop in one picture: producers, topic and consumers, a few rows each, for text and for HTML.

Rates have one scale, so that what arrives, what producers are held to and what consumers sustain are bars to compare;
age has one up to the objective or beyond, and replicas one up to their maximum. What is unknown has no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from kafka_consumer_scaler.cli.rendering import duration, heading, indented, rate, records
from kafka_consumer_scaler.core.reasons import Reason

TITLE: Final = "The loop"
SIDES: Final = ("producers", "topic", "consumers")
BAR_COLUMNS: Final = 20
HELD_BY: Final = (Reason.AT_QUOTA_FLOOR,)
BOUND_BY: Final = (Reason.HOT_PARTITION, Reason.INEFFECTIVE_SCALING, Reason.STUCK_PARTITION,
                   Reason.REPLICAS_NOT_JOINING, Reason.AT_PARTITION_LIMIT, Reason.AT_MAX_REPLICAS)
"""What keeps more consumers from helping; of several the first is told, as the others would bind without it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity.

    Args:
        name: what it is.
        shown: the quantity in words.
        amount: its length on the side's scale; None for no bar.
        mark: where on the scale a limit stands; None for none.
        note: what else belongs to it.
        is_wish: nothing that is, but what was asked for or would be possible.
    """

    name: str
    shown: str = ""
    amount: float | None = None
    mark: float | None = None
    note: str = ""
    is_wish: bool = False


def loop_of(standing: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The rows of each side, amounts and marks in percent of their scale; none while no rate is known."""
    if not standing.get("rates"):
        return {}
    sides = {"producers": _producers(standing), "consumers": _rates_of_consumers(standing)}
    end = _end(row for rows in sides.values() for row in rows)
    scaled = {name: _scaled(rows, end) for name, rows in sides.items()}
    return {"producers": [*scaled["producers"], *_bound(standing, HELD_BY)],
            "topic": _topic(standing),
            "consumers": [*scaled["consumers"], *_replicas(standing), *_bound(standing, BOUND_BY)]}


def loop_parts(standing: Mapping[str, Any]) -> list[RenderableType]:
    """The picture as lines with bars of `#`, and of `-` for what is no more than a wish; nothing without a rate."""
    sides = loop_of(standing)
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_column(overflow="fold")
    for side, rows in sides.items():
        for number, row in enumerate(rows):
            table.add_row(Text("" if number else side, "bold"), row.name, row.shown, bar(row), Text(row.note))
    return [heading(TITLE), indented(table)] if sides else []


def words_of(sides: Mapping[str, list[Row]]) -> str:
    """The picture in words: `producers: arrive 620/s; topic: lag 12,400, oldest 95 s of 60 s allowed; ...`."""
    return "; ".join(f"{side}: {', '.join(_words(row) for row in rows)}" for side, rows in sides.items() if rows)


def _words(row: Row) -> str:
    return " ".join(word for word in (row.name, row.shown, row.note) if word)


def bar(row: Row) -> Text:
    """`######    |` is 60% of a limit."""
    if row.amount is None:
        return Text()
    drawn = ("-" if row.is_wish else "#") * round(row.amount * BAR_COLUMNS / 100)
    if row.mark is None:
        return Text(drawn)
    at = min(BAR_COLUMNS, round(row.mark * BAR_COLUMNS / 100))
    return Text(f"{drawn[:at].ljust(at)}|{drawn[at:]}")


def _producers(standing: Mapping[str, Any]) -> list[Row]:
    throttle, safe = standing.get("throttle", {}), standing.get("safeRate", {})
    arrival, rows = standing["rates"].get("arrival"), []
    if (demand := throttle.get("demand", 0)) > (arrival or 0):
        rows.append(Row("asked for", rate(demand), demand, note="before they were held", is_wish=True))
    if arrival is not None:
        rows.append(Row("arrive", rate(arrival), arrival))
    if "records" in throttle:
        rows.append(_held(throttle))
    elif "records" in safe:
        rows.append(Row("safe", rate(safe["records"]), safe["records"], note=_at_least(safe), is_wish=True))
    return rows


def _held(throttle: Mapping[str, Any]) -> Row:
    """What brokers were told, or are to be told; the floor of it is the mark."""
    held, floor, is_set = throttle["records"], throttle.get("floorBytes"), bool(throttle.get("isSet"))
    told = f"{records(throttle['bytes'])} bytes/s" + ("" if floor is None else f"; floor {records(floor)}")
    mark = None if floor is None or not throttle["bytes"] else held * floor / throttle["bytes"]
    return Row("held to" if is_set else "to be held to", rate(held), held, mark, told, is_wish=not is_set)


def _topic(standing: Mapping[str, Any]) -> list[Row]:
    lag, allowed = standing.get("lag", {}), standing.get("objective", {}).get("lagSeconds")
    rows = [Row("lag", records(lag["records"]))] if "records" in lag else []
    if "seconds" in lag and allowed is not None:
        row = Row("oldest", duration(lag["seconds"]), lag["seconds"], allowed, f"of {duration(allowed)} allowed")
        return [*rows, *_scaled([row], _end([row]))]
    return [*rows, Row("oldest", duration(lag["seconds"]))] if "seconds" in lag else rows


def _rates_of_consumers(standing: Mapping[str, Any]) -> list[Row]:
    drain, safe = standing["rates"].get("drain"), standing.get("safeRate", {})
    rows = [] if drain is None else [Row("process", rate(drain), drain)]
    if "sustained" in safe:
        with_ = f"with {safe['replicas']} replicas" if "replicas" in safe else ""
        note = ", ".join(word for word in (_at_least(safe), with_) if word)
        rows.append(Row("sustain", rate(safe["sustained"]), safe["sustained"], note=note, is_wish=True))
    return rows


def _replicas(standing: Mapping[str, Any]) -> list[Row]:
    found, useful = standing.get("replicas", {}), standing.get("safeRate", {}).get("replicas")
    current, maximum = found.get("existing", found.get("current")), found.get("maximum")
    if current is None or maximum is None:
        return []
    note = f"of {maximum} allowed" if useful is None else f"of {useful} useful, {maximum} allowed"
    row = Row("replicas", str(current), current, maximum if useful is None else useful, note)
    return _scaled([row], _end([row, Row("", amount=maximum)]))


def _bound(standing: Mapping[str, Any], reasons: tuple[Reason, ...]) -> list[Row]:
    """The first of the findings that is there."""
    found = {finding["name"] for finding in standing.get("findings", ())}
    first = next((str(reason) for reason in reasons if reason in found), None)
    return [Row("bound by", note=first)] if first else []


def _at_least(safe: Mapping[str, Any]) -> str:
    return "at least" if safe.get("isLowerBound") else ""


def _end(rows: Iterable[Row]) -> float:
    """The end of a scale on which all of them have room."""
    return max((value for row in rows for value in (row.amount, row.mark) if value is not None), default=0)


def _scaled(rows: list[Row], end: float) -> list[Row]:
    return [replace(row, amount=_percent(row.amount, end), mark=_percent(row.mark, end)) for row in rows]


def _percent(value: float | None, end: float) -> float | None:
    return None if value is None else round(100 * max(0, value) / end, 2) if end > 0 else 0.0
