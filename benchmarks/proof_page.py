"""What the runs of the proof show: tables, goals, and the page made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from benchmarks.proof_runs import FLINK_SHRUNK, Measured
from kafka_consumer_scaler.simulation.compare import (
    FLINK,
    LAG_THRESHOLDS,
    ORACLE,
    OURS,
    ROUNDING,
    STATIC,
    cheapest,
    total,
)
from kafka_consumer_scaler.simulation.keda import DEFAULT_LAG_THRESHOLD
from kafka_consumer_scaler.simulation.report import markdown
from kafka_consumer_scaler.simulation.score import Score
from kafka_consumer_scaler.simulation.workload import FAMILIES

SINGLE, HINDSIGHT, DEFAULT = "KEDA, one threshold", "KEDA, hindsight", "KEDA, default"
NAMES: Final = {OURS: OURS, FLINK: "Flink", FLINK_SHRUNK: "Flink, short windows", STATIC: "static", ORACLE: "oracle"}
ALL, HELD = "all families", "families that the oracle holds"
POLICIES: Final = (OURS, SINGLE, HINDSIGHT, DEFAULT, "Flink", "Flink, short windows", "static", "oracle")

Column = tuple[str, Callable[[Score], float]]
OVER: Final[Column] = ("seconds over the objective", lambda score: score.seconds_over_objective)
REPLICA_SECONDS: Final[Column] = ("replica-seconds", lambda score: score.replica_seconds)
CHANGES: Final[Column] = ("scale changes", lambda score: score.scale_changes)
REVERSALS: Final[Column] = ("reversals within 300 s", lambda score: score.direction_reversals)
MAX_LAG: Final[Column] = ("max lag, seconds", lambda score: score.lag_seconds_max)
COLUMNS: Final = (OVER, REPLICA_SECONDS, CHANGES, REVERSALS, MAX_LAG)

Families = Mapping[str, Mapping[str, Score]]
"""By family and policy, summed over the seeds."""


@dataclass(frozen=True)
class Claim:
    """Ours is at most `share` of theirs, in one family or over all of `where`."""

    against: str
    what: str
    where: str
    ours: float
    theirs: float
    share: float

    @property
    def is_met(self) -> bool:
        return self.ours <= self.share * self.theirs

    @property
    def ratio(self) -> float | None:
        """Ours to theirs; None where theirs is 0."""
        return self.ours / self.theirs if self.theirs else None

    def __str__(self) -> str:
        """The ratio, and whether the goal is missed: `0.87`, `1.20 **missed**`, `5 to 0 **missed**`."""
        ratio = f"{self.ours:,.0f} to {self.theirs:,.0f}" if self.ratio is None else f"{self.ratio:.2f}"
        return ratio if self.is_met else f"{ratio} **missed**"

    def as_json(self) -> dict[str, Any]:
        return {"against": self.against, "what": self.what, "where": self.where, "ours": self.ours,
                "theirs": self.theirs, "ratio": self.ratio, "at_most": self.share, "met": self.is_met}


@dataclass(frozen=True)
class Worst:
    """The run of ours with the most seconds over the objective that the oracle was not over."""

    family: str
    seed: int
    ours: Score
    oracle: Score

    @property
    def excess_seconds(self) -> int:
        return self.ours.seconds_over_objective - self.oracle.seconds_over_objective

    @property
    def command(self) -> str:
        return f"kafka-consumer-scaler simulate --family {self.family} --seed {self.seed} --output DIR"


@dataclass(frozen=True)
class Proof:
    """The scores of all cases, and what follows from them."""

    measured: Measured

    @property
    def seeds(self) -> int:
        return len({seed for _, seed in self.measured})

    @property
    def runs(self) -> int:
        return sum(len(scores.by_policy) for scores in self.measured.values())

    @cached_property
    def names(self) -> list[str]:
        """The families that were run, from the plain to the odd."""
        return [name for name in FAMILIES if any(name == family for family, _ in self.measured)]

    @cached_property
    def seconds(self) -> dict[str, int]:
        """Simulated seconds of each family, over its seeds."""
        return {name: sum(scores.seconds for (family, _), scores in self.measured.items() if family == name)
                for name in self.names}

    @cached_property
    def single(self) -> int:
        """KEDA's one threshold for all families."""
        sums = {threshold: total(self._each(f"keda:{threshold}")) for threshold in LAG_THRESHOLDS}
        return cheapest(sums, sum(self.seconds.values()))

    @cached_property
    def hindsight(self) -> dict[str, int]:
        """KEDA's best threshold for each family, over its seeds."""
        return {name: self._best_for(name) for name in self.names}

    def _best_for(self, family: str) -> int:
        sums = {threshold: total(self._each(f"keda:{threshold}", family)) for threshold in LAG_THRESHOLDS}
        return cheapest(sums, self.seconds[family])

    def _each(self, label: str, family: str | None = None) -> Iterator[Score]:
        return (scores.by_policy[label] for (name, _), scores in sorted(self.measured.items())
                if family in (None, name))

    @cached_property
    def families(self) -> dict[str, dict[str, Score]]:
        """By family and policy, summed over the seeds."""
        return {name: {policy: total(self._each(self.label(policy, name), name)) for policy in POLICIES}
                for name in self.names}

    def label(self, policy: str, family: str) -> str:
        """The name in the runs of a policy in the tables."""
        thresholds = {SINGLE: self.single, HINDSIGHT: self.hindsight[family], DEFAULT: DEFAULT_LAG_THRESHOLD}
        if policy in thresholds:
            return f"keda:{thresholds[policy]}"
        return next(label for label, name in NAMES.items() if name == policy)

    @cached_property
    def sums(self) -> dict[str, Score]:
        """By policy, over all families and seeds."""
        return {policy: total(self.families[name][policy] for name in self.names) for policy in POLICIES}

    @property
    def holdable(self) -> list[str]:
        """The families that the oracle holds: over the objective for less than a rounding unit of the time."""
        return [name for name in self.names
                if self.families[name]["oracle"].seconds_over_objective <= ROUNDING * self.seconds[name]]

    @property
    def worst(self) -> Worst:
        rows = (Worst(family, seed, scores.by_policy[OURS], scores.by_policy[ORACLE])
                for (family, seed), scores in sorted(self.measured.items()))
        return max(rows, key=lambda row: row.excess_seconds)

    def claims(self) -> list[Claim]:
        """Every goal, with what was measured."""
        return [*self._against_single(), *self._against_hindsight(), *self._against_default(), *self._against_oracle()]

    def _claim(self, scores: Mapping[str, Score], rival: str, column: Column, share: float, where: str) -> Claim:
        what, figure = column
        against = f"{rival} {self.single}" if rival == SINGLE else rival
        return Claim(against, what, where, figure(scores[OURS]), figure(scores[rival]), share)

    def _against_single(self) -> Iterator[Claim]:
        for column, share in ((OVER, 1.0), (REPLICA_SECONDS, 0.85), (CHANGES, 1 / 3), (REVERSALS, 0.25)):
            yield self._claim(self.sums, SINGLE, column, share, ALL)

    def _against_hindsight(self) -> Iterator[Claim]:
        for column, share in ((OVER, 1.0), (REPLICA_SECONDS, 1.0), (CHANGES, 0.5)):
            yield self._claim(self.sums, HINDSIGHT, column, share, ALL)
        for name in self.names:
            for column, share in ((OVER, 1.0), (REPLICA_SECONDS, 1.0), (CHANGES, 0.5)):
                yield self._claim(self.families[name], HINDSIGHT, column, share, name)

    def _against_default(self) -> Iterator[Claim]:
        yield self._claim(self.sums, DEFAULT, REPLICA_SECONDS, 0.5, ALL)

    def _against_oracle(self) -> Iterator[Claim]:
        """Where the load can be held; each family, and all of them."""
        held = [self.families[name] for name in self.holdable]
        if held:
            summed = {policy: total(scores[policy] for scores in held) for policy in (OURS, "oracle")}
            yield self._claim(summed, "oracle", REPLICA_SECONDS, 1.25, HELD)
        for name in self.holdable:
            yield self._claim(self.families[name], "oracle", REPLICA_SECONDS, 1.25, name)

    def as_json(self) -> dict[str, Any]:
        """All that the page tells, and every run."""
        return {
            "seeds": self.seeds,
            "keda": {"single": self.single, "hindsight": self.hindsight},
            "goals": [claim.as_json() for claim in self.claims()],
            "worst": {"family": self.worst.family, "seed": self.worst.seed, "command": self.worst.command,
                      "excess_seconds": self.worst.excess_seconds},
            "total": {policy: score.as_json() for policy, score in self.sums.items()},
            "families": {name: {policy: score.as_json() for policy, score in scores.items()}
                         for name, scores in self.families.items()},
            "runs": {f"{family}/{seed}": scores.as_json() for (family, seed), scores in sorted(self.measured.items())},
        }


