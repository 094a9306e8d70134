"""A producer that sends no more than its source says, and hands the pressure on to its caller."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kafka_consumer_scaler.pacing.bucket import TokenBucket
from kafka_consumer_scaler.pacing.rate import Rate
from kafka_consumer_scaler.pacing.source import RateSource

if TYPE_CHECKING:
    from confluent_kafka import Producer

BURST_SECONDS = 1.0
TIMEOUT_SECONDS = 60.0
LOOK_SECONDS = 0.1
"""A waiting call serves delivery reports, and looks whether the rate has changed, so often."""
AGAIN_SECONDS_MAX = 60.0
"""At a rate of 0 nobody knows when there is room; by then it is worth a try, as the rate may be another."""
FULL_SECONDS = 1.0
"""When to try again after a full queue: nobody can know, and librdkafka drains it in batches."""


class Unit(StrEnum):
    """What a token is."""

    RECORDS = "records"
    BYTES = "bytes"


class WhenFull(StrEnum):
    """What `produce` does with a record for which there is no room now."""

    BLOCK = "block"
    """Wait, at most `timeout_seconds`; then raise SlowDown."""
    RAISE = "raise"
    """Raise SlowDown at once."""
    RETURN = "return"
    """Return False at once."""


class SlowDown(Exception):
    """The record was not taken. `retry_after` are the seconds after which there may be room; `reason` says why."""

    def __init__(self, retry_after: float, reason: str) -> None:
        super().__init__(f"retry after {retry_after:.3g} s: {reason}")
        self.retry_after = retry_after
        self.reason = reason


class PacedProducer:
    """confluent_kafka's Producer, held to the rate of a source.

    A record needs a token before it goes into the producer's queue, and room in the queue. For the lack of either the
    caller waits, is told by an exception, or by False, as `when_full` says. A record that is not taken has used no
    token. Safe to be used by many threads. Do not call `produce` from a delivery callback: it may call `poll`.

    By bytes, a record counts with the size of its key, value and headers as they are given. The source's bytes are
    those that are stored, so with compression a producer that is paced by bytes sends less than it might.

    Args:
        settings: for confluent_kafka.Producer.
        source: where the rate comes from; start it, or refresh it.
        unit: what the tokens are.
        when_full: what `produce` does when there is no room.
        timeout_seconds: how long `produce` waits at most, with WhenFull.BLOCK.
        burst_seconds: how much may be sent at once after a pause, in seconds of the rate; at least one record.
    """

    def __init__(
        self, settings: Mapping[str, Any], source: RateSource, *, unit: Unit = Unit.RECORDS,
        when_full: WhenFull = WhenFull.BLOCK, timeout_seconds: float = TIMEOUT_SECONDS,
        burst_seconds: float = BURST_SECONDS,
    ) -> None:
        from confluent_kafka import Producer

        self._producer = Producer(dict(settings))
        self._source, self._unit, self._when_full = source, Unit(unit), WhenFull(when_full)
        self._timeout_seconds, self._burst_seconds = timeout_seconds, burst_seconds
        self._bucket = TokenBucket(math.inf, 1.0)

    @property
    def producer(self) -> Producer:
        """The producer itself, for all that is not paced."""
        return self._producer

    def __len__(self) -> int:
        """Records and requests that wait for the broker."""
        return len(self._producer)

    def produce(
        self, topic: str, value: str | bytes | None = None, key: str | bytes | None = None, **more: Any
    ) -> bool:
        """Hand one record to the producer, with what else `Producer.produce` takes; True when it was taken.

        Raises SlowDown, and what `Producer.produce` raises but for BufferError.
        """
        tokens = 1.0 if self._unit is Unit.RECORDS else float(_size(value, key, more.get("headers")))
        lack = self._try(tokens, topic, value, key, more)
        if lack is not None and self._when_full is WhenFull.BLOCK:
            lack = self._wait(lack, tokens, topic, value, key, more)
        if lack is None:
            return True
        if self._when_full is WhenFull.RETURN:
            return False
        raise lack

    def retry_after(self) -> float:
        """Seconds until one more token is there: 0 when it is. Nothing is taken."""
        self._follow()
        wait = self._bucket.try_take(1.0)
        if not wait:
            self._bucket.give_back(1.0)
        return wait

    def poll(self, timeout: float = 0.0) -> int:
        """Serve delivery reports, waiting for the first one up to `timeout` seconds; how many there were."""
        return int(self._producer.poll(timeout))

    def flush(self, timeout: float = -1) -> int:
        """Wait until all is delivered, up to `timeout` seconds (-1: as long as it takes); how many are left."""
        return int(self._producer.flush(timeout))

    def _wait(self, lack: SlowDown, *record: Any) -> SlowDown | None:
        until = time.monotonic() + self._timeout_seconds
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(min(lack.retry_after, left, LOOK_SECONDS))
            found = self._try(*record)
            if found is None:
                return None
            lack = found
        return lack

    def _try(self, tokens: float, topic: str, value: Any, key: Any, more: Mapping[str, Any]) -> SlowDown | None:
        """None when the record was taken."""
        rate = self._follow()
        if wait := self._bucket.try_take(tokens):
            return SlowDown(min(wait, AGAIN_SECONDS_MAX),
                            f"the {rate.origin} rate is {self._bucket.rate:g} {self._unit}/s: {rate.reason}")
        try:
            self._enqueue(topic, value, key, more)
        except BaseException as error:
            self._bucket.give_back(tokens)
            if isinstance(error, BufferError):
                return SlowDown(FULL_SECONDS, "the producer's queue is full: the brokers take less than is sent")
            raise
        return None

    def _enqueue(self, topic: str, value: Any, key: Any, more: Mapping[str, Any]) -> None:
        """A full queue gets one chance: to hand over the reports of what was delivered, which count in it."""
        try:
            self._producer.produce(topic, value, key, **more)
        except BufferError:
            self._producer.poll(0)
            self._producer.produce(topic, value, key, **more)

    def _follow(self) -> Rate:
        """The bucket by the newest rate."""
        rate = self._source.rate()
        limit = rate.limit.records if self._unit is Unit.RECORDS else rate.limit.bytes
        if limit != self._bucket.rate:
            self._bucket.set_rate(limit, max(1.0, limit * self._burst_seconds))
        return rate


def _size(value: str | bytes | None, key: str | bytes | None, headers: Any) -> int:
    pairs: Sequence[tuple[Any, Any]] = list(headers.items()) if isinstance(headers, Mapping) else headers or ()
    return sum(map(_length, (value, key, *(part for pair in pairs for part in pair))))


def _length(part: str | bytes | None) -> int:
    return 0 if part is None else len(part.encode() if isinstance(part, str) else part)
