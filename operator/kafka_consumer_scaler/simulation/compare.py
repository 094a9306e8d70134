"""Policies side by side on one workload, each on the same plant with the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Final, TypeVar

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.flink import Flink
from kafka_consumer_scaler.simulation.keda import DEFAULT_LAG_THRESHOLD, Keda
from kafka_consumer_scaler.simulation.oracle import oracle
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.run import Record, run
from kafka_consumer_scaler.simulation.scaler import Scaler
from kafka_consumer_scaler.simulation.score import Score, score
from kafka_consumer_scaler.simulation.workload import Workload

OURS: Final = "kafka-consumer-scaler"
RIVALS: Final = ("keda", "keda-default", "flink", "static", "oracle")
KEDA, KEDA_DEFAULT, FLINK, STATIC, ORACLE = RIVALS
LAG_THRESHOLDS: Final = (10, 25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000)
"""The grid of KEDA's `lagThreshold`, in records a replica; the first is KEDA's default."""
MAX_REPLICAS: Final = 12
ROUNDING: Final = 0.005
"""Seconds over the objective that differ by less than this share of the run count as equal."""

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Run:
    """One policy on one workload: what happened second by second, and its score."""

    record: Record
    score: Score


@dataclass(frozen=True, slots=True)
class Comparison:
    """All policies on one workload.

    Args:
        runs: by the policy's name, ours first.
        chosen: what was chosen in hindsight: `keda` its lag threshold (records a replica), `static` its replicas.
    """

    workload: Workload
    policy: Policy
    runs: Mapping[str, Run]
    chosen: Mapping[str, int]

    @property
    def scores(self) -> dict[str, Score]:
        """The scores alone, by the policy's name."""
        return {name: each.score for name, each in self.runs.items()}

    def label(self, name: str) -> str:
        """The policy's name, and what was chosen for it: `keda (500)`."""
        return f"{name} ({self.chosen[name]})" if name in self.chosen else name


def compare(workload: Workload, policy: Policy, against: Sequence[str] = RIVALS) -> Comparison:
    """Run ours and the rivals named in `against`, in that order.

    Raises:
        KeyError: `against` names no rival.
    """
    runs, chosen = {OURS: play(workload, policy, KafkaConsumerScaler(policy))}, dict[str, int]()
    for name in against:
        choice, runs[name] = contest(name, workload, policy)
        if choice is not None:
            chosen[name] = choice
    return Comparison(workload, policy, runs, chosen)


def policy_for(workload: Workload) -> Policy:
    """The default resource with `maxReplicas: 12`, and the workload's own least replicas."""
    return Policy(max_replicas=MAX_REPLICAS, min_replicas=workload.min_replicas)


def contest(rival: str, workload: Workload, policy: Policy) -> tuple[int | None, Run]:
    """The run of one of `RIVALS`, and what was chosen for it in hindsight, if anything is.

    Raises:
        KeyError: `rival` is none of them.
    """
    return _CONTESTS[rival](workload, policy)


def play(workload: Workload, policy: Policy, scaler: Scaler) -> Run:
    """One policy's run, scored by the objective `policy.lag_seconds`."""
    record = run(workload.plant, workload.arrival, scaler, workload.seed)
    return Run(record, score(record, policy.lag_seconds))


def keda(policy: Policy, lag_threshold: int) -> Scaler:
    """KEDA driving an HPA, at its own intervals (30 s and 15 s), within the policy's bounds."""
    return Keda(lag_threshold=lag_threshold, min_replicas=policy.min_replicas, max_replicas=policy.max_replicas)


def keda_grid(workload: Workload, policy: Policy) -> dict[int, Run]:
    """KEDA at every threshold of the grid."""
    return {threshold: play(workload, policy, keda(policy, threshold)) for threshold in LAG_THRESHOLDS}


def cheapest(scores: Mapping[Choice, Score], seconds: float) -> Choice:
    """The rule of hindsight: the fewest replica-seconds among those with the least seconds over the objective.

    Seconds over are rounded to `ROUNDING` of `seconds`, the length of the run or of all runs together. Of equals the
    first is chosen. In 1000 s, 12 s and 8 s over are both two units of 5 s: the one with fewer replica-seconds wins.
    """
    def cost(choice: Choice) -> tuple[int, float]:
        return round(scores[choice].seconds_over_objective / (ROUNDING * seconds)), scores[choice].replica_seconds

    return min(scores, key=cost)


def total(scores: Iterable[Score]) -> Score:
    """The sum of several runs; of the lag the largest.

    Raises:
        ValueError: there is no score.
    """
    rows = [asdict(each) for each in scores]
    if not rows:
        raise ValueError("no scores to add")
    summed = {key: type(value)(fsum(row[key] for row in rows)) for key, value in rows[0].items()}
    return Score(**{**summed, "lag_seconds_max": max(row["lag_seconds_max"] for row in rows)})


def best_static(workload: Workload, policy: Policy) -> tuple[int, Run]:
    """The fewest fixed replicas with the least seconds over the objective, found by bisection.

    More replicas are taken to be never slower, so the answer is the fewest that round to what the most achieve.
    """
    def fixed(replicas: int) -> Run:
        return play(workload, policy, Static(replicas))

    def over(each: Run) -> int:
        return round(each.score.seconds_over_objective / (ROUNDING * len(workload.arrival)))

    few, many = max(1, policy.min_replicas), policy.max_replicas
    best = fixed(many)
    least = over(best)
    while few < many:
        middle = (few + many) // 2
        tried = fixed(middle)
        if over(tried) <= least:
            many, best = middle, tried
        else:
            few = middle + 1
    return many, best


def play_oracle(workload: Workload, policy: Policy) -> Run:
    """The plan that knows the future."""
    plan = oracle(workload.plant, workload.arrival, policy.lag_seconds, policy.min_replicas, policy.max_replicas)
    return play(workload, policy, plan)


def flink(policy: Policy) -> Flink:
    """Flink's autoscaler with the options that it publishes."""
    return Flink(min_replicas=policy.min_replicas, max_replicas=policy.max_replicas)


def flink_shrunk(policy: Policy) -> Flink:
    """Flink's autoscaler with windows that suit a Kafka group."""
    return Flink.shrunk(min_replicas=policy.min_replicas, max_replicas=policy.max_replicas)


def _keda(workload: Workload, policy: Policy) -> tuple[int, Run]:
    runs = keda_grid(workload, policy)
    best = cheapest({threshold: each.score for threshold, each in runs.items()}, len(workload.arrival))
    return best, runs[best]


_Contest = Callable[[Workload, Policy], tuple[int | None, Run]]
_CONTESTS: Final[Mapping[str, _Contest]] = {
    KEDA: _keda,
    KEDA_DEFAULT: lambda workload, policy: (None, play(workload, policy, keda(policy, DEFAULT_LAG_THRESHOLD))),
    FLINK: lambda workload, policy: (None, play(workload, policy, flink(policy))),
    STATIC: best_static,
    ORACLE: lambda workload, policy: (None, play_oracle(workload, policy)),
}
