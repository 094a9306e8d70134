"""Causes over the simulator: what the page says is found, and nothing in groups that are healthy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from benchmarks import findings, findings_runs
from benchmarks.findings_page import COLUMNS, Cell, Confusion, page
from benchmarks.findings_runs import Looks, Named, Run, run_one
from benchmarks.findings_truth import TRUTHS, truth
from kafka_consumer_scaler.core.findings import RULES
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import BOUNDS, ConditionType, Verdict
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.troubles import (
    SCENARIOS,
    WARM_UP_SECONDS,
    Scenario,
    family,
    healthy_noisy,
    play,
    scenario,
)
from tests.sizes import full

HEALTHY_SEEDS = full(20, 100)
EVENT_SEEDS = full(5, 20)
EVENTS_IN_AN_HOUR = 5
EVENTS_IN_A_NOISY_HOUR = 8
PLAYED_SEEDS = (1, 2)
HOUR = 3600


def settled(scenario: Scenario) -> Looks:
    """The looks after the warm-up."""
    return [(at, verdict) for at, verdict in play(scenario).verdicts if at > WARM_UP_SECONDS]


def test_nothing_is_found_in_a_healthy_group_however_noisy() -> None:
    """What fails is told with the command that plays it again."""
    found = [f"python -m benchmarks.findings_runs healthy-noisy {seed}: {each.reason} at {at:.0f} s, {each.evidence}"
             for seed in range(1, HEALTHY_SEEDS + 1)
             for at, verdict in settled(healthy_noisy(seed)) for each in verdict.findings]
    assert found == []


def lengthened(scenario: Scenario, seconds: int) -> Scenario:
    """The same load, from its beginning again once it is over."""
    arrival = scenario.load.arrival * (1 + seconds // len(scenario.load.arrival))
    return replace(scenario, load=replace(scenario.load, arrival=arrival[:seconds]))


def events(looks: Looks) -> int:
    return sum(len(verdict.events) + (verdict.announcement is not None) for _, verdict in looks)


def test_an_hour_of_a_steady_load_posts_a_handful_of_events() -> None:
    """All of them tell of a scale-up or a scale-down: most are probes, and of those that are taken back two each."""
    seconds = WARM_UP_SECONDS + HOUR
    steady = Counter(events(settled(lengthened(family("steady", seed), seconds))) for seed in range(1, EVENT_SEEDS + 1))
    noisy = Counter(events(settled(healthy_noisy(seed, seconds))) for seed in range(1, EVENT_SEEDS + 1))
    print(f"events in an hour: runs by their number, steady {sorted(steady.items())}, noisy {sorted(noisy.items())}")
    assert max(steady) <= EVENTS_IN_AN_HOUR
    assert max(noisy) <= EVENTS_IN_A_NOISY_HOUR


FALSE_AT_MOST: dict[tuple[str, Reason], int] = {}
MISSING_AT_MOST: dict[tuple[str, Reason], int] = {("slow-consumers", Reason.SLOW_CONSUMERS): 1}
"""Runs of the first seeds, by row and finding, in which a false one is made, or the right one is not.

