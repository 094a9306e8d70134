"""The page of the tests' times has its three tables, and the folders of its sums exist; times are not compared."""

from __future__ import annotations

from tests.docs.pages import ROOT, page
from tests.durations import PAGE, SLOWEST


def rows(table: str) -> list[list[str]]:
    return page(PAGE).table(table)[1:]


def test_the_page_ranks_the_slowest_fifty_tests() -> None:
    assert SLOWEST == 50
    assert [row[0] for row in rows("slowest")] == [str(rank) for rank in range(1, 51)]


def test_the_page_sums_the_times_of_folders_that_exist() -> None:
    *folders, everything = rows("folders")
    assert everything[0] == "all"
    assert [row[0] for row in folders if not (ROOT / row[0].strip("`")).is_dir()] == []
    assert sum(int(row[1].replace(",", "")) for row in folders) == int(everything[1].replace(",", ""))


def test_the_page_says_how_long_each_process_was_busy_and_idle() -> None:
    assert rows("processes")
    assert all(len(row) == 4 and row[0] for row in rows("processes"))
