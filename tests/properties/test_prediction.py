"""Laws of the fluid model, and dumb twins that simulate it step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.core import objective
from kafka_consumer_scaler.core.assignment import COOPERATIVE, spread
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.objective import by_age
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.prediction import Load, Loads, Plant
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Replicas, TopicPartition
from kafka_consumer_scaler.simulation.assignors import assign
from tests.core.making import even, known, members, orders

STEP_SECONDS = 0.1
assignors = st.sampled_from(["range", "roundrobin", "cooperative-sticky"])


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """A backlog with an age profile: ages fall from the oldest record to the newest."""
    lag, age, arrival = draw(st.floats(0, 5000)), draw(st.floats(0.1, 100)), draw(st.floats(0, 200))
    places = sorted(draw(st.sets(st.floats(0.01, 0.99), max_size=3)))
    ages = sorted(draw(st.lists(st.floats(0, 1), min_size=len(places), max_size=len(places))), reverse=True)
    marks = tuple((lag * place, age * share) for place, share in zip(places, ages, strict=True)) if lag > 0 else ()
    return Load(lag, age, arrival, marks)


@st.composite
def plants(draw: st.DrawFn) -> tuple[Plant, Loads]:
    each = draw(st.lists(loads(), min_size=1, max_size=6))
    topics = draw(st.integers(1, 2))
    names = sorted(TopicPartition(f"t{index % topics}", index) for index in range(len(each)))
    assignor = draw(assignors)
    plant = Plant(spread(names, assignor, draw(st.integers(1, 2))), assignor, draw(st.floats(1, 400)))
    return plant, {tp: load if load.lag > 0 else load._replace(age=0.0)
                   for tp, load in zip(names, each, strict=True)}


# laws

@given(plants(), st.floats(1, 600), st.integers(0, 6), st.floats(0, 30), st.floats(0.1, 300))
def test_holds_is_that_the_worst_age_is_within_the_limit(
    case: tuple[Plant, Loads], seconds: float, replicas: int, pause: float, limit: float
) -> None:
    plant, now = case
    age = plant.worst_age(now, seconds, replicas, pause)
    assume(abs(age - limit) > 1e-6 * limit)
    assert plant.holds(now, seconds, replicas, pause, limit) is (age <= limit)


@given(plants(), st.floats(1, 600), st.integers(0, 6), st.floats(0, 30), st.integers(0, 5), st.floats(1, 10))
def test_more_lag_is_never_predicted_to_be_younger(
    case: tuple[Plant, Loads], seconds: float, replicas: int, pause: float, which: int, more: float
) -> None:
    plant, now = case
    tp = list(now)[which % len(now)]
    worse = {**now, tp: now[tp]._replace(lag=now[tp].lag * more + more, age=max(0.1, now[tp].age))}
    before = plant.worst_age(now, seconds, replicas, pause)
    assert plant.worst_age(worse, seconds, replicas, pause) >= before - 1e-6 * max(1.0, before)


@given(plants(), st.floats(1, 600), st.integers(0, 6), st.floats(1, 4))
def test_more_capacity_and_less_pause_are_never_predicted_to_be_older(
    case: tuple[Plant, Loads], seconds: float, replicas: int, more: float
) -> None:
    plant, now = case
    before = plant.worst_age(now, seconds, replicas, pause=5.0)
    faster = replace(plant, capacity=plant.capacity * more)
    assert faster.worst_age(now, seconds, replicas, pause=5.0) <= before + 1e-6 * max(1.0, before)
    assert plant.worst_age(now, seconds, replicas, pause=0.0) <= before + 1e-6 * max(1.0, before)


@given(plants(), st.floats(1, 600), st.integers(0, 6), st.floats(0, 30), st.sampled_from([0.25, 0.5, 2.0, 60.0]))
def test_another_unit_of_time_scales_ages_alone(
    case: tuple[Plant, Loads], seconds: float, replicas: int, pause: float, unit: float
) -> None:
    plant, now = case
    scaled = {tp: Load(load.lag, load.age * unit, load.arrival / unit,
                       tuple((records, age * unit) for records, age in load.marks)) for tp, load in now.items()}
    consumers = plant.spread.consumers(replicas)
    found = plant.after(now, seconds, consumers, pause)
    other = replace(plant, capacity=plant.capacity / unit).after(scaled, seconds * unit, consumers, pause * unit)
    for tp, load in found.items():
        assert other[tp].lag == pytest.approx(load.lag, rel=1e-6, abs=1e-6)
        assert other[tp].age == pytest.approx(load.age * unit, rel=1e-4, abs=1e-2 * unit)


@given(loads(), st.integers(1, 12), st.integers(1, 14), st.randoms(), assignors, st.floats(1, 300))
def test_permuting_partitions_of_equal_load_changes_nothing(
    load: Load, partitions: int, replicas: int, chance: object, assignor: str, seconds: float
) -> None:
    names = list(orders(partitions))
    shuffled = list(names)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    plant = Plant(spread(names, assignor, 1), assignor, 100.0)
    assert plant.worst_age(dict.fromkeys(names, load), seconds, replicas) == plant.worst_age(
        dict.fromkeys(shuffled, load), seconds, replicas)


@given(plants(), st.floats(1, 600), st.integers(0, 6), st.floats(0, 30))
def test_records_are_neither_made_nor_lost(
    case: tuple[Plant, Loads], seconds: float, replicas: int, pause: float
) -> None:
    plant, now = case
    consumers = plant.spread.consumers(replicas)
    can = plant.capacity * consumers * max(0.0, seconds - pause)
    there = sum(load.lag + load.arrival * seconds for load in now.values())
    left = sum(load.lag for load in plant.after(now, seconds, consumers, pause).values())
    assert there - can - 1e-6 * (there + 1) <= left <= there + 1e-6 * (there + 1)


@given(loads(), st.floats(0, 1), st.floats(0.1, 300))
def test_two_steps_of_a_backlog_are_one(load: Load, share: float, seconds: float) -> None:
    """What is processed in two halves, each at its share, leaves the same ages as in one."""
    done = share * load.lag
    once = load.after(seconds, done)
    twice = load.after(seconds / 2, done / 2).after(seconds / 2, done / 2)
    assert twice.lag == pytest.approx(once.lag, rel=1e-6, abs=1e-6)
    assert twice.age == pytest.approx(once.age, rel=1e-4, abs=1e-2)


@given(plants(), st.integers(1, 6), st.floats(0, 30))
def test_no_record_that_waits_is_processed_younger_than_it_is_now(
    case: tuple[Plant, Loads], replicas: int, pause: float
) -> None:
    plant, now = case
    consumers = plant.spread.consumers(replicas)
    oldest_now = max(load.age for load in now.values())
    assert plant.oldest_done(now, consumers, pause) >= (oldest_now + pause if oldest_now else 0.0)
    assert plant.oldest_done(now, consumers, pause) >= plant.oldest_done(now, consumers)


# the twin

class Queue:
    """Records of one partition in pieces, each with the time at which it came."""

    def __init__(self, load: Load) -> None:
        self.arrival = load.arrival
        self.waiting = 0.0
        self.pieces: deque[tuple[float, float]] = deque()
        for n in range(200 if load.lag else 0):
            self.put(-load.age * (1 - (n + 0.5) / 200), load.lag / 200)

    def put(self, came: float, count: float) -> None:
        self.pieces.append((came, count))
        self.waiting += count

    def take(self, count: float) -> None:
        self.waiting = max(0.0, self.waiting - count)
        while self.pieces and count > 1e-9:
            came, there = self.pieces.popleft()
            if there > count:
                self.pieces.appendleft((came, there - count))
            count -= there


def dealt(tps: Sequence[TopicPartition], assignor: str, consumers: int) -> list[list[TopicPartition]]:
    """The hands that the simulator's assignors deal to an empty group, told apart from the planner's."""
    names = [f"m{number:02}" for number in range(consumers)]
    rule = "range" if assignor == "range" else "roundrobin"
    owners = assign(rule, [None] * len(tps), names, len({tp.topic for tp in tps}))
    return [[tp for tp, owner in zip(tps, owners, strict=True) if owner == name] for name in names]


def simulated(queues: Mapping[TopicPartition, Queue], hands: Sequence[Sequence[TopicPartition]], capacity: float,
              begin: float, seconds: float, pause: float = 0.0) -> None:
    """Step by step: what came is added, then each consumer pours its step's capacity into the shortest queue first."""
    for number in range(round(seconds / STEP_SECONDS)):
        at = begin + number * STEP_SECONDS
        for queue in queues.values():
            queue.put(at, queue.arrival * STEP_SECONDS)
        for hand in hands if number * STEP_SECONDS >= pause else ():
            left = capacity * STEP_SECONDS
            for index, tp in enumerate(sorted(hand, key=lambda tp: queues[tp].waiting)):
                amount = min(left / (len(hand) - index), queues[tp].waiting)
                queues[tp].take(amount)
                left -= amount


