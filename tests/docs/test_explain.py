"""The example of docs/explain.md is what the command prints, and its table names every key."""

from __future__ import annotations

import io
import re

from kafka_consumer_scaler.cli.explain_output import Output
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.cli.test_explain import standing
from tests.docs.explained import PAGE, example


def test_the_answer_shown_is_the_answer() -> None:
    found, _ = example()
    printed = io.StringIO()
    Output("text", None, printed).show(found)
    (shown,) = PAGE.blocks("text")
    assert shown == printed.getvalue(), f"the page is to show:\n{printed.getvalue()}"


def test_every_key_of_the_object_is_told_of() -> None:
    section = PAGE.text.split("## The object\n", 1)[1]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    told = [key for cell in cells for key in re.findall(r"`(\w+)`", cell)]
    assert told == list(standing() | {"hints": standing(events=Unknown("x"))["hints"]})


def test_the_keys_within_are_told_of() -> None:
    rows = dict(re.findall(r"^\| (`[^|]*) \| ([^|]*) \|$", PAGE.text.split("## The object\n", 1)[1], re.MULTILINE))
    found = standing()
    for key in ("objective", "replicas", "explanation", "findings", "conditions", "events"):
        values = found[key] if isinstance(found[key], list) else [found[key]]
        keys = {name for value in values for name in value}
        assert {name for name in keys if f"`{name}`" not in rows[f"`{key}`"]} == set(), key
