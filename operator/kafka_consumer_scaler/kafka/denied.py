"""Groups that we are let in for and may not look at are asked about ever more seldom, as a shut door is knocked at.

After an answer that denies a group or one of its topics, its polls are answered with the same for 5 s, then for 10,
up to 60 s, and no broker is asked. A changed connection has another source, a changed question another entry here: both
are asked at once. Worked, at an interval of 5 s: asked at 0, 5, 15, 35, 75, 135 s; within a minute of the grant.
"""

from __future__ import annotations

from collections.abc import Iterable

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.client import LONGEST_PAUSE_SECONDS, Refusal
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample


class Denied:
    """What was denied, by question. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._refusals: dict[GroupQuery, Refusal] = {}

    def answers(self, queries: Iterable[GroupQuery], now: float) -> dict[GroupQuery, GroupSample]:
        """The answers to those questions that are not to be asked yet."""
        known = {query: self._refusals[query] for query in queries if query in self._refusals}
        return {query: GroupSample.unknown(last.said) for query, last in known.items() if now < last.until}

    def note(self, samples: Iterable[tuple[GroupQuery, GroupSample]], now: float) -> None:
        """What was answered to questions that were asked. Those that nobody asks any more are forgotten."""
        for query, sample in samples:
            last = self._refusals.pop(query, None)
            if isinstance(sample.partitions, Unknown) and sample.partitions.reason is Reason.NOT_AUTHORIZED:
                self._refusals[query] = Refusal.after(last, sample.partitions, now)
        oldest = now - 10 * LONGEST_PAUSE_SECONDS
        self._refusals = {query: last for query, last in self._refusals.items() if last.until > oldest}