def oldest_at(queues: Mapping[TopicPartition, Queue], at: float) -> float:
    waiting = (queue for queue in queues.values() if queue.waiting > 1e-6 and queue.pieces)
    return max((at - queue.pieces[0][0] for queue in waiting), default=0.0)


@given(plants(), st.integers(5, 30), st.integers(1, 6), st.sampled_from([0.0, 2.0, 5.0]))
@settings(max_examples=25)
def test_the_formula_says_what_a_step_by_step_simulation_says(
    case: tuple[Plant, Loads], seconds: int, replicas: int, pause: float
) -> None:
    """Within 2.5 s, or 2% of the oldest record, of backlogs that arrived evenly.

    A step adds its records before it processes, so the simulation is one step (0.1 s) ahead or behind; a piece of the
    backlog is a 200th of its age (at most 0.5 s of 100 s); a partition may be off by what one step processes, capacity
    * 0.1 records, which at the least arrival tried, capacity / 20, took 2 s to come.
    """
    plant, now = case[0], {tp: load._replace(marks=()) for tp, load in case[1].items()}
    assume(all(load.arrival > plant.capacity / 20 for load in now.values()))
    queues = {tp: Queue(load) for tp, load in now.items()}
    hands = dealt(tuple(now), plant.assignor, plant.spread.consumers(replicas))
    simulated(queues, hands, plant.capacity, 0.0, seconds, pause)
    age, formula = oldest_at(queues, seconds), plant.worst_age(now, seconds, replicas, pause)
    assert formula == pytest.approx(age, rel=0.02, abs=2.5)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Up to 6 even partitions and 6 replicas, `age` seconds behind."""
    partitions, current = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    arrival, age = draw(st.integers(10, 900)), draw(st.integers(0, 60))
    found = even(current, float(arrival), float(age), partitions)
    assignor = draw(assignors)
    return replace(
        found, group=members(current, partitions, assignor), assignor=assignor, replicas=Replicas(current, current),
        spread=spread(orders(partitions), assignor, 1), memory=Memory(join_seconds=10.0))


SHORT = Policy(max_replicas=6, lag_seconds=40.0, recovery_seconds=20.0, polling_interval_seconds=5)


def ages_by_replicas(situation: Situation, seconds: float, numbers: Sequence[int]) -> dict[int, float]:
    """The oldest record 10 s + `seconds` from now, if after 10 s there are so many replicas, by simulation."""
    loads_now = situation.loads(situation.rates.arrival.average)  # type: ignore[union-attr]
    assert isinstance(loads_now, dict)
    found = {}
    for replicas in numbers:
        queues = {tp: Queue(load) for tp, load in loads_now.items()}
        simulated(queues, dealt(tuple(queues), situation.assignor, situation.current), 100.0, 0.0, 10.0)
        pause = 0.0 if replicas == situation.current else situation.pause_seconds
        simulated(queues, dealt(tuple(queues), situation.assignor, replicas), 100.0, 10.0, seconds, pause)
        found[replicas] = oldest_at(queues, 10.0 + seconds)
    return found


@given(situations())
@settings(max_examples=25)
def test_the_choice_on_the_way_up_is_that_of_brute_force(situation: Situation) -> None:
    """Brute force simulates every number and takes the fewest, no fewer than now, that are back under 24 s.

    Where a number's age is within 1 s of the limit, either answer is right: the steps (0.1 s), the pieces (60 s / 200)
    and the remainders (0.1 s of capacity over an arrival of at least 10 / 6 records/s, but never beyond the backlog's
    own age) may tip it.
    """
    wanted, why = by_age(SHORT, situation)
    assume("before help could come" in why)
    numbers = range(situation.current, 7)
    ages = ages_by_replicas(situation, 20.0, numbers)
    assume(all(abs(age - 24.0) > 1.0 for age in ages.values()))
    fewest = next((n for n in numbers if ages[n] <= 24.0), None)
    if fewest is None:
        assert wanted > situation.spread.useful_replicas
    else:
        assert wanted == fewest


@given(st.integers(1, 6), st.integers(2, 6), st.integers(10, 550))
@settings(max_examples=8)
def test_the_choice_on_the_way_down_is_that_of_brute_force(partitions: int, current: int, arrival: int) -> None:
    """A group without a backlog: the fewest whose oldest record after 600 s, simulated, is under 12 s.

    Steps of 0.1 s over 600 s put the simulation at most a step off: whatever is within half a second of the limit is
    left out.
    """
    situation = even(current, float(arrival), 0.0, partitions)
    policy = replace(SHORT, lag_seconds=40.0)
    wanted, why = by_age(policy, situation)
    assume("before help could come" not in why and 2 * wanted <= current)
    ages = {}
    for replicas in range(1, current):
        queues = {tp: Queue(Load(0.0, 0.0, arrival / partitions)) for tp in orders(partitions)}
        simulated(queues, dealt(tuple(queues), "cooperative-sticky", replicas), 100.0, 0.0, 600.0, 5.0)
        ages[replicas] = oldest_at(queues, 600.0)
    assume(all(abs(age - 12.0) > 0.5 for age in ages.values()))
    assert wanted == next((n for n in range(1, current) if ages[n] <= 12.0), current)


@given(situations(), st.sampled_from([2, 7, 60]))
@settings(max_examples=100)
def test_another_unit_of_time_asks_for_as_many_replicas(situation: Situation, unit: int) -> None:
    """The rule's own seconds (how long a rebalance, a hurry, a held peak last) are told in that unit, too."""
    arrival = situation.rates.arrival.average  # type: ignore[union-attr]
    memory = Memory(join_seconds=10.0 * unit, pause_seconds=situation.pause_seconds * unit)
    ages = {tp: age * unit for tp, age in situation.ages.items()}  # type: ignore[operator]
    other = replace(situation, rates=known(arrival / unit, 100.0 / unit), ages=ages, memory=memory)
    policy = replace(SHORT, lag_seconds=SHORT.lag_seconds * unit, recovery_seconds=SHORT.recovery_seconds * unit,
                     polling_interval_seconds=SHORT.polling_interval_seconds * unit)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOLD_SECONDS", "HURRY_SECONDS", "PROBE_SECONDS", "WAKING_SECONDS"):
            patch.setattr(objective, name, getattr(objective, name) * unit)
        assert by_age(policy, other)[0] == by_age(SHORT, situation)[0]


