"""The table of worlds by trait: the operator beside fixed replicas, KEDA and an oracle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks.wild import rivals
from benchmarks.wild.rivals import ALL, HEAD, POLICIES, SECTION, Figures, Row, by_trait, page, plan, schedule, table
from benchmarks.wild.worlds import TRAITS, Drawn
from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.wild.cases import group, level, policy, step
from kafka_consumer_scaler.simulation.wild.play import play
from kafka_consumer_scaler.simulation.wild.world import NOBODY, Topic, World

SECONDS = 900


def steady(rate: float, replicas: int = 5, **plant: object) -> World:
    return group("steady", 1, (Topic("orders", level(rate, SECONDS)),), policy(), replicas, changes=(0.0,), **plant)


def rising(**plant: object) -> World:
    topic = Topic("orders", step(150, 550, 600, 1800))
    return group("rising", 1, (topic,), policy(), 2, changes=(0.0, 600.0), **plant)


def cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small worlds in place of the generated ones: seed 1 with one trait, seed 2 with two."""
    worlds = {1: Drawn(1, steady(450), ("noise",)), 2: Drawn(2, steady(250, 3), ("noise", "zero"))}
    monkeypatch.setattr(rivals, "draw", worlds.__getitem__)


def silent(_: str) -> None:
    """Discard the progress."""


def test_a_table_of_two_worlds_has_a_row_for_all_and_for_each_trait(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    rows = by_trait((1, 2), silent)
    assert [(name, row.worlds) for name, row in rows.items() if row.worlds] == [(ALL, 2), ("noise", 2), ("zero", 1)]
    text = table(rows)
    assert cells(text)[0] == list(HEAD)
    assert [line[0] for line in cells(text)[2:]] == [ALL, *TRAITS]
    assert text == table(by_trait((1, 2), silent))


def test_the_best_fixed_number_is_the_fewest_replicas_that_keep_up() -> None:
    ours, static, _, oracle = rivals.contest(steady(450))
    assert (static.over, static.changes) == (0, 1)
    assert static.replica_seconds == pytest.approx(6 * SECONDS, abs=20)
    assert ours.seconds == SECONDS
    assert oracle.replica_seconds <= static.replica_seconds


def test_the_oracle_is_never_worse_than_the_others_in_hindsight() -> None:
    _, static, _, oracle = rivals.contest(rising())
    assert oracle.over <= static.over
    assert oracle.replica_seconds < static.replica_seconds


def test_a_schedule_requests_replicas_a_pod_start_before_they_are_needed() -> None:
    world = rising(pod_start_seconds=120.0, rebalance_seconds=5.0)
    steps = schedule(world).plan
    assert steps[600 // 5] == 6
    assert [steps[second // 5] for second in (470, 480)] == [2, 6]
    assert play(world, schedule(world)).seconds_over == 0


def test_a_schedule_for_a_load_that_no_number_holds_asks_for_the_maximum() -> None:
    assert set(schedule(steady(5000)).plan) == {12}


def test_a_plan_leaves_out_topics_that_our_consumers_do_not_read() -> None:
    world = steady(450)
    left = Topic("legacy", level(400, SECONDS), partitions=6, reader=NOBODY)
    both = replace(world, topics=(*world.topics, left), plant=replace(world.plant, partitions=18))
    assert plan(both).plan == plan(world).plan


def test_a_plan_counts_delayed_records_after_their_delay() -> None:
    """Replicas are needed an objective after the step, and cost in vain before the delay has passed."""

    def planned(delay: float) -> World:
        return group("delayed", 1, (Topic("orders", step(0, 900, 300, SECONDS), delay_seconds=delay),), policy(), 1)

    def first(world: World) -> int:
        return 5 * next(step for step, replicas in enumerate(plan(world).plan) if replicas > 1)

    assert first(planned(0.0)) <= 300 + policy().lag_seconds
    assert first(planned(120.0)) >= 300 + 120 - planned(0.0).plant.pod_start_seconds - 5


@pytest.mark.parametrize(("capacity", "seconds", "least", "most"), [(100, 0.0, 10, 10_000), (1000, 0.0, 100, 100_000),
                                                                    (100, 600.0, 1, 1)])
def test_thresholds_scale_with_the_capacity_of_a_replica(capacity: float, seconds: float, least: int,
                                                         most: int) -> None:
    world = replace(steady(100, capacity=capacity), record_seconds=seconds)
    found = rivals.thresholds(world)
    assert (found[0], found[-1], len(found)) == (least, most, len(set(found)))


def test_a_run_that_breaks_a_law_is_counted() -> None:
    world = group("steady", 1, (Topic("orders", level(450, 5400)),), policy(), 5, changes=(0.0,))
    few, enough = (rivals.figures(play(world, Static(replicas)), ("liveness",)) for replicas in (4, 6))
    assert (few.unlawful, enough.unlawful) == (1, 0)
    assert (few + enough).unlawful == 1


def test_figures_are_shares_ratios_and_rates() -> None:
    ours, static, rival = (Figures(36, 7200, 5, 3600, 1), Figures(0, 7200, 1, 3600), Figures(360, 3600, 40, 3600, 1))
    oracle = Figures(0, 3600, 2, 3600)
    row = Row().plus((ours, static, rival, oracle))
    assert row.cells() == ("1", "1.0%", "0.0%", "10.0%", "0.0%", "2.00", "2.00", "1.00", "5.0", "40.0", "2.0",
                           "1", "0", "1", "0")
    assert set(Row().cells()[1:]) == {"-"}


def test_the_command_writes_the_table_where_asked(monkeypatch: pytest.MonkeyPatch,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    small(monkeypatch)
    written: list[str] = []
    monkeypatch.setattr(type(SECTION), "write", lambda _, text: written.append(text))
    assert main(["wild", "--rivals", "2"]) == 0
    printed = capsys.readouterr().out
    assert (cells(printed)[0], written) == (list(HEAD), [])
    assert main(["wild", "--rivals", "2", "--write"]) == 0
    assert written == [f"2 worlds, seeds 1 to 2, 0 simulated hours per scaler:\n\n{printed.strip()}"]


def test_the_table_of_the_docs_has_the_traits_and_columns_of_the_code() -> None:
    lines = cells(SECTION.read())
    assert lines[0] == list(HEAD)
    assert [line[0] for line in lines[2:]] == [ALL, *TRAITS]
    text = SECTION.page.read_text().partition(f"<!-- {SECTION.name}: begin -->")[0].rpartition("\n## ")[2]
    explained = {name.split(":")[0] for name in HEAD}
    assert {name for name in explained if f"**{name}**" not in text} == set()
    assert {name for name in POLICIES if f"**{name}**" not in text} == set()


def test_the_page_names_its_worlds() -> None:
    rows = {ALL: Row().plus([Figures(seconds=7200, replica_seconds=1)] * len(POLICIES))}
    assert page(rows, 4).startswith("1 worlds, seeds 4 to 4, 2 simulated hours per scaler:")
