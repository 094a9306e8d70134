"""Pure: what was seen each second of a run, and what it comes to. Times are seconds since its load began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks import backpressure_scene as scene
from benchmarks.reality_figures import rows_of
from tests.demo.timeline import Row, Sample

STEP_SHARE = 0.01
"""A rate that differs by less is no other rate: a safe rate is learned anew with each poll."""


@dataclass(frozen=True)
class Seen:
    """What the sender has seen since it began.

    Args:
        asked: records that it wanted to send.
        turned_away: of these, those that were refused at once: 429, or False.
        acknowledged: records that the brokers said they have.
        failures: other ends, by name: BufferError, _MSG_TIMED_OUT, HTTP 500.
        queued: records that wait in the producer.
        throttled: seconds, the longest that a broker said in the last second that it throttles.
    """

    asked: int
    turned_away: int
    acknowledged: int
    failures: Mapping[str, int]
    queued: int
    throttled: float


@dataclass(frozen=True)
class Told:
    """What the operator tells: records/s, None while nothing is told; `is_followed`: it is no lower bound."""

    records: float | None
    sustained: float | None
    is_followed: bool
    reason: str


@dataclass(frozen=True)
class Moment:
    """All of one second. `quota` is what one broker is told, bytes/s; None for none."""

    sample: Sample
    seen: Seen
    told: Told
    quota: int | None


@dataclass(frozen=True)
class Course:
    """One run.

    Args:
        lost: records that the producer was told are taken care of and that are not in the topic.
        stored_twice: records of the topic that are there another time.
    """

    name: str
    moments: tuple[Moment, ...]
    lost: int = 0
    stored_twice: int = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """With the rates, and the age of the oldest record by committed offsets and what was seen of the ends."""
        return rows_of([each.sample for each in self.moments])


@dataclass(frozen=True)
class Figures:
    """What one run comes to.

    Args:
        used: records that were processed from SETTLED_SECONDS on, in parts of what is sustainable.
        worst_age: seconds, of the oldest record in the whole run.
        under_after: seconds after which the age is under the objective and stays; None when it does not.
        over_late: seconds over the objective from SETTLED_SECONDS on.
        steps: changes of the rate that held: the quota, or what is told where there is none.
        queued: records that waited in the producer in the end.
        throttled: seconds, the longest throttle time.
    """

    used: float
    worst_age: float
    under_after: float | None
    over_late: float
    steps: int
    lost: int
    stored_twice: int
    asked: int
    turned_away: int
    acknowledged: int
    failures: Mapping[str, int]
    queued: int
    throttled: float
    replicas: int


def figures(course: Course) -> Figures:
    """The figures of a run that lasted longer than SETTLED_SECONDS."""
    rows, last = course.rows, course.moments[-1]
    late = [row for row in rows if row.seconds >= scene.SETTLED_SECONDS]
    return Figures(
        used=used(course),
        worst_age=max(row.lag_seconds for row in rows),
        under_after=under_after(rows),
        over_late=sum(two.seconds - one.seconds for one, two in pairwise(late)
                      if two.lag_seconds > scene.OBJECTIVE_SECONDS),
        steps=steps(rates(course)),
        lost=course.lost,
        stored_twice=course.stored_twice,
        asked=last.seen.asked,
        turned_away=last.seen.turned_away,
        acknowledged=last.seen.acknowledged,
        failures=last.seen.failures,
        queued=last.seen.queued,
        throttled=max(each.seen.throttled for each in course.moments),
        replicas=max(row.replicas_spec for row in rows),
    )


def used(course: Course) -> float:
    """What was committed from SETTLED_SECONDS on, in parts of what is sustainable."""
    late = [each.sample for each in course.moments if each.sample.seconds >= scene.SETTLED_SECONDS]
    done = sum(late[-1].committed) - sum(late[0].committed)
    return done / (scene.SUSTAINABLE * (late[-1].seconds - late[0].seconds))


def under_after(rows: Sequence[Row]) -> float | None:
    """When the age came under the objective for good; 0 when it was never over it, None when it is in the end."""
    over = [row.seconds for row in rows if row.lag_seconds > scene.OBJECTIVE_SECONDS]
    if not over:
        return 0.0
    return next((row.seconds for row in rows if row.seconds > over[-1]), None)


def rates(course: Course) -> list[float]:
    """The rate that held, second by second, from the first on, in records/s; a run with quotas is held by them."""
    if course.name in scene.HELD:
        return [each.quota * scene.LEADING / scene.RECORD_BYTES for each in course.moments if each.quota is not None]
    return [each.told.records for each in course.moments if each.told.records is not None and each.told.is_followed]


def steps(rates: Sequence[float]) -> int:
    """Changes by more than STEP_SHARE of what held since the last one.

    100, 100.5, 101.2 and 90: two changes, to 101.2 and to 90.
    """
    count, held = 0, rates[0] if rates else 0.0
    for rate in rates:
        if abs(rate - held) > STEP_SHARE * held:
            count, held = count + 1, rate
    return count


def course_of(values: Mapping[str, Any]) -> Course:
    """The course that `asdict` made values of."""
    moments = tuple(_moment(each) for each in values["moments"])
    return Course(values["name"], moments, values["lost"], values["stored_twice"])


def _moment(values: Mapping[str, Any]) -> Moment:
    sample = values["sample"]
    offsets = {"ends": tuple(sample["ends"]), "committed": tuple(sample["committed"])}
    return Moment(Sample(**{**sample, **offsets}), Seen(**values["seen"]), Told(**values["told"]), values["quota"])
