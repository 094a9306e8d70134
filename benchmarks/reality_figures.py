"""Pure: the real run and the simulated ones in the same few figures, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from benchmarks import reality_scene as scene
from benchmarks.reality_plant import Measured, changes, decided_otherwise, measured, simulated
from benchmarks.reality_run import RealRun
from benchmarks.report import Goal
from tests.demo.timeline import Row, Sample, replica_seconds, row, seconds_over
from tests.demo.timeline import changes as changes_seen

SEEDS = 10
OFF_PERCENT_BELOW = 20.0


@dataclass(frozen=True)
class Figures:
    """One run, real or simulated. Ages and lag are by committed offsets, as an onlooker sees them.

    Args:
        path: (at, replicas) of the start and of each change.
    """

    replica_seconds: float
    age_seconds_max: float
    lag_max: int
    seconds_over: float
    path: tuple[tuple[float, int], ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of replicas, one after the other."""
        return tuple(replicas for _, replicas in self.path)


@dataclass(frozen=True)
class Comparison:
    """One real run and the simulated ones of the same load, by seed."""

    real: RealRun
    measured: Measured
    otherwise: tuple[str, ...]
    rows: tuple[Row, ...]
    simulated_rows: tuple[tuple[Row, ...], ...]

    @property
    def figures(self) -> Figures:
        """Of the real run; its changes at the times that the operator recorded."""
        path = ((self.rows[0].seconds, self.rows[0].replicas_spec), *((c.at, c.after) for c in changes(self.real)))
        return figures(self.rows, path)

    @property
    def simulated(self) -> list[Figures]:
        """Of the simulated runs."""
        return [figures(rows, _path(rows)) for rows in self.simulated_rows]

    @property
    def off_percent(self) -> float:
        """By how much the simulated replica-seconds (median) differ from the real ones; above 0 is more."""
        real = self.figures.replica_seconds
        return 100 * (median(each.replica_seconds for each in self.simulated) - real) / real

    @property
    def alike(self) -> int:
        """Seeds under which the replicas go through the same numbers as in the real run."""
        return sum(each.counts == self.figures.counts for each in self.simulated)

    def goals(self) -> tuple[Goal, ...]:
        """The simulator is to be trusted, and the operator does what `decide` says."""
        return (
            Goal("simulated replica-seconds off the real ones by", abs(self.off_percent), OFF_PERCENT_BELOW, "%"),
            Goal("seeds with other numbers of replicas", SEEDS - self.alike, SEEDS, "seeds"),
            Goal("looks on which decide() says otherwise", len(self.otherwise), 1, "looks"),
        )


def compare(real: RealRun) -> Comparison:
    """Simulate the real run's load under all seeds.

    Raises:
        ValueError: the run has nothing to measure by, or somebody else scaled its consumers too.
    """
    _require_one_scaler(real)
    found = measured(real)
    rows = rows_of(real.samples)
    seen = [simulated(found.plant(), found.looks_at, seed) for seed in range(1, SEEDS + 1)]
    return Comparison(
        real, found, tuple(decided_otherwise(real)), rows, tuple(rows_of(_since(each, real)) for each in seen)
    )


def rows_of(samples: Sequence[Sample]) -> tuple[Row, ...]:
    """Each sample with its rates and the age of its oldest record."""
    return tuple(row(samples[:count]) for count in range(1, len(samples) + 1))


def figures(rows: Sequence[Row], path: tuple[tuple[float, int], ...]) -> Figures:
    """The figures of a run by its rows."""
    return Figures(
        replica_seconds=replica_seconds(rows),
        age_seconds_max=max(each.lag_seconds for each in rows),
        lag_max=max(each.lag for each in rows),
        seconds_over=seconds_over(rows, scene.policy().lag_seconds),
        path=path,
    )


def _require_one_scaler(real: RealRun) -> None:
    """The replicas that were seen are those that the operator says it asked for."""
    seen = [real.samples[0].replicas_spec, *(two.replicas_spec for one, two in pairwise(real.samples)
                                             if two.replicas_spec != one.replicas_spec)]  # fmt: skip
    asked = [seen[0], *(change.after for change in changes(real))]
    if seen != asked:
        raise ValueError(f"somebody else scaled the consumers: the replicas were {seen}, asked for were {asked}")


def _since(samples: Sequence[Sample], real: RealRun) -> list[Sample]:
    """Watched from the same second on as the real run."""
    return [each for each in samples if each.seconds >= real.samples[0].seconds - 0.5]


def _path(rows: Sequence[Row]) -> tuple[tuple[float, int], ...]:
    """A change is seen in the second after it."""
    first = (rows[0].seconds, rows[0].replicas_spec)
    return (first, *((change.seconds - 1.0, change.after) for change in changes_seen(rows)))
