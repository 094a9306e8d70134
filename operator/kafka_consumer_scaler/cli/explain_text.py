"""How a KafkaConsumerScaler stands, as text: what matters at night comes first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from kafka_consumer_scaler.cli.foreign import moment
from kafka_consumer_scaler.cli.loop import loop_parts
from kafka_consumer_scaler.cli.rendering import (
    bullet,
    columns,
    duration,
    findings_parts,
    heading,
    indented,
    rate,
    records,
    sentences_parts,
    tables_parts,
)

BACKLOG_STYLES: Final = {"CaughtUp": "bold green", "Draining": "bold cyan", "Behind": "bold yellow",
                         "Stalled": "bold red", "Rewound": "bold red"}
RATES: Final = {"arrival": "{} arrive", "drain": "{} are processed", "capacityPerConsumer": "a consumer can do {}"}


def standing_parts(standing: Mapping[str, Any], now: datetime) -> list[RenderableType]:
    """The whole, part by part; ages are told as of `now`."""
    return [
        _headline(standing),
        *(Text(f"! {hint}", "yellow") for hint in standing.get("hints", ())),
        *_decision(standing, now),
        *loop_parts(standing),
        *sentences_parts(sentences_of(standing)),
        *findings_parts(standing.get("findings", ())),
        *tables_parts(standing.get("explanation", {})),
        *_conditions(standing, now),
        *_events(standing, now),
    ]


def sentences_of(standing: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation without the reasons that the findings tell again, with more."""
    explanation = standing.get("explanation", {})
    told = tuple(f"{finding['name']}: " for finding in standing.get("findings", ()))
    return {**explanation, "why": [each for each in explanation.get("why", ()) if not each.startswith(told)]}


def headline_of(standing: Mapping[str, Any]) -> list[str]:
    """The numbers of the headline, one phrase each."""
    phrases = (lag_of(standing), age_of(standing), replicas_of(standing), _manner(standing))
    return [phrase for phrase in phrases if phrase]


def lag_of(standing: Mapping[str, Any]) -> str:
    """`lag 12,400 records, growing`."""
    lag = standing.get("lag", {})
    trend = f", {lag['trend'].lower()}" if "trend" in lag else ""
    return f"lag {records(lag['records'])} records{trend}" if "records" in lag else "lag unknown"


def age_of(standing: Mapping[str, Any]) -> str:
    """`oldest 95 s of 60 s allowed`."""
    objective, lag = standing.get("objective", {}), standing.get("lag", {})
    allowed = f" of {duration(objective['lagSeconds'])} allowed" if "lagSeconds" in objective else ""
    if "lagPerReplica" in objective:
        allowed = f", {records(objective['lagPerReplica'])} records a replica allowed"
    return f"oldest {duration(lag['seconds'])}{allowed}" if "seconds" in lag else ""


def replicas_of(standing: Mapping[str, Any]) -> str:
    """`replicas 4 -> 6 (1 to 12; 4 exist)`."""
    found = standing.get("replicas", {})
    current, desired = found.get("current"), found.get("desired")
    change = f"{'?' if current is None else current}" + ("" if desired in (None, current) else f" -> {desired}")
    bounds = f"{found['minimum']} to {found['maximum']}" if {"minimum", "maximum"} <= set(found) else ""
    existing = f"{found['existing']} exist" if found.get("existing", current) != current else ""
    notes = "; ".join(note for note in (bounds, existing) if note)
    return f"replicas {change}" + (f" ({notes})" if notes else "")


def ago(time: str | None, now: datetime) -> str:
    """`12 s ago`; a clock that is behind the cluster's makes it `0 s ago`. Empty for no time."""
    then = moment(time)
    return f"{duration(max(0, round((now - then).total_seconds())))} ago" if then else ""


def times_of(standing: Mapping[str, Any], now: datetime) -> str:
    """`status written 12 s ago; last scaled 4 min ago`."""
    written, scaled = ago(standing.get("written"), now), ago(standing.get("scaled"), now)
    told = [f"status written {written}" if written else "", f"last scaled {scaled}" if scaled else ""]
    return "; ".join(phrase for phrase in told if phrase)


def rates_of(standing: Mapping[str, Any]) -> str:
    """`120/s arrive, 80/s are processed, a consumer can do 20/s`."""
    rates = standing.get("rates", {})
    return ", ".join(form.format(rate(rates[name])) for name, form in RATES.items() if name in rates)


def _headline(standing: Mapping[str, Any]) -> Text:
    backlog = standing.get("backlog", "Unknown")
    name = f"{standing.get('namespace', '?')}/{standing.get('name', '?')}"
    state = (backlog, BACKLOG_STYLES.get(backlog, "bold magenta"))
    return Text.assemble((name, "bold"), ": ", state, " - ", "; ".join(headline_of(standing)))


def _manner(standing: Mapping[str, Any]) -> str:
    """Why nothing is changed whatever is decided."""
    return "paused" if standing.get("paused") else "advisory" if standing.get("mode") == "Advisory" else ""


def _decision(standing: Mapping[str, Any], now: datetime) -> list[RenderableType]:
    told = [Text(standing["decision"])] if "decision" in standing else []
    facts = [f"group {standing['group']}" if "group" in standing else "", standing.get("target", ""),
             f"{standing['partitions']} partitions" if "partitions" in standing else "", rates_of(standing),
             times_of(standing, now)]
    return [*told, Text("; ".join(fact for fact in facts if fact), "dim")]


def odd_conditions(standing: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that are not as they should be: all but ScalingLimited should be True."""
    return [each for each in standing.get("conditions", ())
            if each["status"] != ("False" if each["type"] == "ScalingLimited" else "True")]


def _conditions(standing: Mapping[str, Any], now: datetime) -> list[RenderableType]:
    told = [bullet(_condition(each, now), f"{each['type']} is {each['status']}", "bold yellow")
            for each in odd_conditions(standing)]
    return [heading("Conditions"), *told] if told else []


def _condition(condition: Mapping[str, Any], now: datetime) -> str:
    since = ago(condition.get("since"), now)
    words = f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return f"{words} (since {since.removesuffix(' ago')})" if since else words


def _events(standing: Mapping[str, Any], now: datetime) -> list[RenderableType]:
    if not standing.get("events"):
        return []
    table = columns("when", "event", "", right=("when",))
    for event in standing["events"]:
        style = "yellow" if event.get("type") == "Warning" else ""
        times = f" (x{event['count']})" if event.get("count", 1) > 1 else ""
        table.add_row(ago(event["at"], now), Text(event.get("reason", ""), style), Text(event["note"] + times))
    return [heading("Last events"), indented(table)]
