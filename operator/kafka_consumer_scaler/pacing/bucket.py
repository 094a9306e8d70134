"""A token bucket. It holds no more than `burst` tokens and gets `rate` new ones a second while it is not full.

Law: what is taken in any t seconds is at most burst + rate * t, if no single take is larger than the burst.

With rate 10 and burst 5, which begins full, and takes of one token:

    at 0.0 s    five are taken at once (5 + 10 * 0); the sixth is told to come back after 0.1 s
    at 0.1 s    one more (6 = 5 + 10 * 0.1)
    at 1.0 s    nine have come since, five of them fit in: five are taken (11 of at most 15)
    at 1.2 s    two more

A take that is larger than the burst waits for a full bucket and leaves a debt, so that it is possible at all: 8 tokens
at 10.0 s leave -3, and the next one is there at 10.4 s. Then the law holds with the largest take in place of the burst.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

ROUNDING = 1e-9
"""The part of the burst that is lent, so that three times 0.1 s at a rate of 10 are three tokens, not 2.9999999. It is
kept as a debt, so that the law holds with a burst larger by that, for any time."""


class TokenBucket:
    """Tokens at a rate. Safe to be used by many threads, of which none is served before another by any promise.

    No timer fills it: what there is now is computed from the last take and the clock alone, so that nothing drifts
    with late or frequent calls.

    Args:
        rate: new tokens a second; 0 gives none, infinity gives any.
        burst: the most it holds, and what it begins with.
        clock: seconds that never go back.

    Raises ValueError for a negative rate, a burst that is not above 0, and NaN.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        _check(rate, burst)
        self._clock = clock
        self._lock = threading.Lock()
        self._rate, self._burst = rate, burst
        self._level, self._at = burst, clock()

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self._rate

    @property
    def burst(self) -> float:
        """The most it holds."""
        return self._burst

    def try_take(self, tokens: float = 1.0) -> float:
        """Take them all, or none: 0 when taken, else the seconds until they would be there (infinity at rate 0)."""
        if not tokens >= 0:
            raise ValueError(f"tokens must be 0 or more, not {tokens}")
        with self._lock:
            if self._rate == math.inf:
                return 0.0
            now = self._clock()
            level, needed = self._level_at(now), min(tokens, self._burst)
            if level < needed - self._burst * ROUNDING:
                return (needed - level) / self._rate if self._rate else math.inf
            self._level, self._at = level - tokens, max(self._at, now)
            return 0.0

    def give_back(self, tokens: float) -> None:
        """What was taken and not used after all; the bucket holds no more than its burst."""
        with self._lock:
            self._level = min(self._burst, self._level + tokens)

    def set_rate(self, rate: float, burst: float | None = None) -> None:
        """Go on with another rate, and burst if one is given; what was not taken so far stays, up to the burst.

        After an infinite rate the bucket is full. Raises ValueError as the constructor does.
        """
        burst = self._burst if burst is None else burst
        _check(rate, burst)
        with self._lock:
            now = self._clock()
            level = burst if self._rate == math.inf else self._level_at(now)
            self._rate, self._burst = rate, burst
            self._level, self._at = min(level, burst), max(self._at, now)

    def _level_at(self, now: float) -> float:
        return min(self._burst, self._level + self._rate * max(0.0, now - self._at))


def _check(rate: float, burst: float) -> None:
    if not rate >= 0:
        raise ValueError(f"the rate must be 0 or more, not {rate}")
    if not burst > 0:
        raise ValueError(f"the burst must be above 0, not {burst}")
