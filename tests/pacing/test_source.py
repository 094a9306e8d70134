"""The source of a rate, by a real HTTP server."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kafka_consumer_scaler.pacing import Limit, Origin, RateSource
from kafka_consumer_scaler.pacing.source import PAUSE_SECONDS_MAX
from tests.pacing.clocks import Clock
from tests.pacing.endpoint import Endpoint, endpoint
from tests.ports import refusing
from tests.waiting import PATIENCE_SECONDS, eventually

HOUR = 3600.0


@pytest.fixture
def operator() -> Iterator[Endpoint]:
    with endpoint() as one:
        yield one


@pytest.fixture
def clock() -> Clock:
    return Clock()


def source(operator: Endpoint, clock: Clock, **more: Any) -> RateSource:
    return RateSource(operator.url, clock=clock, timeout_seconds=PATIENCE_SECONDS, **more)


def pause_of(one: RateSource, operator: Endpoint, clock: Clock) -> int:
    """The whole seconds after which the source asks again."""
    one.refresh()
    asked = operator.asked
    for seconds in range(1, 1000):
        clock.now += 1
        one.refresh()
        if operator.asked > asked:
            return seconds
    raise AssertionError("it never asks again")


def test_the_published_rate_is_followed(operator: Endpoint, clock: Clock) -> None:
    found = source(operator, clock).refresh()
    assert (found.limit, found.origin) == (Limit(500.0, 50_000.0), Origin.PUBLISHED)
    assert found.reason == "5 consumers of 100/s"


def test_before_anything_was_asked_nothing_is_limited_and_it_says_so(operator: Endpoint, clock: Clock) -> None:
    found = source(operator, clock).rate()
    assert (found.limit, found.origin, found.reason) == (Limit(), Origin.UNLIMITED, "nothing was asked yet")
    assert operator.asked == 0


def test_an_endpoint_that_goes_away_leaves_the_last_rate_then_the_configured_one(
    operator: Endpoint, clock: Clock
) -> None:
    one = source(operator, clock, otherwise=Limit(records=50), grace_seconds=30)
    one.refresh()
    operator.code, operator.says = 503, {"reason": "no safe rate is known yet"}
    seen = []
    for at in (30, 59, 61, 89, 91):
        clock.now = 1000 + at
        found = one.refresh()
        seen.append((found.origin, found.limit.records))
    assert seen == [("published", 500), ("published", 500), ("last known", 500), ("last known", 500),
                    ("configured", 50)]
    assert one.rate().reason == "the endpoint answered 503: no safe rate is known yet"


def test_a_rate_that_comes_back_is_followed_at_once(operator: Endpoint, clock: Clock) -> None:
    operator.code = 404
    one = source(operator, clock)
    assert one.refresh().origin is Origin.UNLIMITED
    operator.says_rate(70.0)
    clock.now += 2
    assert one.refresh().limit.records == 70


def test_a_lower_bound_limits_nothing_unless_it_is_asked_to(operator: Endpoint, clock: Clock) -> None:
    operator.says_rate(3.0, isLowerBound=True)
    found = source(operator, clock).refresh()
    assert (found.limit, found.origin, found.is_lower_bound) == (Limit(), Origin.PUBLISHED, True)
    assert source(operator, clock, follows_lower_bounds=True).refresh().limit.records == 3


def test_a_share_is_a_part_of_both_rates(operator: Endpoint, clock: Clock) -> None:
    assert source(operator, clock, share=0.25).refresh().limit == Limit(125.0, 12_500.0)


def test_a_rate_without_bytes_limits_records_alone(operator: Endpoint, clock: Clock) -> None:
    operator.says_rate(9.0, bytesPerSecond=None, throttling=True)
    found = source(operator, clock).refresh()
    assert (found.limit, found.is_throttling) == (Limit(9.0, math.inf), True)


@pytest.mark.parametrize(("headers", "poll", "seconds"), [
    ({"Cache-Control": "max-age=7"}, 5, 7),
    ({"Cache-Control": "public, max-age=20", "Age": "8"}, 5, 12),
    ({}, 9, 9),
    ({"Cache-Control": "no-store"}, 3, 3),
    ({"Cache-Control": "max-age=100000"}, 5, 60),
    ({"Cache-Control": "max-age=soon"}, 0, 1),
    ({"Cache-Control": "max-age=5"}, None, 5),
])
def test_it_asks_again_when_the_endpoint_and_its_caches_wish(
    operator: Endpoint, clock: Clock, headers: dict[str, str], poll: float | None, seconds: int
) -> None:
    operator.headers = headers
    operator.says_rate(500.0, pollAfterSeconds=poll)
    assert pause_of(source(operator, clock), operator, clock) == seconds


@pytest.mark.parametrize(("value", "seconds"), [
    ("11", 11), (20.0, 20), (-20.0, 1), ("99999999999999999999", PAUSE_SECONDS_MAX), ("soon", 1)])
def test_it_stays_away_for_as_long_as_it_is_told_to(
    operator: Endpoint, clock: Clock, value: str | float, seconds: int
) -> None:
    operator.code = 503
    if isinstance(value, str):
        operator.headers = {"Retry-After": value}
    else:
        operator.again_seconds = value
    assert pause_of(source(operator, clock), operator, clock) == seconds


def test_an_endpoint_that_fails_without_a_word_is_asked_less_and_less(operator: Endpoint, clock: Clock) -> None:
    operator.code = 500
    one = source(operator, clock)
    assert [pause_of(one, operator, clock) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("ahead", [-HOUR, 0.0, HOUR])
def test_a_clock_that_is_wrong_here_or_there_changes_no_lifetime(
    operator: Endpoint, clock: Clock, ahead: float
) -> None:
    operator.ahead_seconds = ahead
    one = source(operator, clock)
    one.refresh()
    operator.code = 500
    clock.now += 58
    assert one.refresh().origin is Origin.PUBLISHED
    clock.now += 4
    assert one.rate().origin is Origin.LAST_KNOWN


def test_what_an_answer_has_spent_in_a_cache_is_taken_from_its_lifetime(operator: Endpoint, clock: Clock) -> None:
    operator.headers = {"Age": "50"}
    one = source(operator, clock)
    one.refresh()
    clock.now += 11
    assert one.rate().origin is Origin.LAST_KNOWN


@pytest.mark.parametrize("says", [
    b"", b"[]", b"<html>", b"[" * 60_000, b'{"recordsPerSecond": 5}', {"recordsPerSecond": "5"},
    {"recordsPerSecond": -5}, {"recordsPerSecond": True}, {"validUntil": "soon"}, {"validUntil": "2026-01-01T00:00:00"},
    b'{"recordsPerSecond": NaN}', b'{"recordsPerSecond": 1e999}', {"recordsPerSecond": 10**400}])
def test_an_answer_of_another_form_is_no_rate(operator: Endpoint, clock: Clock, says: Any) -> None:
    operator.says_rate(500.0)
    operator.says = {**operator.says, **says} if isinstance(says, dict) else says
    found = source(operator, clock).refresh()
    assert (found.limit, found.origin) == (Limit(), Origin.UNLIMITED)
    assert found.reason.startswith("the endpoint's answer has not the form that was expected (")


def test_foreign_words_are_one_printable_line(operator: Endpoint, clock: Clock) -> None:
    operator.says_rate(1.0, reason="a\r\n\x1b[31m" + "b" * 1000)
    reason = source(operator, clock).refresh().reason
    assert reason.startswith(r"a\r\n\x1b[31mbbb")
    assert len(reason) == 300


def test_an_endpoint_that_hangs_is_left_after_the_timeout(operator: Endpoint) -> None:
    operator.says_rate(10.0)
    operator.hangs = True
    found = RateSource(operator.url, timeout_seconds=0.2).refresh()
    assert found.origin is Origin.UNLIMITED
    assert found.reason.startswith("the endpoint cannot be reached: ")


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with refusing() as port:
        found = RateSource(f"http://127.0.0.1:{port}/", otherwise=Limit(records=1)).refresh()
    assert (found.origin, found.limit.records) == (Origin.CONFIGURED, 1)
    assert "refused" in found.reason


@pytest.mark.parametrize("url", ["http://[", "http://a b/", "http://127.0.0.1:port/", "http://" + "é" * 70])
def test_an_address_that_is_none_is_no_rate_and_no_exception(url: str) -> None:
    assert RateSource(url, timeout_seconds=0.2).refresh().origin is Origin.UNLIMITED


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/", "", "/v1/safe-rate/shop/orders"])
def test_only_http_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        RateSource(url)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        RateSource("http://host/", share=share)


def test_started_it_keeps_up_to_date_by_itself_until_it_is_closed(operator: Endpoint) -> None:
    operator.says_rate(10.0, pollAfterSeconds=1)
    before = set(threading.enumerate())
    with RateSource(operator.url, timeout_seconds=PATIENCE_SECONDS) as one:
        assert one.rate().limit.records == 10
        operator.says_rate(20.0, pollAfterSeconds=1)
        eventually(lambda: one.rate().limit.records == 20)
    eventually(lambda: set(threading.enumerate()) <= before)
    assert one.rate().limit.records == 20
