"""How far apart a cluster's polls are: brokers that answer slowly, or throttle us, are asked less often."""

from __future__ import annotations

from dataclasses import dataclass

SLOW_SHARE = 0.5
"""Of the interval between two polls; a poll that takes more is slow."""
QUICK_SHARE = 0.2
"""Under this, a poll would not be slow at half of the interval either."""
POLLS_IN_A_ROW = 3
"""So many tell that it is no accident."""
STRETCH_MAX = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """Polls of one cluster are `stretch` polling intervals apart; `slow` and `quick` are the newest in a row."""

    stretch: int = 1
    slow: int = 0
    quick: int = 0

    def after_poll(self, seconds: float, interval_seconds: float) -> Pace:
        """The pace after a poll that was answered. One that was not says nothing about the brokers' speed.

        Interval 15 s, polls of 8 s: 8 > 7.5 three times, so 30 s; 8 of 30 is neither slow nor quick, so it stays.
        Polls of 1 s: 1 < 0.2 * 30 three times, so 15 s again.
        """
        apart = self.stretch * interval_seconds
        slow = self.slow + 1 if seconds > SLOW_SHARE * apart else 0
        quick = self.quick + 1 if seconds < QUICK_SHARE * apart else 0
        if slow >= POLLS_IN_A_ROW and self.stretch < STRETCH_MAX:
            return Pace(2 * self.stretch)
        if quick >= POLLS_IN_A_ROW and self.stretch > 1:
            return Pace(self.stretch // 2)
        return Pace(self.stretch, slow, quick)
