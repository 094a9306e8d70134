"""The sections of the docs' pages that benchmarks write."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import backpressure, consumers, findings, proof, reality
from benchmarks.section import Section

OLD = "# A\n<!-- x: begin -->\nold\n<!-- x: end -->\n## B\n"


def test_a_section_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(OLD)
    Section(page, "x").write("new")
    assert page.read_text() == OLD.replace("old", "\nnew\n")
    assert Section(page, "x").read() == "\n\nnew\n\n"


@pytest.mark.parametrize("text", ["# A\n", OLD.replace("end", "fin"), OLD.replace("x", "y")])
def test_a_page_without_the_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="no <!-- x: begin --> and <!-- x: end -->"):
        Section(page, "x").write("new")
    assert page.read_text() == text


@pytest.mark.parametrize("section", [
    proof.SECTION, findings.SECTION, reality.SECTION, consumers.LEARNED, consumers.BATCHES, backpressure.SECTION,
], ids=lambda each: each.name)
def test_every_section_stands_on_its_page(section: Section) -> None:
    assert "|" in section.read()
