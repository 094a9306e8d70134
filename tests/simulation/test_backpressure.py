"""The figures of a run of producers that are held back, from what was seen of it each second."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import backpressure_scene as scene
from benchmarks.backpressure_figures import (
    Course,
    Moment,
    Seen,
    Told,
    course_of,
    figures,
    rates,
    steps,
    under_after,
    used,
)
from benchmarks.backpressure_page import COLUMNS, draw, goals, table, write_csv
from tests.demo.timeline import Sample

SECONDS = int(scene.RUN_SECONDS)
EACH = int(scene.SUSTAINABLE / scene.PARTITIONS)
"""Records/s of a partition that are sustained."""


def moment(at: int, arrived: int, done: int) -> Moment:
    """So many records have arrived and are done, on each partition."""
    sample = Sample(float(at), (arrived,) * scene.PARTITIONS, (done,) * scene.PARTITIONS, 6, 6, "")
    total = arrived * scene.PARTITIONS
    return Moment(sample, Seen(2 * total, total, total, {}, 0, 0.5), Told(120.0, 120.0, True, "6 consumers"), 400_000)


def course(behind: Callable[[int], int], name: str = scene.QUOTAS) -> Course:
    """What is sustained arrives, and at each second the consumers are so many seconds behind."""
    return Course(name, tuple(moment(at, EACH * at, EACH * max(0, at - behind(at))) for at in range(SECONDS + 1)))


def with_last(run: Course, seen: Seen) -> Course:
    return replace(run, moments=(*run.moments[:-1], replace(run.moments[-1], seen=seen)))


STEADY = course(lambda _: 5)
BURDENED = course(lambda at: 50 if 40 <= at < 100 else 5)


def test_consumers_that_do_all_that_they_can_use_all_of_it() -> None:
    assert used(STEADY) == pytest.approx(1)


def test_what_was_done_before_the_first_minutes_are_over_does_not_count() -> None:
    idle = course(lambda at: 5 if at < scene.SETTLED_SECONDS else at - int(scene.SETTLED_SECONDS) + 5)
    assert used(idle) == pytest.approx(0)


def test_the_age_is_under_the_objective_after_the_last_second_in_which_it_was_over() -> None:
    assert under_after(STEADY.rows) == 0
    assert under_after(BURDENED.rows) == 100
    assert under_after(course(lambda at: 50 if at >= 40 else 5).rows) is None


def test_a_rate_that_creeps_is_a_step_once_it_has_come_far_enough() -> None:
    assert steps([]) == 0
    assert steps([100, 100.5, 101.2, 90]) == 2
    assert steps([100 + number / 10 for number in range(100)]) == 9


def test_the_rate_is_the_quotas_of_all_brokers_or_what_is_told_and_is_no_lower_bound() -> None:
    assert set(rates(STEADY)) == {120.0}
    assert set(rates(replace(STEADY, name=scene.PACED))) == {120.0}
    unsure = tuple(replace(each, told=replace(each.told, is_followed=False)) for each in STEADY.moments)
    assert rates(Course(scene.PACED, unsure)) == []


def test_a_promised_record_that_is_lost_misses_the_goal() -> None:
    lost = figures(replace(STEADY, lost=1))
    assert [goal.is_met for goal in goals({scene.SETTINGS: lost})] == [True, True, False]


def test_a_run_that_is_late_in_the_end_misses_its_goal_and_one_that_was_late_in_the_beginning_does_not() -> None:
    late = figures(course(lambda at: 50 if at > 200 else 5))
    assert late.over_late == pytest.approx(SECONDS - 200)
    assert not all(goal.is_met for goal in goals({scene.SETTINGS: late}))
    assert all(goal.is_met for goal in goals({scene.SETTINGS: figures(BURDENED)}))


def test_producers_with_default_settings_are_told_and_not_judged() -> None:
    late = figures(course(lambda at: 50 if at >= 40 else 5))
    assert all(goal.is_met for goal in goals({scene.QUOTAS: late, scene.SETTINGS: figures(STEADY)}))


def test_a_run_comes_back_from_json_as_it_was() -> None:
    seen = replace(STEADY.moments[-1].seen, failures={"_MSG_TIMED_OUT": 7})
    run = replace(with_last(STEADY, seen), lost=1, stored_twice=2)
    assert course_of(json.loads(json.dumps(asdict(run)))) == run


def test_the_csv_has_a_line_for_each_second_and_the_quota_of_all_brokers(tmp_path: Path) -> None:
    write_csv(STEADY, tmp_path / "a.csv")
    lines = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert len(lines) == len(STEADY.moments)
    assert tuple(lines[0]) == COLUMNS
    assert lines[-1]["quota_bytes_per_second"] == "1200000"


def test_the_table_has_a_column_for_each_run_and_names_what_the_producer_saw(tmp_path: Path) -> None:
    seen = replace(STEADY.moments[-1].seen, failures={"_MSG_TIMED_OUT": 7, "BufferError": 1000})
    runs = [replace(with_last(STEADY, seen), name=name) for name in scene.RUNS]
    heading, *lines = table({run.name: figures(run) for run in runs})
    assert heading == ["", *scene.TITLES.values()]
    assert all(len(line) == len(heading) for line in lines)
    assert ["failures that it saw", *["1,000 `BufferError`, 7 `_MSG_TIMED_OUT`"] * len(runs)] in lines
    draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
