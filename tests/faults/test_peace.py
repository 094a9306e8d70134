"""When a group counts as right again."""

from __future__ import annotations

from tests.faults.peace import CALM_SECONDS, Peace

BEGAN = 100.0


def seen(*looks: tuple[str, bool, float]) -> Peace:
    peace = Peace(BEGAN)
    for name, is_right, after in looks:
        peace.see(name, is_right, BEGAN + after)
    return peace


def test_who_stays_right_was_right_from_its_first_look() -> None:
    peace = seen(("orders", False, 1.0), ("orders", True, 20.0), ("orders", True, 20.0 + CALM_SECONDS))
    assert peace.seconds("orders") == 20.0


def test_who_does_not_stay_was_not_right() -> None:
    peace = seen(("orders", True, 20.0), ("orders", False, 22.0), ("orders", True, 24.0), ("orders", True, 29.0))
    assert peace.seconds("orders") is None


def test_groups_need_not_be_right_at_once_and_may_try_with_fewer_afterwards() -> None:
    peace = seen(("payments", True, 0.0), ("payments", True, 7.0), ("payments", False, 8.0), ("orders", True, 30.0),
                 ("orders", True, 37.0), ("payments", True, 90.0), ("payments", True, 97.0))
    assert (peace.seconds("payments"), peace.seconds("orders")) == (0.0, 30.0)
