"""Policies side by side: the rule of hindsight, sums, and that a comparison is repeatable."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from kafka_consumer_scaler.cli import simulate
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation import compare, report
from kafka_consumer_scaler.simulation.keda import DEFAULT_LAG_THRESHOLD
from kafka_consumer_scaler.simulation.score import Score
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.workload import FAMILIES, Workload
from tests.docs.pages import page

POLICY = Policy(max_replicas=6)


def made(over: int, replica_seconds: int, changes: int = 0, lag: float = 1.0) -> Score:
    return Score(lag, over, 10.0, replica_seconds, changes, 0, 0.5, 0.0)


def small(seed: int = 3, peak: float = 350.0) -> Workload:
    """Ten minutes: one consumer's worth, then a peak for four minutes."""
    arrival = (80.0,) * 120 + (peak,) * 240 + (80.0,) * 240
    return Workload("small", seed, arrival, PlantSpec(partitions=12, poll_gap_chance=0.1))


def test_the_least_time_over_the_objective_comes_first() -> None:
    assert compare.cheapest({100: made(300, 1000), 500: made(20, 9000)}, 1000) == 500


def test_among_those_the_fewest_replica_seconds_win() -> None:
    assert compare.cheapest({100: made(0, 9000), 500: made(0, 4000), 1000: made(30, 1000)}, 1000) == 500


@pytest.mark.parametrize(("over", "best"), [(2, 500), (3, 100)])
def test_time_over_is_rounded_to_half_a_per_cent_of_the_run(over: int, best: int) -> None:
    """Of 1000 s that is 5 s: 2 s round to 0, 3 s to 5."""
    assert compare.cheapest({100: made(0, 9000), 500: made(over, 4000)}, 1000) == best


def test_of_equals_the_first_is_chosen() -> None:
    assert compare.cheapest({100: made(0, 4000), 500: made(1, 4000)}, 1000) == 100


def test_the_total_adds_all_but_the_lag_of_which_it_takes_the_largest() -> None:
    added = compare.total([made(3, 100, 2, lag=70.0), made(4, 50, 1, lag=20.0)])
    assert added == Score(70.0, 7, 20.0, 150, 3, 0, 1.0, 0.0)
    assert type(added.replica_seconds) is int


def test_no_scores_have_no_total() -> None:
    with pytest.raises(ValueError, match="no scores"):
        compare.total([])


def test_all_policies_are_compared_by_default_and_ours_comes_first() -> None:
    compared = compare.compare(small(), POLICY)
    assert list(compared.runs) == [compare.OURS, *compare.RIVALS]
    assert set(compared.chosen) == {"keda", "static"}
    assert compared.chosen["keda"] in compare.LAG_THRESHOLDS


def test_the_command_line_names_the_same_rivals() -> None:
    assert simulate.RIVALS == compare.RIVALS


def test_keda_in_hindsight_is_the_cheapest_of_its_grid() -> None:
    load = small()
    grid = {threshold: run.score for threshold, run in compare.keda_grid(load, POLICY).items()}
    compared = compare.compare(load, POLICY, ["keda"])
    assert compared.chosen["keda"] == compare.cheapest(grid, len(load.arrival))
    assert compared.scores["keda"] == grid[compared.chosen["keda"]]


def test_keda_at_its_default_is_the_first_of_the_grid() -> None:
    load = small()
    scores = compare.compare(load, POLICY, ["keda-default"]).scores
    assert scores["keda-default"] == compare.keda_grid(load, POLICY)[DEFAULT_LAG_THRESHOLD].score


def test_the_static_number_is_the_fewest_that_does_what_the_most_do() -> None:
    """Three are 50 records/s short for 240 s: 12,000 records, 40 s of work; two are far over the objective."""
    chosen, run = compare.best_static(small(), POLICY)
    assert chosen == 3
    assert 30 < run.score.lag_seconds_max < 50
    assert set(run.record.replicas[60:]) == {3}


def test_where_no_number_is_enough_the_static_one_is_the_most() -> None:
    chosen, _ = compare.best_static(small(peak=5000.0), POLICY)
    assert chosen == POLICY.max_replicas


def test_the_same_seed_gives_the_same_summary_and_another_seed_another() -> None:
    def summed(seed: int) -> dict[str, object]:
        return report.summary(compare.compare(small(seed), POLICY, ["keda-default", "flink"]))

    assert summed(3) == summed(3)
    assert summed(3) != summed(4)


def test_each_policy_of_the_summary_has_the_eight_figures_and_no_more() -> None:
    summed = report.summary(compare.compare(small(), POLICY, ["keda", "static"]))
    assert {frozenset(figures) for figures in summed["policies"].values()} == {frozenset(asdict(made(0, 0)))}
    assert set(summed["thresholds"]) == {"keda", "static"}


def test_a_table_is_aligned_markdown() -> None:
    table = report.markdown(("policy", "n"), [("keda", "1,000"), ("flink", "7")])
    assert table.splitlines() == [
        "| policy |     n |",
        "| ------ | ----: |",
        "| keda   | 1,000 |",
        "| flink  |     7 |",
    ]


def test_the_table_over_families_ends_with_their_sums() -> None:
    compared = [compare.compare(small(seed), POLICY, ["static"]) for seed in (1, 2)]
    lines = report.table_of_families(compared).splitlines()
    assert len(lines) == 2 + 2 * 2 + 2
    assert [line.split("|")[1].strip() for line in lines[-2:]] == ["all", "all"]


def test_the_page_of_the_simulator_tells_of_every_family_in_its_own_words() -> None:
    rows = {row[0]: row[1] for row in page("docs/simulation.md").table("families")[1:]}
    assert rows == {f"`{name}`": " ".join(str(make.__doc__).split()) for name, make in FAMILIES.items()}


def test_the_page_of_the_simulator_names_the_thresholds_that_are_tried() -> None:
    told = page("docs/simulation.md").text.split("it is run at each of ")[1].split(" records")[0]
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d", told)]
    assert numbers == list(compare.LAG_THRESHOLDS)
