"""The runs behind the findings' table: every scenario, many seeds, our own policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.findings_truth import Truth, truth
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.simulation.troubles import SCENARIOS, Scenario, play, scenario

PROCESSES: Final = 2
TELL_EVERY_SECONDS: Final = 5.0

Say = Callable[[str], None]
Looks = Sequence[tuple[float, Verdict]]


@dataclass(frozen=True)
class Named:
    """A finding when it was first made: at which second, how long after its cause or backlog, in which words."""

    at: float
    delay: float
    looks: int
    evidence: str


@dataclass(frozen=True)
class Run:
    """One scenario with one seed: all that was ever found in it, and for how many looks each backlog state lasted."""

    name: str
    seed: int
    found: Mapping[Reason, Named]
    backlog: Mapping[str, int]

    @property
    def truth(self) -> Truth:
        """What is right in this run."""
        return truth(scenario(self.name, self.seed))

    @property
    def command(self) -> str:
        """Plays this run again and prints it look by look."""
        return f"python -m benchmarks.findings_runs {self.name} {self.seed}"

    def as_json(self) -> dict[str, Any]:
        return {"scenario": self.name, "seed": self.seed, "row": self.truth.row, "backlog": dict(self.backlog),
                "found": {reason: asdict(named) for reason, named in self.found.items()}}


def measure(seeds: int, say: Say = print, names: Sequence[str] = SCENARIOS) -> list[Run]:
    """Run every scenario with the seeds 1..`seeds`, on two processes; in the order of the scenarios and seeds."""
    cases = [(name, seed) for name in names for seed in range(1, seeds + 1)]
    runs: dict[tuple[str, int], Run] = {}
    began = told = time.monotonic()
    for one in _run_all(cases):
        runs[one.name, one.seed] = one
        now = time.monotonic()
        if now - told >= TELL_EVERY_SECONDS or len(runs) == len(cases):
            told = now
            say(f"findings: {len(runs)} of {len(cases)} runs, {now - began:.0f} s")
    return [runs[case] for case in cases]


def _run_all(cases: Sequence[tuple[str, int]]) -> Iterator[Run]:
    with ProcessPoolExecutor(PROCESSES) as pool:
        futures = [pool.submit(run_one, *case) for case in cases]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def run_one(name: str, seed: int) -> Run:
    """Play one scenario and keep what was found."""
    played = scenario(name, seed)
    looks = play(played).verdicts
    states = [verdict.backlog for _, verdict in looks]
    return Run(name, seed, first_named(played, looks), {state: states.count(state) for state in dict.fromkeys(states)})


def first_named(played: Scenario, looks: Looks) -> dict[Reason, Named]:
    """Each finding when it was first made. The delay is that since the cause, or since the backlog in which it was."""
    found: dict[Reason, Named] = {}
    count: dict[Reason, int] = {}
    behind_since: float | None = None
    for at, verdict in looks:
        caught_up = verdict.backlog in (Backlog.CAUGHT_UP, Backlog.UNKNOWN)
        behind_since = None if caught_up else (at if behind_since is None else behind_since)
        since = played.cause_at if played.cause_at is not None and at >= played.cause_at else behind_since
        for each in verdict.findings:
            count[each.reason] = count.get(each.reason, 0) + 1
            found.setdefault(each.reason, Named(at, 0.0 if since is None else at - since, 0, each.evidence))
    return {reason: Named(named.at, named.delay, count[reason], named.evidence) for reason, named in found.items()}


def told(name: str, seed: int) -> Iterator[str]:
    """A run look by look: the looks whose backlog, replicas or findings are others than before."""
    before = ""
    for at, verdict in play(scenario(name, seed)).verdicts:
        found = ", ".join(f"{each.reason} ({each.evidence})" for each in verdict.findings)
        state = f"{verdict.backlog:10} {[each.reason for each in verdict.findings]} {verdict.decision}"
        if state != before:
            yield f"{at:6.0f} s {verdict.backlog:10} {verdict.message} | {found or '-'}"
        before = state


def main(arguments: Sequence[str]) -> int:
    """Print one run; answers 2 when there is no such run."""
    name, seed = (*arguments, "", "")[:2]
    if len(arguments) != 2 or name not in SCENARIOS or not seed.isdecimal():
        print(f"usage: python -m benchmarks.findings_runs NAME SEED, NAME one of {', '.join(SCENARIOS)}")
        return 2
    print("\n".join(told(name, int(seed))))
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
