"""How far apart polls are when brokers answer slowly."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.control.pace import STRETCH_MAX, Pace

START = Pace()


def paced(*polls: float, pace: Pace = START) -> Pace:
    for seconds in polls:
        pace = pace.after_poll(seconds, 15.0)
    return pace


@pytest.mark.parametrize(("polls", "stretch"), [
    ((1.0,) * 50, 1),
    ((7.5,) * 50, 1),
    ((8.0,) * 2, 1),
    ((8.0, 8.0, 1.0, 8.0, 8.0), 1),
    ((8.0,) * 3, 2),
    ((8.0,) * 50, 2),
    ((16.0,) * 50, 4),
    ((100.0,) * 50, STRETCH_MAX),
])
def test_three_polls_in_a_row_over_half_of_the_interval_double_it_until_they_fit(
    polls: tuple[float, ...], stretch: int
) -> None:
    assert paced(*polls).stretch == stretch


@pytest.mark.parametrize(("polls", "stretch"), [((5.9,) * 2, 2), ((5.9,) * 3, 1), ((6.0,) * 50, 2), ((1.0,) * 50, 1)])
def test_three_quick_polls_in_a_row_halve_it_again(polls: tuple[float, ...], stretch: int) -> None:
    assert paced(*polls, pace=Pace(2)).stretch == stretch


@pytest.mark.parametrize("seconds", [0.1, 1.0, 2.9, 3.1, 7.4, 7.6, 14.0, 15.0, 29.0, 59.0, 61.0, 119.0])
def test_polls_that_take_the_same_time_lead_to_one_pace_and_not_to_two_in_turns(seconds: float) -> None:
    settled = paced(*(seconds,) * 40)
    assert {paced(*(seconds,) * more, pace=settled).stretch for more in range(20)} == {settled.stretch}
