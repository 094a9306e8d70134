"""The proof: what is run anew, how its goals are judged, and the page it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import proof_page, proof_runs
from benchmarks.proof_page import Claim, Proof
from benchmarks.proof_runs import RIVALS, Measured, RunsMissing, Scores
from kafka_consumer_scaler.simulation.compare import LAG_THRESHOLDS, OURS
from kafka_consumer_scaler.simulation.score import Score


def made(over: int, replica_seconds: int, changes: int = 0) -> Score:
    return Score(1.0, over, 10.0, replica_seconds, changes, 0, 0.5, 0.0)


def scores(ours: Score, keda: dict[int, Score], others: Score) -> Scores:
    grid = {f"keda:{threshold}": keda.get(threshold, made(900, 9000)) for threshold in LAG_THRESHOLDS}
    return Scores(1000, {name: grid.get(name, others) for name in RIVALS} | {OURS: ours})


def two_families() -> Proof:
    """Alone, steady is best at 500 and step at 1000; together 1000 is best, as 500 is late in step."""
    return Proof({
        ("step", 1): scores(made(0, 3000, 2), {500: made(100, 4000, 9), 1000: made(0, 5000, 8)}, made(0, 2000)),
        ("steady", 1): scores(made(0, 2000, 1), {500: made(0, 2000, 4), 1000: made(0, 2500, 4)}, made(400, 1500)),
    })


def claims(one: Proof) -> dict[tuple[str, str, str], Claim]:
    return {(claim.against, claim.what, claim.where): claim for claim in one.claims()}


def test_keda_gets_one_threshold_for_all_and_one_for_each_family() -> None:
    assert two_families().single == 1000
    assert two_families().hindsight == {"steady": 500, "step": 1000}


def test_the_hindsight_of_all_families_is_the_sum_of_each_at_its_best() -> None:
    assert two_families().sums[proof_page.HINDSIGHT].replica_seconds == 2000 + 5000


def test_a_goal_is_met_up_to_its_share() -> None:
    assert Claim("x", "y", "z", ours=85, theirs=100, share=0.85).is_met
    assert str(Claim("x", "y", "z", ours=86, theirs=100, share=0.85)) == "0.86 **missed**"


@pytest.mark.parametrize(("ours", "shown"), [(0, "0 to 0"), (5, "5 to 0 **missed**")])
def test_against_nothing_there_is_no_ratio(ours: float, shown: str) -> None:
    assert str(Claim("x", "y", "z", ours, 0, 1.0)) == shown


def test_ours_is_held_against_the_single_threshold_over_all_families() -> None:
    mine = claims(two_families())["KEDA, one threshold 1000", "replica-seconds", "all families"]
    assert (mine.ours, mine.theirs, mine.is_met) == (5000, 7500, True)


def test_ours_is_held_against_the_oracle_only_where_that_holds_the_load() -> None:
    held = [where for against, _, where in claims(two_families()) if against == "oracle"]
    assert held == [proof_page.HELD, "step"]


def test_the_worst_run_of_ours_is_told_with_the_command_that_repeats_it() -> None:
    worst = Proof({
        ("step", 4): scores(made(30, 1), {}, made(25, 1)),
        ("ramp", 7): scores(made(20, 1), {}, made(0, 1)),
    }).worst
    assert (worst.excess_seconds, worst.command) == (
        20, "kafka-consumer-scaler simulate --family ramp --seed 7 --output DIR")


def test_the_page_does_not_depend_on_the_order_of_the_runs() -> None:
    one = two_families()
    other = Proof(dict(reversed(one.measured.items())))
    assert proof_page.page(one) == proof_page.page(other)
    assert "| steady " in proof_page.page(one)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    file = tmp_path / "rivals.json"
    proof_runs.save_kept(two_families().measured, proof_runs.fingerprints(), file)
    return file


def rivals(measured: Measured) -> dict[tuple[str, int], set[str]]:
    return {case: set(one.by_policy) for case, one in measured.items()}


def test_rivals_runs_are_kept(kept: Path) -> None:
    loaded = proof_runs.load_kept(kept)
    assert rivals(loaded) == {("steady", 1): set(RIVALS), ("step", 1): set(RIVALS)}
    assert loaded["step", 1].by_policy["keda:500"] == made(100, 4000, 9)


def test_a_rival_whose_sources_changed_is_run_again(kept: Path) -> None:
    stored = json.loads(kept.read_text())
    stored["sources"]["oracle"] = "of before"
    kept.write_text(json.dumps(stored))
    assert rivals(proof_runs.load_kept(kept))["step", 1] == set(RIVALS) - {"oracle"}


def test_rivals_depend_on_the_plant_and_on_themselves_and_not_on_ours() -> None:
    files = {file.name for file in proof_runs._closure(("run", "score", "workload", "keda"))}
    assert {"plant.py", "run.py", "workload.py", "keda.py", "hpa.py"} <= files
    assert not {"ours.py", "flink.py", "oracle.py", "plots.py"} & files


def test_only_ours_is_refused_while_rivals_runs_are_missing(kept: Path) -> None:
    with pytest.raises(RunsMissing, match="proof --seeds 1"):
        proof_runs.measure(1, True, kept)
