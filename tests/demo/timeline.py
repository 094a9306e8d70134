"""Pure: from what was sampled to what is shown. Times are seconds since the load began, rates are records/s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

ARRIVAL_WINDOW_SECONDS = 3.0
DRAIN_WINDOW_SECONDS = 10.0
"""Consumers commit every 5 s: a shorter window would show commits instead of work."""
SENTENCE_SECONDS = 5.0
"""The status follows the patch: how much later the sentence of a change is still looked for."""
UNSEEN = "(the decision was not seen in the status)"


@dataclass(frozen=True)
class Sample:
    """What Kafka and Kubernetes said at one moment; offsets by partition."""

    seconds: float
    ends: tuple[int, ...]
    committed: tuple[int, ...]
    replicas_spec: int
    replicas_ready: int
    decision: str

    @property
    def lag(self) -> int:
        return sum(max(0, end - done) for end, done in zip(self.ends, self.committed, strict=True))


@dataclass(frozen=True)
class Row:
    """One line of the CSV. `decision` is the status's sentence where it is new, else empty."""

    seconds: float
    arrival: float
    drain: float
    lag: int
    lag_seconds: float
    replicas_spec: int
    replicas_ready: int
    decision: str


@dataclass(frozen=True)
class Change:
    """One change of the Deployment's replicas, and the operator's sentence about it."""

    seconds: float
    before: int
    after: int
    sentence: str


def row(samples: Sequence[Sample]) -> Row:
    """The newest sample as a line of the CSV; needs at least one sample."""
    now = samples[-1]
    said = samples[-2].decision if len(samples) > 1 else ""
    return Row(
        seconds=round(now.seconds, 2),
        arrival=round(_rate([(s.seconds, sum(s.ends)) for s in _recent(samples, ARRIVAL_WINDOW_SECONDS)]), 1),
        drain=round(_rate([(s.seconds, sum(s.committed)) for s in _recent(samples, DRAIN_WINDOW_SECONDS)]), 1),
        lag=now.lag,
        lag_seconds=round(max(_ages(samples), default=0.0), 1),
        replicas_spec=now.replicas_spec,
        replicas_ready=now.replicas_ready,
        decision=now.decision if now.decision != said else "",
    )


def _recent(samples: Sequence[Sample], seconds: float) -> Sequence[Sample]:
    """The samples of the last seconds, and the one before them."""
    first = len(samples) - 1
    while first > 0 and samples[first].seconds > samples[-1].seconds - seconds:
        first -= 1
    return samples[first:]


def _rate(totals: Sequence[tuple[float, int]]) -> float:
    (start, first), (end, last) = totals[0], totals[-1]
    return (last - first) / (end - start) if end > start else 0.0


def _ages(samples: Sequence[Sample]) -> Iterator[float]:
    """For each partition with a lag: how long ago its first unprocessed record arrived, at most as long as watched."""
    now = samples[-1]
    for partition, (end, done) in enumerate(zip(now.ends, now.committed, strict=True)):
        if end > done:
            yield now.seconds - _arrived(samples, partition, done)


def _arrived(samples: Sequence[Sample], partition: int, offset: int) -> float:
    """When the record of this offset came in: between two samples, as if the records came evenly.

    A partition that ended at 10 at 4.0 s and at 20 at 4.5 s got the record of offset 15 at 4.25 s.
    """
    later = samples[-1]
    for earlier in reversed(samples[:-1]):
        end = earlier.ends[partition]
        if end <= offset:
            share = (offset - end) / (later.ends[partition] - end)
            return earlier.seconds + share * (later.seconds - earlier.seconds)
        later = earlier
    return later.seconds


def changes(rows: Sequence[Row]) -> list[Change]:
    """Every change of the replicas asked for."""
    return [
        Change(later.seconds, earlier.replicas_spec, later.replicas_spec, _sentence(rows, later.seconds))
        for earlier, later in pairwise(rows)
        if later.replicas_spec != earlier.replicas_spec
    ]


def _sentence(rows: Sequence[Row], since: float) -> str:
    """The first sentence about scaling around a change; the status may be a sample ahead of the Deployment."""
    near = (r.decision for r in rows if since - 1.0 <= r.seconds <= since + SENTENCE_SECONDS)
    return next((sentence for sentence in near if sentence.startswith("Scaled")), UNSEEN)


def reversals(changed: Sequence[Change]) -> int:
    """Changes against the direction of the one before."""
    return sum((one.after > one.before) != (two.after > two.before) for one, two in pairwise(changed))


def replica_seconds(rows: Sequence[Row]) -> float:
    """Replicas asked for, times the seconds they were asked for."""
    return sum(one.replicas_spec * (two.seconds - one.seconds) for one, two in pairwise(rows))


def first_scale_up(rows: Sequence[Row]) -> Row | None:
    """The last row with the replicas of the start, before more were asked for; None when none ever were."""
    grown = (earlier for earlier, later in pairwise(rows) if later.replicas_spec > earlier.replicas_spec)
    return next(grown, None)


def seconds_over(rows: Sequence[Row], lag_seconds: float) -> float:
    """For how long the oldest record was older than the objective."""
    return sum(two.seconds - one.seconds for one, two in pairwise(rows) if two.lag_seconds > lag_seconds)