def page(proof: Proof) -> str:
    """The generated part of docs/benchmarks.md; the same runs give the same text."""
    parts = (_preface(proof), _totals(proof), _picture(proof), "The goals:", _goals(proof), _worst(proof),
             _thresholds(proof), *_by_family(proof))
    return "\n\n".join(parts)


def text(proof: Proof) -> str:
    """The short form for a terminal: totals, each family in figures, and the goals."""
    return "\n\n".join([_totals(proof), *_by_family(proof, COLUMNS), _thresholds(proof), _goals(proof), _worst(proof)])


def _preface(proof: Proof) -> str:
    hours = sum(proof.seconds.values()) / 3600
    return (f"{len(proof.names)} families of workloads, {proof.seeds} seeds each: {len(proof.measured)} workloads, "
            f"{hours:,.0f} simulated hours, {proof.runs:,} runs. In total:")


def _totals(proof: Proof) -> str:
    rows = [(_told(proof, policy), *_figures(score)) for policy, score in proof.sums.items()]
    return markdown(("policy", *(name for name, _ in COLUMNS)), rows)


def _told(proof: Proof, policy: str) -> str:
    return {SINGLE: f"{SINGLE} ({proof.single})", DEFAULT: f"{DEFAULT} ({DEFAULT_LAG_THRESHOLD})"}.get(policy, policy)


