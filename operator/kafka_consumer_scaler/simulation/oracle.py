"""A plan made with knowledge of the future, and what no policy that keeps the objective can cost less than.

The plan is the least costly path through (time, working replicas, age of the oldest record), found by dynamic
programming backwards in time. The cost of a step is its replica-seconds; seconds over the objective cost more than all
replica-seconds together, so that the objective is kept wherever it can be and missed for the least time elsewhere.

- The group is as late as its worst consumer: with n replicas it keeps up with G(n) = capacity / (share of the arrivals
  of the consumer with the most), within the limit downstream; only numbers of replicas that are faster than one less
  are of use. Which partitions meet in one consumer depends on what was before where the assignor is sticky, so with
  uneven partitions several guesses are planned for, and each plan is tried on the plant.
- With A the cumulative arrivals, a group whose oldest record has age a has processed A(t - a); after dt seconds it has
  processed min(A(t + dt), A(t - a) + G(n) * dt), which gives the next age. Between the ages of the grid the value of
  the future is interpolated, so that a drift of less than one cell is not lost.
- Pods cost from when they are asked for, which is their start-up time before they work. A change keeps the worst
  partition still for `rebalance_seconds`. A crash is a pause of the session's timeout and a rebalance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.simulation.assignors import assign
from kafka_consumer_scaler.simulation.flow import fair_levels
from kafka_consumer_scaler.simulation.run import run
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.score import score
from kafka_consumer_scaler.simulation.spec import PlantSpec

Floats = NDArray[np.float64]
STEP_SECONDS = 5
STEPS_MOST = 4000
CELLS = 48
CELLS_BEYOND = 32
LATE_COST = 1e6
"""Replica-seconds that one second over the objective is worth, for each replica at most."""
CHANGE_COST = 0.1
"""Replica-seconds that a change costs beside its pause: of equal plans the one with fewer changes."""
STEPS_BEFORE_ZERO = 2
NEGLIGIBLE_RECORDS = 1e-6
MARGIN_SHARE, MARGIN_SECONDS, MARGIN_REBALANCE = 0.03, 0.5, 0.1
"""The objective planned for is shorter by this share of it, these seconds and this share of a rebalance."""
EVEN_GUESSES = ((0.0, 1.0),)
UNEVEN_GUESSES = ((0.0, 1.0), (1.0, 1.0), (1.0, 0.6))
"""How unlucky the division of partitions is, and for which share of the objective to plan."""


@dataclass(frozen=True, slots=True)
class Oracle:
    """A plan as a policy.

    Args:
        plan: replicas to ask for in each step.
        step_seconds: how long a step is.
        bound_replica_seconds: what no policy that keeps the objective can go below (see `bound`).
    """

    plan: tuple[int, ...]
    step_seconds: int
    bound_replica_seconds: float
    name: str = "oracle"

    @property
    def interval_seconds(self) -> float:
        """One look for each step."""
        return float(self.step_seconds)

    def look(self, observation: Observation) -> int | None:
        """The replicas planned for now, whatever is seen."""
        step = min(int(observation.at / self.step_seconds), len(self.plan) - 1)
        planned = self.plan[step] if step >= 0 else observation.replicas.spec
        return None if planned == observation.replicas.spec else planned


def oracle(plant_spec: PlantSpec, arrival: Sequence[float], objective_seconds: float, min_replicas: int,
           max_replicas: int) -> Oracle:
    """The plan for these arrivals (records/s of each second) that keeps the objective at the least cost.

    It plans for an objective that is shorter by a margin for what the model leaves out (the second's grain, the time a
    partition waits for its new consumer).
    """
    least = bound(plant_spec, arrival, objective_seconds, min_replicas, max_replicas)
    plans: list[Oracle] = []
    for unluck, share in UNEVEN_GUESSES if len(set(plant_spec.weights)) > 1 else EVEN_GUESSES:
        model = _Model.of(plant_spec, arrival, objective_seconds * share, (min_replicas, max_replicas), unluck)
        plans.append(Oracle(model.plan(), model.step_seconds, least))
    if len(plans) == 1:
        return plans[0]
    return min(plans, key=lambda plan: _tried(plan, plant_spec, arrival, objective_seconds))


def _tried(plan: Oracle, plant_spec: PlantSpec, arrival: Sequence[float], objective_seconds: float) -> tuple[int, int]:
    """Seconds over the objective and replica-seconds of a plan on the plant."""
    scored = score(run(plant_spec, arrival, plan, seed=0), objective_seconds)
    return scored.seconds_over_objective, scored.replica_seconds


def bound(plant_spec: PlantSpec, arrival: Sequence[float], objective_seconds: float, min_replicas: int,
          max_replicas: int) -> float:
    """Replica-seconds below which no policy can stay that keeps the objective wherever that is possible.

    "Possible" is where the most replicas, asked for at once, would keep it if they joined without a rebalance. The
    policies meant never have fewer than `min_replicas`. Records are a fluid, replicas need not be whole, and starting,
    moving and skew are free, so the true least is higher. A policy that misses the objective only because of a hot
    partition or a slow member is not covered: it may, in principle, cost less.

    Proof. Let A be the cumulative arrivals, L(t) = A(t - objective) where possible, else its last such value, r(t) what
    a replica can process a second, b(t) = min_replicas * r(t). A policy's work D* has L <= D* <= A and a rate d* with
    d* <= r * replicas. Its cost is thus at least the integral of max(min_replicas, d* / r), which is at least
    min_replicas * T + Y(T) / max(r), with Y the integral of the part of d* above b. So the least Y is looked for.

    Let D work at the rate b whenever there is work, and beyond it only what L demands at that moment; let X be that
    excess. Then X <= Y at all times. Else take the first t at which X is above Y. There D has just been lifted, so
    D(t) = L(t) <= D*(t), hence D - X < D* - Y at t. Let s < t be the last time with D(s) = A(s), or 0. From s to t,
    D - X grew by the full b, D* - Y by at most b, so D - X < D* - Y at s as well. At 0 all four are 0; else
    D(s) = A(s) >= D*(s), so X(s) > Y(s), before the first such t: both are contradictions.

    With min_replicas 0 it is all records due by the end / max(r): 100/s for 1000 s, an objective of 60 s and 100/s for
    a replica are 940 replica-seconds, and with 1 replica always there 1000.
    """
    cumulative = _cumulative(plant_spec, arrival)
    seconds = len(arrival)
    quickest = plant_spec.capacity * max(1.0, plant_spec.slow_factor if plant_spec.slow_members else 1.0)
    rate = np.array([plant_spec.capacity_factor(at) for at in range(seconds)]) * quickest
    if not seconds or rate.max() <= 0:
        return float(min_replicas * seconds)
    consumers = _consumers(plant_spec, max_replicas)
    early = _consumers(plant_spec, min(plant_spec.initial_replicas, max_replicas))
    fastest = rate * np.where(np.arange(seconds) < plant_spec.pod_start_seconds, early, consumers)
    fastest = np.minimum(fastest, _downstream(plant_spec))
    due = np.interp(np.arange(1, seconds + 1) - objective_seconds, np.arange(seconds + 1), cumulative, left=0.0)
    base = rate * _consumers(plant_spec, min_replicas)
    excess = _least_excess(cumulative[1:].tolist(), due.tolist(), fastest.tolist(), base.tolist())
    return float(min_replicas * seconds + excess / (rate.max() * plant_spec.threads))


def _least_excess(arrived: list[float], due: list[float], fastest: list[float], base: list[float]) -> float:
    """X of the proof, second by second; `possible` is what the most replicas have processed."""
    possible = done = excess = 0.0
    for second, end in enumerate(arrived):
        possible = min(end, possible + fastest[second])
        done = min(end, done + base[second])
        if done < due[second] <= possible + 1e-6:
            excess += due[second] - done
            done = due[second]
    return excess


def _consumers(spec: PlantSpec, replicas: int) -> int:
    return min(replicas * spec.threads, spec.partitions)


def _downstream(spec: PlantSpec) -> float:
    return inf if spec.downstream_limit is None else spec.downstream_limit


def _cumulative(spec: PlantSpec, arrival: Sequence[float]) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.array(arrival, dtype=np.float64))]) + spec.initial_lag


@dataclass(frozen=True, slots=True)
class _Model:
    """The group as the plan sees it.

    Args:
        times: of the cumulative arrivals, in seconds; an initial lag is spread over a time before 0.
        arrived: the cumulative arrivals, strictly growing.
        worked: integral of the share of the capacity that is there, at every second.
        levels: numbers of replicas worth having; `allowed` are those within the bounds.
        rates: what the group keeps up with in each step at each level, in records/s.
        ages: the grid, in seconds; the planned objective is one of its points.
        late_cost: of a step over the objective, in replica-seconds.
    """

    step_seconds: int
    steps: int
    lead_steps: int
    pause_seconds: float
    objective_seconds: float
    times: Floats
    arrived: Floats
    worked: Floats
    levels: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    rates: Floats
    ages: Floats
    start_level: int
    start_age: float
    late_cost: float

    @classmethod
    def of(cls, spec: PlantSpec, arrival: Sequence[float], objective_seconds: float, bounds: tuple[int, int],
           unluck: float) -> _Model:
        """The model of a plant and its arrivals, with (least, most) replicas.

        Args:
            unluck: 0 takes the assignor's division from scratch, 1 the heaviest partitions all in one consumer.
        """
        least, most = bounds
        step = max(STEP_SECONDS, ceil(spec.rebalance_seconds), ceil(len(arrival) / STEPS_MOST))
        steps = max(1, ceil(len(arrival) / step))
        levels = _levels(spec, least, most, unluck)
        load = np.pad(np.array(arrival, dtype=np.float64), (0, steps * step - len(arrival))).reshape(steps, step)
        rates = np.stack([_rates(spec, replicas, unluck, load.mean(axis=1)) for replicas in levels], axis=1)
        times, arrived = _curve(spec, arrival, steps * step, float(rates.max()))
        margin = MARGIN_SHARE * objective_seconds + MARGIN_SECONDS + MARGIN_REBALANCE * spec.rebalance_seconds
        objective = max(step / 2, objective_seconds - margin)
        beyond = objective + np.geomspace(0.05, max(1.0, times[-1] - times[0]), CELLS_BEYOND)
        return cls(
            step, steps, ceil((spec.pod_start_seconds + spec.pod_start_jitter) / step), spec.rebalance_seconds,
            objective, times, arrived, _worked(spec, steps * step), np.array(levels),
            np.array([least <= replicas <= most for replicas in levels]), rates,
            np.concatenate([np.linspace(0.0, objective, CELLS + 1), beyond]), levels.index(spec.initial_replicas),
            -float(times[0]) if spec.initial_lag else 0.0, LATE_COST * max(1, most) * step)

    def plan(self) -> tuple[int, ...]:
        """Replicas to ask for in each step: the most that work within a pod's start from then.

        Before it goes to zero the group stays as it is for some steps, so that no rest is left behind.
        """
        working = self._working()
        asked = [max(working[step:step + self.lead_steps + 1]) for step in range(len(working))]
        return tuple(replicas or asked[max(0, step - STEPS_BEFORE_ZERO)] for step, replicas in enumerate(asked))

    def _working(self) -> list[int]:
        """Replicas at work in each step of the cheapest path."""
        values = self._values()
        level, age = self.start_level, self.start_age
        path: list[int] = []
        for step in range(self.steps):
            costs, ages = self._choices(step, level, age, values[step + 1])
            level = int(np.argmin(costs))
            age = float(ages[level])
            path.append(int(self.levels[level]))
        return path

    def _values(self) -> Floats:
        """The cost still to come, by step, level and age of the grid."""
        values = np.zeros((self.steps + 1, len(self.levels), len(self.ages)))
        for step in reversed(range(self.steps)):
            stay, move = self._outlook(step, self.ages, values[step + 1])
            switch = (move[None] + self._switch_costs(step)[:, :, None]).min(axis=1)
            values[step] = np.minimum(stay, switch)
        return values

    def _choices(self, step: int, level: int, age: float, future: Floats) -> tuple[Floats, Floats]:
        """The cost of going on with each level, and the age to which each leads."""
        ages = np.array([age])
        stay, move = self._outlook(step, ages, future)
        costs = move[:, 0] + self._switch_costs(step)[level]
        after = self._after(step, ages, self.pause_seconds)[:, 0]
        costs[level], after[level] = stay[level, 0], self._after(step, ages, 0.0)[level, 0]
        return costs, after

    def _outlook(self, step: int, ages: Floats, future: Floats) -> tuple[Floats, Floats]:
        """For each level and age: this step's cost and the future's, without and with a change at its start."""
        return self._cost(step, ages, future, 0.0), self._cost(step, ages, future, self.pause_seconds)

    def _cost(self, step: int, ages: Floats, future: Floats, pause: float) -> Floats:
        after = self._after(step, ages, pause)
        end = (step + 1) * self.step_seconds
        worst = np.maximum(after, ages + pause) if pause else after
        late = np.minimum(worst, end) > self.objective_seconds + 1e-9
        ahead = np.stack([np.interp(after[level], self.ages, future[level]) for level in range(len(self.levels))])
        costs: Floats = (self.levels * float(self.step_seconds))[:, None] + late * self.late_cost + ahead
        return costs

    def _after(self, step: int, ages: Floats, pause: float) -> Floats:
        """The age at the step's end, for each level and each age at its start."""
        begin, end = step * self.step_seconds, (step + 1) * self.step_seconds
        work = self.rates[step] * (self.worked[end] - self._worked_by(min(begin + pause, end)))
        done: Floats = np.interp(begin - ages, self.times, self.arrived)[None, :] + work[:, None]
        oldest: Floats = np.interp(done + NEGLIGIBLE_RECORDS, self.arrived, self.times)
        waiting = float(np.interp(end, self.times, self.arrived)) - done
        after: Floats = np.where(waiting <= NEGLIGIBLE_RECORDS, 0.0, end - oldest)
        return after

    def _worked_by(self, at: float) -> float:
        second = min(int(at), len(self.worked) - 2)
        return float(self.worked[second] + (self.worked[second + 1] - self.worked[second]) * (at - second))

    def _switch_costs(self, step: int) -> Floats:
        """Of each level to each other: what the pods cost before they work. Infinite where it cannot be."""
        more = self.levels[None, :] - self.levels[:, None]
        costs: Floats = np.maximum(more, 0) * float(self.lead_steps * self.step_seconds) + CHANGE_COST
        costs[(more == 0) | ((more > 0) & (step <= self.lead_steps)) | (step == 0)] = inf
        costs[:, ~self.allowed] = inf
        return costs


