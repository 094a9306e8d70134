"""Who is in the group, who came and went, and which transactions are open for long."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.membership import Hung, Unrest, hung_transactions, memberless_seconds, unrest
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Reading, Snapshot, Unknown
from tests.core.making import P0, history

FINE = {P0: Reading(100, 100)}


def look(at: float, names: str | None, state: str = "Stable") -> Snapshot:
    """A look at a group whose members have names of one letter; None is a group that is not known."""
    group = Unknown("moving") if names is None else Group(state, "range", tuple(Member(name) for name in names))
    return Snapshot(at, FINE, group)


def looks(*names: str | None, every: float = 15.0) -> History:
    return history(*(look(every * number, each) for number, each in enumerate(names)))


@pytest.mark.parametrize(("names", "seconds"), [
    (("",), 0.0), (("a", ""), 0.0), (("a", "", "", ""), 30.0), (("", "", "a"), 0.0), (("", None, ""), 0.0),
    (("", "", ""), 30.0)])
def test_for_how_long_nobody_was_there(names: Sequence[str], seconds: float) -> None:
    assert memberless_seconds(looks(*names)) == seconds


@pytest.mark.parametrize(("names", "left", "again"), [
    (("ab", "ab", "ab"), 0, 0),
    (("ab", "a"), 0, 0),       # b was there from the first look: nobody knows for how long
    (("a", "ab", "a"), 1, 0),
    (("a", "ab", None, "a"), 1, 0),
    ((None, "ab", "a"), 0, 0),  # nor who was there before the group was first known
    (("a", "ab", "ac", "ad", "a"), 3, 2),
    (("a", "bc", "de"), 2, 0),
    (("a", "abcd", "aecd", "aefd", "aefg"), 3, 0),  # a rollout
    (("a", "abcd", "aecd", "aefd", "aefg", "ahfg"), 4, 1),  # and one of the new ones goes
])
def test_members_that_came_and_went_are_counted(names: Sequence[str], left: int, again: int) -> None:
    assert unrest(looks(*names)) == Unrest(left, again=again)


def test_who_stayed_for_longer_than_ten_minutes_did_not_come_and_go() -> None:
    assert unrest(history(look(0, "a"), look(15, "ab"), look(616, "a"))) == Unrest(0)
    assert unrest(history(look(0, "a"), look(15, "ab"), look(615, "a"))) == Unrest(1)


def test_who_left_more_than_ten_minutes_ago_is_forgotten() -> None:
    assert unrest(history(look(0, "a"), look(15, "ab"), look(30, "a"), look(631, "a"))) == Unrest(0)


def test_the_turnover_that_is_remembered_is_bounded() -> None:
    found = history(*(look(number, f"a{chr(500 + number)}") for number in range(300)))
    assert len(found.left) == 100


def test_the_share_of_looks_in_a_rebalance_takes_ten_looks() -> None:
    def rebalancing(count: int) -> list[Snapshot]:
        states = ["PreparingRebalance", "Stable"]
        return [look(15 * number, "a", states[number % 2]) for number in range(count)]

    assert unrest(history(*rebalancing(9))) == Unrest(0, 0.0)
    assert unrest(history(*rebalancing(10))) == Unrest(0, 0.5)


def test_members_that_came_and_went_are_counted_beside_the_share_of_rebalances() -> None:
    assert unrest(looks("a", "ab", "ac", "ad", *["a"] * 9)) == Unrest(3, 0.0, again=2)


@pytest.mark.parametrize(("last", "share"), [(119, 0.0), (120, 1.0)])
def test_a_group_that_has_just_begun_is_not_unsettled_before_two_minutes(last: int, share: float) -> None:
    seen = [look(at, "a", "PreparingRebalance") for at in range(last + 1)]
    assert unrest(history(*seen)) == Unrest(0, share)


def held(at: float, end: int, high: int | None) -> Snapshot:
    return Snapshot(at, {P0: Reading(end, end)}, details=Details(high_watermarks={} if high is None else {P0: high}))


@pytest.mark.parametrize(("rows", "found"), [
    ([(0, 100, 150), (180, 100, 170)], {P0: Hung(70, 180.0)}),
    ([(0, 100, 150), (179, 100, 170)], {}),
    ([(0, 100, None), (180, 100, 170)], {}),
    ([(0, 100, 150), (90, 120, 150), (180, 120, 170)], {}),  # the first one ended, another is open
    ([(0, 100, 150), (180, 150, None)], {}),
    ([(0, 100, 150), (60, 100, 150), (120, 100, 160), (240, 100, 170)], {P0: Hung(70, 240.0)}),
])
def test_a_transaction_hangs_when_the_end_stands_still_for_three_minutes(
    rows: Sequence[tuple[float, int, int | None]], found: dict[object, Hung]
) -> None:
    assert hung_transactions(history(*(held(*row) for row in rows))) == found


def test_the_high_watermark_of_a_partition_that_is_gone_is_left_alone() -> None:
    snapshot = Snapshot(0, FINE, details=Details(high_watermarks={P0: 100}))
    assert hung_transactions(history(snapshot)) == {}
