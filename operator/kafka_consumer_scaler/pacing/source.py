"""The rate that the operator publishes, fetched as often as it asks for, and what stands in for it when it is away."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from kafka_consumer_scaler.pacing.fetching import Failed, Fetched, fetch
from kafka_consumer_scaler.pacing.rate import UNLIMITED, Limit, Origin, Rate

GRACE_SECONDS = 60.0
TIMEOUT_SECONDS = 3.0
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 1.0, 60.0
"""Whatever the endpoint says: it is not asked more often, and not forgotten for longer."""


@dataclass(frozen=True, slots=True)
class _Told:
    rate: Rate
    until: float


class RateSource:
    """Follows `GET /v1/safe-rate/NAMESPACE/NAME` of an operator.

    `rate()` never waits. Either `start` a thread that keeps it up to date, as `with RateSource(url) as source` does, or
    call `refresh` now and then. While the endpoint gives no rate, the last one is followed until it ends
    (`validUntil`) and `grace_seconds` longer, then `otherwise`. Safe to be used by many threads; start it after a fork.

    A rate that is a lower bound limits nothing: the group was never seen busy, so nobody knows that it can't do more,
    and held to what it happens to do it would never show it.

    Args:
        url: the endpoint, http or https.
        otherwise: the limit while nothing is known; unlimited by default, as doubt is no reason to refuse records.
        share: the part of the published rate that is this program's, above 0 and up to 1. The rate is that of all
            producers of the group's topics together: of four alike, each has 0.25.
        follows_lower_bounds: hold to them all the same.
        grace_seconds: how much longer than it is valid the last rate is followed.
        timeout_seconds: of one request.
        clock: seconds that never go back.

    Raises ValueError for another kind of URL, or a share out of its range.
    """

    def __init__(
        self, url: str, *, otherwise: Limit = UNLIMITED, share: float = 1.0, follows_lower_bounds: bool = False,
        grace_seconds: float = GRACE_SECONDS, timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the URL must begin with http:// or https://, not {url!r}")
        if not 0 < share <= 1:
            raise ValueError(f"the share must be above 0 and up to 1, not {share}")
        self._url, self._share, self._follows_lower_bounds = url, share, follows_lower_bounds
        self._grace_seconds, self._timeout_seconds, self._clock = grace_seconds, timeout_seconds, clock
        self._otherwise = Rate(otherwise, Origin.UNLIMITED if otherwise == UNLIMITED else Origin.CONFIGURED, "")
        self._told: _Told | None = None
        self._problem = "nothing was asked yet"
        self._failures = 0
        self._due_at = -math.inf
        self._fetching = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def rate(self) -> Rate:
        """What to follow now, by what was fetched so far."""
        told, now = self._told, self._clock()
        if told is None or now >= told.until + self._grace_seconds:
            return replace(self._otherwise, reason=self._problem)
        return told.rate if now < told.until else replace(told.rate, origin=Origin.LAST_KNOWN, reason=self._problem)

    def refresh(self) -> Rate:
        """Ask the endpoint if it is time to, which takes up to `timeout_seconds`; then what to follow now."""
        with self._fetching:
            if self._clock() >= self._due_at:
                self._take(fetch(self._url, self._timeout_seconds))
        return self.rate()

    def start(self) -> None:
        """Ask once, and from now on in a thread of its own, until `close`."""
        self.refresh()
        self._closed.clear()
        self._thread = threading.Thread(target=self._run, name="safe-rate", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. What is known stays."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(self._timeout_seconds + 1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closed.wait(max(0.0, self._due_at - self._clock())):
            self.refresh()

    def _take(self, answer: Fetched | Failed) -> None:
        now = self._clock()
        if isinstance(answer, Fetched):
            self._told, self._failures = _Told(self._followed(answer), now + answer.valid_seconds), 0
            self._problem = "the endpoint gave no newer rate"
        else:
            self._problem, self._failures = answer.why, self._failures + 1
        self._due_at = now + self._pause(answer)

    def _followed(self, answer: Fetched) -> Rate:
        is_followed = self._follows_lower_bounds or not answer.is_lower_bound
        limit = answer.limit.of(self._share) if is_followed else UNLIMITED
        return Rate(limit, Origin.PUBLISHED, answer.reason, answer.is_lower_bound, answer.is_throttling)

    def _pause(self, answer: Fetched | Failed) -> float:
        """As the endpoint wishes; without a wish 1, 2, 4 ... seconds after failures."""
        wished = answer.again_seconds
        seconds = 2.0 ** min(self._failures - 1, 10) if wished is None else wished
        return min(max(seconds, PAUSE_SECONDS_MIN), PAUSE_SECONDS_MAX)
