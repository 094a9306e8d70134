"""The example of docs/explain.md is what the command prints, and its table names every key."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kafka_consumer_scaler.cli.explain_output import Output
from kafka_consumer_scaler.cli.html import explain_page
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.cli.test_explain import standing
from tests.cli.test_loop import held
from tests.docs.explain_picture import (
    LOOP_PICTURE,
    MARGIN,
    NO_BROWSER,
    PICTURE,
    WIDTH,
    browser,
    cut,
    draw,
    loop_page,
)
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


@pytest.mark.parametrize(("page", "picture"), [
    (lambda: explain_page(*example()), PICTURE), (loop_page, LOOP_PICTURE),
], ids=["report", "loop"])
def test_the_picture_is_as_the_command_draws_it(page: Callable[[], str], picture: Path, tmp_path: Path) -> None:
    """Fonts differ from machine to machine, so the sizes of the pictures are compared and no pixels."""
    if (found := browser()) is None:
        pytest.fail(NO_BROWSER, pytrace=False)
    draw(found, page(), tmp_path, tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as drawn, Image.open(picture) as shown:
        assert drawn.width == shown.width == WIDTH
        assert abs(drawn.height - shown.height) < 0.2 * shown.height


def test_every_key_of_the_object_is_told_of() -> None:
    section = PAGE.text.split("## The object\n", 1)[1]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    told = [key for cell in cells for key in re.findall(r"`(\w+)`", cell)]
    assert told == list(held() | {"hints": standing(events=Unknown("x"))["hints"]})


def test_the_keys_within_are_told_of() -> None:
    rows = dict(re.findall(r"^\| (`[^|]*) \| ([^|]*) \|$", PAGE.text.split("## The object\n", 1)[1], re.MULTILINE))
    found = held() | {"explanation": standing()["explanation"] | {"upstream": ["x"]}}
    for key in ("objective", "replicas", "safeRate", "throttle", "explanation", "findings", "conditions", "events"):
        values = found[key] if isinstance(found[key], list) else [found[key]]
        keys = {name for value in values for name in value}
        assert {name for name in keys if f"`{name}`" not in rows[f"`{key}`"]} == set(), key