def _levels(spec: PlantSpec, least: int, most: int, unluck: float) -> list[int]:
    """The bounds' numbers that are faster than one less, and the one at the start."""
    levels, fastest = [least], 0.0
    for replicas in range(least, most + 1):
        rate = float(_rates(spec, replicas, unluck, np.zeros(1))[0])
        if rate > fastest * (1 + 1e-9) and replicas > least:
            levels.append(replicas)
        fastest = max(fastest, rate)
    return sorted({*levels, spec.initial_replicas})


def _rates(spec: PlantSpec, replicas: int, unluck: float, load: Floats) -> Floats:
    """G under each load, in records/s of the group."""
    consumers = replicas * spec.threads
    if not consumers:
        return np.zeros_like(load)
    heaviest = _rate_of(spec, sorted(_weights(spec))[-ceil(spec.partitions / consumers):], load)
    rate = (1 - unluck) * _rate_of(spec, _scratch(spec, consumers), load) + unluck * heaviest
    return np.minimum(rate, _downstream(spec))


def _rate_of(spec: PlantSpec, held: list[float], load: Floats) -> Floats:
    """G where the worst consumer holds partitions of these weights.

    One that has too much to do serves its partitions alike, so the light ones keep up and the heaviest is the latest:
    of 100/s, weights 1 and 3 under 200/s in the group get 50 and 50, and G is 50 * 4 / 3.
    """
    weights, total = np.array(held), sum(_weights(spec))
    speed = spec.capacity * (spec.slow_factor if spec.slow_members else 1.0)
    alike = fair_levels(load[:, None] * weights / total, np.full(len(load), speed))
    return np.asarray(np.minimum(speed / weights.sum(), alike / weights.max()) * total, dtype=np.float64)


