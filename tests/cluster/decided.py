"""What an installed operator decided at each poll: the samples that it recorded, decided again as `replay` does.

Bounds are counted in these polls. A machine that stands still makes none, so it does not use a bound up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kafka_consumer_scaler.api.manifest import scaler_in
from kafka_consumer_scaler.api.snapshots import Look, looks_of
from kafka_consumer_scaler.cli.replay import verdicts
from kafka_consumer_scaler.core.findings import USUAL_SECONDS_AT_LEAST
from kafka_consumer_scaler.core.snapshot import Group, Reading, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from tests.cluster.workload import Workload


@dataclass(frozen=True)
class Poll:
    """One sample and what was decided on it."""

    look: Look
    verdict: Verdict

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.look.snapshot.at

    @property
    def members(self) -> int | None:
        """Of the group; None where it could not be described."""
        group = self.look.snapshot.group
        return len(group.members) if isinstance(group, Group) else None

    @property
    def committed(self) -> int | None:
        """The sum over the partitions; None where they could not be read."""
        partitions = self.look.snapshot.partitions
        if isinstance(partitions, Unknown):
            return None
        readings = [each for each in partitions.values() if isinstance(each, Reading)]
        return sum(each.committed for each in readings if isinstance(each.committed, int))

    @property
    def usual_seconds(self) -> float:
        """How long what is usual was seen."""
        usual = self.verdict.memory.usual
        return usual.seconds if usual else 0.0

    @property
    def usually_does(self) -> float | None:
        """Records/s that a consumer can usually process; None while that is not known."""
        usual = self.verdict.memory.usual
        return usual.per_consumer if usual and usual.seconds >= USUAL_SECONDS_AT_LEAST else None

    def names(self, reason: str) -> bool:
        """Whether there is a true condition with that reason: a finding, or what limits scaling."""
        return any(each.status and str(each.reason) == reason for each in self.verdict.conditions)


def polls_of(workload: Workload, recorded: str) -> list[Poll]:
    """Of the workload's `orders`, oldest first."""
    policy = scaler_in(json.dumps(workload.get())).policy()
    lines = recorded.encode().splitlines()
    return [Poll(look, verdict) for look, verdict in verdicts(policy, looks_of(lines))]


def first(polls: Sequence[Poll], holds: Callable[[Poll], bool]) -> Poll:
    """The first of which it holds; an AssertionError where there is none."""
    found = next((poll for poll in polls if holds(poll)), None)
    assert found is not None, f"at none of {len(polls)} polls"
    return found


def polls_until(polls: Sequence[Poll], since: float, holds: Callable[[Poll], bool]) -> float:
    """How many polls after a time until it held: 1 if at the next one, 0 if before, infinity if it never did."""
    if any(holds(poll) for poll in polls if poll.at <= since):
        return 0
    later = [poll for poll in polls if poll.at > since]
    return next((number for number, poll in enumerate(later, 1) if holds(poll)), math.inf)


def commits(polls: Sequence[Poll]) -> list[int]:
    """The numbers of the polls at which more was committed than at the poll before."""
    found, before = [], 0
    for number, poll in enumerate(polls):
        if poll.committed is not None and poll.committed > before:
            found.append(number)
            before = poll.committed
    return found