def _figures(score: Score) -> tuple[str, ...]:
    return tuple(f"{figure(score):,.0f}" for _, figure in COLUMNS)


def _picture(proof: Proof) -> str:
    return (f"The first workload of each family, ours with KEDA at {proof.single} and the oracle:\n\n"
            "![for each family the age of the oldest record above the replicas](pictures/simulation.png)")


def _goals(proof: Proof) -> str:
    """The goals over many families one below the other, those of single families as a row for each of them."""
    head = ("against", "what", "over", "ours", "theirs", "at most", "ratio")
    rows = [(claim.against, claim.what, claim.where, f"{claim.ours:,.0f}", f"{claim.theirs:,.0f}",
             f"{claim.share:.2f}", str(claim)) for claim in proof.claims() if claim.where not in proof.names]
    return f"{markdown(head, rows)}\n\n{_goals_by_family(proof)}"


def _goals_by_family(proof: Proof) -> str:
    mine = {(claim.where, claim.against, claim.what): str(claim) for claim in proof.claims()}
    asked = list(dict.fromkeys((claim.against, claim.what, claim.share) for claim in proof.claims()
                               if claim.where in proof.names))
    head = ("family", *(f"{what} / {against} (at most {share:g})" for against, what, share in asked))
    rows = [(name, *(mine.get((name, against, what), "not held") for against, what, _ in asked))
            for name in proof.names]
    return markdown(head, rows)


def _worst(proof: Proof) -> str:
    worst = proof.worst
    ours, oracle = worst.ours, worst.oracle
    return (f"The worst run of ours, by seconds over the objective beyond the oracle's: {worst.family} with seed "
            f"{worst.seed}, {ours.seconds_over_objective:,} s over (oracle {oracle.seconds_over_objective:,} s), "
            f"max lag {ours.lag_seconds_max:,.0f} s. This repeats it:\n\n```\n{worst.command}\n```")


def _thresholds(proof: Proof) -> str:
    each = ", ".join(f"{name} {threshold:,}" for name, threshold in proof.hindsight.items())
    held = ", ".join(proof.holdable) or "none"
    return (f"KEDA's best single threshold is {proof.single:,} records a replica; the best in hindsight: {each}. "
            f"Families whose load the oracle holds (at most 0.5% of the time over the objective): {held}.")


def _by_family(proof: Proof, columns: Sequence[Column] = COLUMNS) -> Iterator[str]:
    for name, figure in columns:
        rows = [(family, *(f"{figure(scores[policy]):,.0f}" for policy in POLICIES))
                for family, scores in proof.families.items()]
        total_row = ("all", *(f"{figure(proof.sums[policy]):,.0f}" for policy in POLICIES))
        yield f"{name[0].upper()}{name[1:]}:\n\n{markdown(('family', *POLICIES), [*rows, total_row])}"
