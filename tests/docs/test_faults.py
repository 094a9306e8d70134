"""The page of the faults names every kind and every law, in the words of the code."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, page
from tests.faults.invariants import SETTLE_SECONDS
from tests.faults.plan import KINDS
from tests.faults.shop import GROUPS

PAGE = page("docs/faults.md")


def test_every_kind_of_fault_is_on_the_page() -> None:
    rows = {row[0].strip("`"): row[1] for row in PAGE.table("kinds")[1:]}
    assert rows == {name: (kind.__doc__ or "").strip() for name, kind in KINDS.items()}


def test_every_law_is_on_the_page() -> None:
    source = (ROOT / "tests/faults/invariants.py").read_text()
    laws = set(re.findall(r'Violation\("(\w+)"', source))
    assert {row[0].strip("`") for row in PAGE.table("laws")[1:]} == laws
    assert SETTLE_SECONDS == 120


def test_the_page_tells_the_load_that_is_played() -> None:
    for group in GROUPS:
        assert f"`{group.name}`: {group.partitions} partitions" in PAGE.text
        for rate, _ in group.levels:
            assert f"{rate:.0f}" in PAGE.text