def _scratch(spec: PlantSpec, consumers: int) -> list[float]:
    """Weights of the consumer with the most, when the assignor divides anew."""
    members = [f"{member:06d}" for member in range(consumers)]
    held: dict[str, list[float]] = {member: [] for member in members}
    owners = assign(spec.assignor, [None] * spec.partitions, members, spec.topics)
    for owner, weight in zip(owners, _weights(spec), strict=True):
        held[owner or members[0]].append(weight)
    return max(held.values(), key=sum)


def _weights(spec: PlantSpec) -> tuple[float, ...]:
    return spec.weights or (1.0,) * spec.partitions


def _curve(spec: PlantSpec, arrival: Sequence[float], horizon: int, fastest: float) -> tuple[Floats, Floats]:
    """Times and cumulative arrivals up to the horizon; the initial lag as if it had come over the time it takes."""
    before = max(1.0, spec.initial_lag / fastest) if fastest else 1.0
    rest = np.zeros(horizon - len(arrival))
    counted = _cumulative(spec, np.concatenate([np.array(arrival, dtype=np.float64), rest]).tolist())
    return np.concatenate([[-before], np.arange(horizon + 1)]), np.concatenate([[0.0], counted])


def _worked(spec: PlantSpec, horizon: int) -> Floats:
    """Integral of the share of the capacity that is there; a crash takes it all until its partitions go on."""
    share: Floats = np.array([spec.capacity_factor(at) for at in range(horizon)])
    for at, _ in spec.crashes:
        until = at + spec.session_timeout_seconds + spec.rebalance_seconds
        share[int(at):ceil(until)] = 0.0
    return np.concatenate([[0.0], np.cumsum(share)])
