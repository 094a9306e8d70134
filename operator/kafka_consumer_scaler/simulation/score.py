"""How good a run was, in eight numbers; lower is better in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from kafka_consumer_scaler.simulation.run import Record

REVERSAL_SECONDS = 300.0
"""A change of the opposite direction within this time after the change before is a reversal."""


@dataclass(frozen=True, slots=True)
class Score:
    """Eight numbers of a run.

    Args:
        lag_seconds_max: the greatest age of the oldest unprocessed record, in seconds.
        seconds_over_objective: seconds at whose end that age was over the objective.
        lag_record_seconds: records waiting, summed over the seconds of the run.
        replica_seconds: replicas asked for, summed over the seconds of the run.
        scale_changes: changes of the replicas asked for.
        direction_reversals: changes that go against the change before, within 300 s of it.
        rebalance_seconds: seconds an average partition was kept still by rebalances.
        records_lost: records that retention deleted before they were processed.
    """

    lag_seconds_max: float
    seconds_over_objective: int
    lag_record_seconds: float
    replica_seconds: int
    scale_changes: int
    direction_reversals: int
    rebalance_seconds: float
    records_lost: float

    def as_json(self) -> dict[str, float]:
        """The eight numbers under their names, rounded to thousandths."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def score(record: Record, objective_seconds: float) -> Score:
    """The score of `record` under the objective that no record waits longer than `objective_seconds`."""
    return Score(
        lag_seconds_max=float(record.lag_seconds.max(initial=0.0)),
        seconds_over_objective=int(np.count_nonzero(record.lag_seconds > objective_seconds)),
        lag_record_seconds=float(record.lag_records.sum()),
        replica_seconds=int(record.replicas.sum()),
        scale_changes=len(record.scales),
        direction_reversals=_reversals(record.scales),
        rebalance_seconds=float(record.rebalancing.sum()),
        records_lost=float(record.records_lost),
    )


def _reversals(scales: Sequence[tuple[float, int, int]]) -> int:
    """Of the changes 2 -> 6 at 100, 6 -> 4 at 300 and 4 -> 5 at 700 the second is one, the third came too late."""
    return sum(
        (before_was < after_was) != (before < after) and at - at_before <= REVERSAL_SECONDS
        for (at_before, before_was, after_was), (at, before, after) in pairwise(scales))