# monotone

@given(situations(), st.integers(1, 100))
@settings(max_examples=200)
def test_an_older_backlog_never_asks_for_fewer_replicas(situation: Situation, more: int) -> None:
    assume(situation.current <= situation.spread.useful_replicas)
    arrival = situation.rates.arrival.average  # type: ignore[union-attr]
    age = situation.age + more  # type: ignore[operator]
    names = tuple(situation.lag)
    older = replace(
        situation, age=age, ages=dict.fromkeys(names, age), lag=dict.fromkeys(names, round(arrival / len(names) * age)),
        waiting=dict.fromkeys(names, arrival / len(names) * age))
    assert by_age(SHORT, older)[0] >= by_age(SHORT, situation)[0]


@given(situations(), st.integers(1, 400))
@settings(max_examples=200)
def test_a_slower_consumer_never_asks_for_fewer_replicas(situation: Situation, capacity: int) -> None:
    assume(situation.current <= situation.spread.useful_replicas)
    arrival = situation.rates.arrival.average  # type: ignore[union-attr]
    slow, fast = (replace(situation, rates=known(arrival, rate)) for rate in (float(capacity), capacity + 20.0))
    assert by_age(SHORT, slow)[0] >= by_age(SHORT, fast)[0]


def test_the_assignors_that_pause_only_what_moves_are_known() -> None:
    assert {"cooperative-sticky", "uniform"} == COOPERATIVE
