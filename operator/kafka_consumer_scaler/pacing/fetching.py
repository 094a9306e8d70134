"""One request to the endpoint, and what its answer says, with every time as a length from now."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from kafka_consumer_scaler.pacing.rate import Limit

ANSWER_BYTES_MAX = 64 * 1024
REASON_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Fetched:
    """A rate, for how many seconds it is valid, and after how many to ask again (None: the endpoint did not say)."""

    limit: Limit
    reason: str
    is_lower_bound: bool
    is_throttling: bool
    valid_seconds: float
    again_seconds: float | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is none, in one line, and after how many seconds to ask again (None: the endpoint did not say)."""

    why: str
    again_seconds: float | None = None


def fetch(url: str, timeout_seconds: float) -> Fetched | Failed:
    """Ask once. Never raises."""
    try:
        request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 -- the caller has checked its scheme
        with urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310
            return fetched(answer.headers, answer.read(ANSWER_BYTES_MAX))
    except HTTPError as error:
        with error:
            return Failed(f"the endpoint answered {error.code}{_reason_of(error)}", retry_after(error.headers))
    except URLError as error:
        return Failed(_line(f"the endpoint cannot be reached: {error.reason}"))
    except (OSError, ValueError, HTTPException) as error:  # ValueError: a host that is no name
        return Failed(_line(f"the endpoint cannot be reached: {str(error) or type(error).__name__}"))


def fetched(headers: Message, content: bytes) -> Fetched | Failed:
    """What an answer with status 200 says."""
    try:
        told = json.loads(content)
        left = _seconds_left(headers, str(told["validUntil"]))
        return Fetched(
            Limit(_number(told["recordsPerSecond"]), _number(told["bytesPerSecond"])), _line(told["reason"]),
            told["isLowerBound"] is True, told["throttling"] is True, left, _again(headers, told))
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        return Failed(_line(f"the endpoint's answer has not the form that was expected ({type(error).__name__})"))


def retry_after(headers: Message) -> float | None:
    """Seconds of Retry-After, which may be a date."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - _date(headers)).total_seconds())
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def max_age(headers: Message) -> float | None:
    """Seconds of Cache-Control's max-age that are left, less what the answer has spent in caches; 0 for no-store."""
    directives = [each.strip().lower() for each in headers.get("Cache-Control", "").split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    ages = [each.removeprefix("max-age=") for each in directives if each.startswith("max-age=")]
    return max(0.0, float(ages[0][:9]) - _age(headers)) if ages and ages[0].isdecimal() else None


def _again(headers: Message, told: Mapping[str, Any]) -> float | None:
    """The later of both wishes: a cache would give the same again sooner, and the endpoint does not want it."""
    poll = told.get("pollAfterSeconds")
    wishes = [max_age(headers), float(poll) if isinstance(poll, int | float) and math.isfinite(poll) else None]
    return max((each for each in wishes if each is not None), default=None)


def _seconds_left(headers: Message, valid_until: str) -> float:
    """By the answer's own Date and Age, so that a wrong clock here shortens and lengthens nothing."""
    until = datetime.fromisoformat(valid_until)
    return (until - _date(headers)).total_seconds() - _age(headers)


def _date(headers: Message) -> datetime:
    return parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)


def _age(headers: Message) -> float:
    age = headers.get("Age", "0")
    return float(age[:9]) if age.isdecimal() else 0.0


def _number(value: Any) -> float:
    """A rate; null is no limit. Raises ValueError or TypeError for what is none."""
    if value is None:
        return math.inf
    if isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise ValueError
    return float(value)


def _reason_of(error: HTTPError) -> str:
    try:
        told = json.loads(error.read(ANSWER_BYTES_MAX))
        return _line(f": {told['reason']}")
    except (OSError, HTTPException, LookupError, TypeError, ValueError, RecursionError):
        return ""


def _line(text: object) -> str:
    printable = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text)[:REASON_LONGEST])
    return printable[:REASON_LONGEST]
