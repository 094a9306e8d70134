"""Which events are posted and which are counted."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kube.series import NOTES_MAX, WINDOW_SECONDS, Likeness, Posted, SeriesBook

PARTIAL = Likeness("uid-1", True, Reason.METRICS_UNAVAILABLE, "Deployment shop/orders")
SCALED = Likeness("uid-1", False, Reason.SCALED_UP, "Deployment shop/orders")


def book_with(likeness: Likeness, *notes: str, at: float = 0.0) -> SeriesBook:
    book = SeriesBook()
    for note in notes:
        book.posted(likeness, Posted(f"orders.{note}", note, at, at))
    return book


def counted_on(book: SeriesBook, likeness: Likeness, note: str, at: float) -> str | None:
    posted = book.to_count_on(likeness, note, at)
    return posted.note if posted else None


def test_the_same_note_within_the_window_is_counted() -> None:
    assert counted_on(book_with(PARTIAL, "2 of 12"), PARTIAL, "2 of 12", at=WINDOW_SECONDS - 1) == "2 of 12"


def test_the_same_note_after_the_window_is_posted_anew() -> None:
    assert counted_on(book_with(PARTIAL, "2 of 12"), PARTIAL, "2 of 12", at=WINDOW_SECONDS) is None


def test_a_series_lives_as_long_as_it_is_observed() -> None:
    book = book_with(PARTIAL, "2 of 12")
    for at in range(300, 3600, 300):
        posted = book.to_count_on(PARTIAL, "2 of 12", at)
        assert posted is not None
        book.counted(PARTIAL, posted, at)

    last = book.to_count_on(PARTIAL, "2 of 12", at=3600)
    assert last is not None
    assert last.count == 12


def test_other_numbers_are_posted_so_that_the_newest_are_read() -> None:
    assert counted_on(book_with(PARTIAL, "2 of 12"), PARTIAL, "3 of 12", at=15) is None


def test_after_five_different_notes_the_next_are_counted_on_the_newest() -> None:
    notes = [f"{n} of 12" for n in range(NOTES_MAX)]

    assert counted_on(book_with(PARTIAL, *notes[:-1]), PARTIAL, "9 of 12", at=15) is None
    assert counted_on(book_with(PARTIAL, *notes), PARTIAL, "9 of 12", at=15) == notes[-1]


def test_a_note_that_changes_at_every_poll_for_an_hour_gives_at_most_fifty_events() -> None:
    book = SeriesBook()
    events = 0
    for at in range(0, 3600, 5):
        posted = book.to_count_on(PARTIAL, f"at {at}", at)
        if posted:
            book.counted(PARTIAL, posted, at)
        else:
            events += 1
            book.posted(PARTIAL, Posted(f"orders.{at}", f"at {at}", at, at))

    assert NOTES_MAX < events <= 50


def test_every_change_of_replicas_is_posted() -> None:
    book = book_with(SCALED, *(f"from {n}" for n in range(20)))

    assert counted_on(book, SCALED, "from 20", at=1) is None


@pytest.mark.parametrize(
    "other",
    [
        Likeness("uid-2", True, Reason.METRICS_UNAVAILABLE, "Deployment shop/orders"),
        Likeness("uid-1", False, Reason.METRICS_UNAVAILABLE, "Deployment shop/orders"),
        Likeness("uid-1", True, Reason.TARGET_NOT_FOUND, "Deployment shop/orders"),
        Likeness("uid-1", True, Reason.METRICS_UNAVAILABLE, "Deployment shop/payments"),
    ],
)
def test_events_that_are_not_alike_are_not_counted_together(other: Likeness) -> None:
    assert counted_on(book_with(PARTIAL, "2 of 12"), other, "2 of 12", at=1) is None


def test_an_event_that_exists_no_more_is_not_counted_on() -> None:
    book = book_with(PARTIAL, "2 of 12")
    posted = book.to_count_on(PARTIAL, "2 of 12", at=1)
    assert posted is not None

    book.lost(PARTIAL, posted)

    assert book.to_count_on(PARTIAL, "2 of 12", at=1) is None


def test_the_book_forgets_what_fell_silent() -> None:
    book = SeriesBook()
    for n in range(10_000):
        likeness = Likeness(f"uid-{n}", True, Reason.METRICS_UNAVAILABLE, "None")
        book.posted(likeness, Posted(f"orders.{n}", "note", n, n))

    assert len(book) <= WINDOW_SECONDS + 1
