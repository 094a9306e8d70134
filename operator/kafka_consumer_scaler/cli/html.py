"""Reports in HTML: each is one file without scripts, and asks for nothing from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from kafka_consumer_scaler.cli import explain_text, loop, rendering
from kafka_consumer_scaler.cli.explain_text import ago, headline_of, rates_of, sentences_of, times_of
from kafka_consumer_scaler.cli.rendering import SENTENCES

TICKS_MAX: Final = 24
"""More replicas than this are not marked one by one."""
CLOSE_SHARE: Final = 0.1
"""Two numbers nearer than this share of the scale are written as one."""
SIDE_PITCH: Final = 224
ROWS_FROM: Final = 50
ROW_PITCH: Final = 50
"""Units of the loop's picture: of 640 a side has 192, and there are 32 for the arrow to the next."""


def page(template: str, values: Mapping[str, Any]) -> str:
    """The template filled in. Values are escaped; a value that the template names and that is missing is an error."""
    environment = Environment(loader=PackageLoader("kafka_consumer_scaler.cli"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"records": rendering.records, "rate": rendering.rate, "duration": rendering.duration,
                            "picture": _picture}
    return environment.get_template(template).render(values)


def explain_page(standing: Mapping[str, Any], now: datetime) -> str:
    """How a KafkaConsumerScaler stands; ages are told as of `now`."""
    explanation, sentences = standing.get("explanation", {}), sentences_of(standing)
    sides = loop.loop_of(standing)
    return page("explain.html.j2", {
        "title": f"{standing.get('namespace', '?')}/{standing.get('name', '?')}",
        "backlog": standing.get("backlog", "Unknown"),
        "headline": headline_of(standing),
        "facts": [fact for fact in (_group(standing), rates_of(standing), times_of(standing, now)) if fact],
        "sections": {title: sentences[name] for name, title in SENTENCES.items() if sentences.get(name)},
        "partitions": _with_share(explanation.get("partitions", [])),
        "advice": explanation.get("advice", []),
        "odd": explain_text.odd_conditions(standing),
        "loop_title": loop.TITLE,
        "loop_words": loop.words_of(sides),
        "sides": _placed(sides),
        "scale": scale_of(standing.get("replicas", {})),
        "ago": lambda time: ago(time, now),
        "standing": {"asked": "", "decision": "", "hints": [], "findings": [], "events": []} | dict(standing),
    })


def scale_of(replicas: Mapping[str, int]) -> dict[str, Any]:
    """Where the replicas stand between their bounds, in percent of the way from 0 to the most; empty if unknown.

    Those that exist count, and if that is not known those that were asked for. Someone may have set more than the
    bounds allow; then the scale is longer.
    """
    asked, maximum = replicas.get("current"), replicas.get("maximum")
    current = replicas.get("existing", asked)
    if asked is None or current is None or maximum is None or maximum < 1:
        return {}
    desired, minimum = replicas.get("desired", asked), replicas.get("minimum", 0)
    end = max(current, desired, maximum)
    numbers = {"current": current, "desired": desired, "minimum": minimum, "maximum": maximum}
    places = {f"{name}_at": round(100 * value / end, 2) for name, value in numbers.items()}
    ticks = [round(100 * tick / end, 2) for tick in range(end + 1)] if end <= TICKS_MAX else []
    return {**numbers, **places, "ticks": ticks, "is_close": abs(desired - current) < CLOSE_SHARE * end}


def _placed(sides: Mapping[str, list[loop.Row]]) -> list[dict[str, Any]]:
    """Both sides of the loop and the topic between them, from left to right, with the place of each row."""
    return [{"name": name, "x": SIDE_PITCH * number,
             "rows": [asdict(row) | {"y": ROWS_FROM + ROW_PITCH * place} for place, row in enumerate(rows)]}
            for number, (name, rows) in enumerate(sides.items())]


def _picture(png: bytes) -> str:
    """A picture as the address of itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _group(standing: Mapping[str, Any]) -> str:
    count = f"{standing['partitions']} partitions" if "partitions" in standing else ""
    group = f"group {standing['group']}" if "group" in standing else ""
    return "; ".join(word for word in (group, standing.get("target", ""), count) if word)


def _with_share(partitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each with the width of its bar, in percent of the longest."""
    most = max((each.get("lag", 0) for each in partitions), default=0)
    return [{"lag": None, "seconds": None, "arrival": None, "note": ""} | each
            | {"share": round(100 * each.get("lag", 0) / most, 2) if most > 0 else 0} for each in partitions]
