"""The example of docs/explain.md is what the command prints, and its table names every key."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kafka_consumer_scaler.cli.explain_output import Output
from kafka_consumer_scaler.cli.html import explain_page
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.cli.test_explain import standing
from tests.docs.explain_picture import MARGIN, PICTURE, WIDTH, browser, cut, draw
from tests.docs.explained import PAGE, example


def test_the_answer_shown_is_the_answer() -> None:
    found, _ = example()
    printed = io.StringIO()
    Output("text", None, printed).show(found)
    (shown,) = PAGE.blocks("text")
    assert shown == printed.getvalue(), f"the page is to show:\n{printed.getvalue()}"


def test_a_picture_ends_a_margin_below_the_last_thing_drawn() -> None:
    pixels = np.full((500, 4, 3), 250, dtype=np.uint8)
    pixels[99, 2, 1] = 0
    assert cut(pixels).shape == (100 + MARGIN, 4, 3)


def test_the_picture_is_as_the_command_draws_it(tmp_path: Path) -> None:
    """Fonts differ from machine to machine, so the sizes of the pictures are compared and no pixels."""
    if (found := browser()) is None:
        pytest.skip("no browser is installed")
    draw(found, explain_page(*example()), tmp_path, tmp_path / "explain.png")
    with Image.open(tmp_path / "explain.png") as drawn, Image.open(PICTURE) as shown:
        assert drawn.width == shown.width == WIDTH
        assert abs(drawn.height - shown.height) < 0.2 * shown.height


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
