"""The whole loop in the simulator: producers are held to what the group sustains, and to no less."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.throttle import Quota, Throttle
from kafka_consumer_scaler.simulation.overloads import FLOOR_BYTES, MAX_REPLICAS, OVERLOADS, policy_of
from kafka_consumer_scaler.simulation.plant import Plant, PlantSpec
from kafka_consumer_scaler.simulation.upstream import BROKERS, DELIVERY_SECONDS, Course, HeldPlant, play
from tests.docs.pages import page

SPEC = PlantSpec(initial_replicas=12)


def told(bytes_per_broker: float) -> Throttle:
    return Throttle(BROKERS * bytes_per_broker, (Quota("shop", None, bytes_per_broker),), False, "")


@cache
def run(name: str, with_loop: bool = True, seed: int = 1) -> Course:
    return play(OVERLOADS[name](seed), with_loop)


# the plant

def test_producers_that_are_free_make_the_plant_that_every_other_benchmark_has() -> None:
    rates = [300.0] * 120 + [1500.0] * 120 + [200.0] * 240
    held, plain = HeldPlant(SPEC, rates, 1), Plant(SPEC, rates, 1)
    for _ in rates:
        held.step()
        plain.step()
        assert held.lag_records == pytest.approx(plain.lag_records, abs=1e-5)
        assert held.lag_seconds == pytest.approx(plain.lag_seconds, abs=1e-4)


def test_no_broker_lets_through_more_than_it_was_told() -> None:
    """Four of twelve partitions on each; 2,000 bytes/s are 20 records/s, of 100 that are asked for."""
    plant = HeldPlant(SPEC, [300.0] * 60, 1)
    plant.hold(told(2000))
    for _ in range(60):
        plant.step()
    assert plant.held.end.sum() == pytest.approx(60 * 60)
    assert plant.held.waiting.sum() == pytest.approx(60 * 240)
    assert plant.held.records_refused == 0


def test_what_waits_with_its_producer_flows_once_it_may_or_is_refused_after_two_minutes() -> None:
    plant = HeldPlant(SPEC, [300.0] * 300 + [0.0] * 5, 1)
    plant.hold(told(2000))
    for _ in range(300):
        plant.step()
    waits = plant.held.waiting.sum()
    assert waits == pytest.approx(300 * DELIVERY_SECONDS)
    assert plant.held.records_refused == pytest.approx(300 * 300 - 60 * 300 - waits)
    plant.hold(None)
    plant.step()
    assert plant.held.waiting.sum() == 0
    assert plant.held.end.sum() == pytest.approx(60 * 300 + waits)


def test_retention_deletes_by_what_arrived_and_not_by_what_was_asked_for() -> None:
    """60 records/s for 20 s with nobody to process them; after 10 s the first 10 s of them are gone."""
    plant = HeldPlant(PlantSpec(initial_replicas=0, retention_seconds=10), [300.0] * 20, 1)
    plant.hold(told(2000))
    for _ in range(20):
        plant.step()
    assert plant.records_lost == pytest.approx(600)
    assert plant.lag_seconds == pytest.approx(10)


# the goals

@pytest.mark.parametrize("name", OVERLOADS)
def test_with_the_loop_nothing_is_lost_and_no_consumer_starves(name: str) -> None:
    course = run(name)
    assert course.lost == 0
    assert course.used >= 0.95
    assert course.changes <= 30, "of the rate, in an hour"


BACK_SECONDS = {"retention-overload": 2100, "bound-downstream": 720}
"""From the overload's beginning; else recoverySeconds and the time to see what is the matter."""


@pytest.mark.parametrize("name", OVERLOADS)
def test_after_the_first_minutes_no_record_is_over_the_objective(name: str) -> None:
    course = run(name)
    begins = int(np.argmax(course.age > 60))
    assert course.seconds_over(60, begins + BACK_SECONDS.get(name, 420)) == 0


@pytest.mark.parametrize("name", ["steady-overload", "retention-overload"])
def test_without_the_loop_it_is_as_bad_as_it_sounds(name: str) -> None:
    """So the two laws above can fail."""
    course = run(name, with_loop=False)
    assert course.seconds_over(60, 1500) > 1500
    assert (course.lost > 0) is (name == "retention-overload")


def test_producers_that_ask_for_less_again_are_released() -> None:
    course = run("flash-overload")
    held = np.flatnonzero(np.isfinite(course.rate))
    assert held[-1] < len(course.rate) - 600
    assert np.all(course.rate[held[-1] + 1:] == np.inf)
    assert np.all(np.diff(held) == 1), "once"


@pytest.mark.parametrize("name", OVERLOADS)
def test_no_rate_is_under_the_floor_or_over_what_is_asked_for(name: str) -> None:
    course = run(name)
    held = np.isfinite(course.rate)
    assert course.rate[held].min() >= FLOOR_BYTES / 100 - 1e-6
    assert course.rate[held].max() <= course.asked.max()


@pytest.mark.parametrize("name", OVERLOADS)
def test_all_replicas_stay_while_producers_are_held_back(name: str) -> None:
    """Few records arrive because they are held back, not because few are asked for."""
    course = run(name)
    pressed = np.isfinite(course.rate) & (course.asked > 1.1 * OVERLOADS[name](1).sustained)
    first = np.flatnonzero(pressed)[0]
    least = course.replicas[first]
    assert np.all(course.replicas[pressed] >= least)


def test_only_the_quota_tells_the_two_policies_apart() -> None:
    assert policy_of(with_loop=False) == Policy(max_replicas=MAX_REPLICAS)
    assert policy_of(with_loop=True) != policy_of(with_loop=False)


def test_the_same_seed_gives_the_same_run_to_the_last_bit() -> None:
    first, again = run("hot-overload"), play(OVERLOADS["hot-overload"](1), with_loop=True)
    assert np.array_equal(first.age, again.age)
    assert np.array_equal(first.rate, again.rate)


def test_the_page_of_the_simulator_tells_of_every_overload_in_its_own_words() -> None:
    rows = {row[0]: row[1] for row in page("docs/simulation.md").table("overloads")[1:]}
    assert rows == {f"`{name}`": " ".join(str(make.__doc__).split()) for name, make in OVERLOADS.items()}