Consumers that slow down before the first probe are compared with what they were seen to do, less than they could.
"""


@dataclass(frozen=True)
class Summary:
    """One run: its findings at each poll, and the times at which its conditions said something else."""

    run: Run
    found: tuple[frozenset[Reason], ...]
    contradicted_at: tuple[float, ...]


def contradicts(verdict: Verdict) -> bool:
    by_type = {condition.type: condition.status for condition in verdict.conditions}
    found = {each.reason for each in verdict.findings}
    return (found != {kind for kind in by_type if isinstance(kind, Reason)}
            or bool(by_type[ConditionType.SCALING_LIMITED]) != bool(found & BOUNDS))


@pytest.fixture(scope="module")
def runs() -> Mapping[tuple[str, int], Summary]:
    """The first seeds of every scenario, each played once for all tests."""
    verdicts: Looks = []

    def kept(scenario: Scenario) -> KafkaConsumerScaler:
        nonlocal verdicts
        scaler = play(scenario)
        verdicts = scaler.verdicts
        return scaler

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings_runs, "play", kept)
        for name, seed in ((name, seed) for name in SCENARIOS for seed in PLAYED_SEEDS):
            run = run_one(name, seed)
            reasons = tuple(frozenset(each.reason for each in verdict.findings) for _, verdict in verdicts)
            found[name, seed] = Summary(run, reasons, tuple(at for at, verdict in verdicts if contradicts(verdict)))
    return found


@pytest.fixture(scope="module")
def played(runs: Mapping[tuple[str, int], Summary]) -> Confusion:
    return Confusion([each.run for each in runs.values()])


def told(row: str, reason: Reason) -> str:
    """A cell of the table on the page."""
    return PAGE[row].get(reason, "")


def _page() -> dict[str, dict[str, str]]:
    text = findings.SECTION.read()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    head = next(line for line in lines if line[:2] == ["scenario", "runs"])
    start = lines.index(head) + 2
    rows = lines[start:start + len({truth(scenario(name, seed)).row for name in SCENARIOS for seed in range(1, 21)})]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


PAGE = _page()


def test_what_is_right_is_found(played: Confusion) -> None:
    assert [f"{cell.truth.row}: {cell.reason} in {len(cell.delays)} of {cell.runs}" for cell in played.cells
            if cell.is_right
            and cell.runs - len(cell.delays) > MISSING_AT_MOST.get((cell.truth.row, cell.reason), 0)] == []


def test_nothing_else_is_found(played: Confusion) -> None:
    assert [f"{cell.truth.row}: {cell.reason}, seeds {cell.false_seeds}" for cell in played.false_cells
            if len(cell.delays) > FALSE_AT_MOST.get((cell.truth.row, cell.reason), 0)] == []


def missing_on_the_page(cell: Cell) -> int:
    """Runs of the page that did not find it: no more than these can be missing among its first seeds."""
    count = re.match(r"\*\*(\d+)\*\*", told(cell.truth.row, cell.reason))
    return int(PAGE[cell.truth.row]["runs"]) - (int(count[1]) if count else 0)


def test_the_page_is_of_these_runs(played: Confusion) -> None:
    assert [f"{cell.truth.row}: {cell.reason}" for cell in played.cells
            if cell.is_right and cell.runs - len(cell.delays) > missing_on_the_page(cell)] == []
    assert [f"{cell.truth.row}: {cell.reason}" for cell in played.false_cells
            if "false" not in told(cell.truth.row, cell.reason)] == []


def test_the_page_meets_its_goals() -> None:
    assert "MISSED" not in findings.SECTION.read()


def times(found: Sequence[frozenset[Reason]], reason: Reason) -> int:
    """How often it began to be found."""
    return sum(reason in now and reason not in before for before, now in pairwise([frozenset(), *found]))


CONSTANT: dict[str, Reason] = {
    "stuck-partition": Reason.STUCK_PARTITION, "no-members": Reason.NO_MEMBERS,
    "rebalance-storm": Reason.REBALANCE_STORM, "crashing-pod": Reason.REPLICAS_NOT_JOINING,
    "pending-pods": Reason.REPLICAS_NOT_JOINING, "spike-beyond-partitions": Reason.AT_PARTITION_LIMIT,
    "spike-beyond-maximum": Reason.AT_MAX_REPLICAS, "hung-transaction": Reason.HUNG_TRANSACTION,
    "downstream-limit": Reason.INEFFECTIVE_SCALING,
}
"""Where one cause makes one backlog, or asks for none."""


@pytest.mark.parametrize("name", CONSTANT)
@pytest.mark.parametrize("seed", PLAYED_SEEDS)
def test_a_cause_that_goes_on_is_found_once(runs: Mapping[tuple[str, int], Summary], name: str, seed: int) -> None:
    """A condition that flickers resolves alerts and breaks `kubectl wait`."""
    assert times(runs[name, seed].found, CONSTANT[name]) == 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_the_conditions_say_is_what_was_found(runs: Mapping[tuple[str, int], Summary], name: str) -> None:
    assert [runs[name, seed].contradicted_at for seed in PLAYED_SEEDS] == [()] * len(PLAYED_SEEDS)


def test_the_truth_of_every_scenario_was_decided() -> None:
    assert set(TRUTHS) == set(SCENARIOS)
    assert len(COLUMNS) == len(set(COLUMNS)) == len(RULES) - 2, "nobody else changes the replicas, and all is read"


def named(at: float) -> Named:
    return Named(at, at - 10, 3, "evidence")


def two_runs() -> Confusion:
    right, false = Reason.SLOW_CONSUMERS, Reason.HOT_PARTITION
    return Confusion([Run("slow-consumers", 1, {right: named(40), false: named(50)}, {}),
                      Run("slow-consumers", 2, {right: named(60)}, {})])


def test_a_cell_tells_how_often_and_how_soon() -> None:
    cells = {cell.reason: str(cell) for cell in two_runs().cells if str(cell)}
    assert cells == {Reason.SLOW_CONSUMERS: "**2** 40 s", Reason.HOT_PARTITION: "1 false"}
    assert (two_runs().asked, two_runs().found, two_runs().false) == (2, 2, 1)


def test_what_is_true_too_is_neither_right_nor_false() -> None:
    one = Confusion([Run("ramp", 1, {Reason.PRODUCER_SPIKE: named(30)}, {})])
    assert (str(one.cell("ramp", Reason.PRODUCER_SPIKE)), one.asked, one.false) == ("(1) 20 s", 0, 0)


def test_what_is_right_and_was_not_found_is_shown() -> None:
    one = Confusion([Run("stuck-partition", 1, {}, {})])
    assert (str(one.cell("stuck-partition", Reason.STUCK_PARTITION)), one.asked, one.found) == ("**0**", 1, 0)


def test_a_false_finding_is_on_the_page_with_its_seed_and_evidence() -> None:
    assert "| slow-consumers | HotPartition  | 1 of 2 |     1 |" in page(two_runs())


def test_the_goals_are_missed_by_a_false_finding_in_two_runs() -> None:
    missed, met = (findings.FindingsResult(one) for one in (two_runs(), Confusion(two_runs().runs[1:])))
    assert (missed.is_good, met.is_good) == (False, True)
    assert (missed.text().count("MISSED"), page(two_runs()).count("MISSED"), met.text().count("MISSED")) == (1, 1, 0)


def test_the_goals_are_missed_by_one_of_two_that_is_not_found() -> None:
    one = Confusion([*two_runs().runs[1:], Run("slow-consumers", 3, {}, {})])
    assert "1 were (50.0%; the goal is 95%, **MISSED**); 0 were made" in page(one)
