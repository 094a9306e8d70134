"""Worlds by trait: ours beside the best fixed number of replicas and KEDA, both chosen in hindsight for each world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.wild.worlds import draw
from kafka_consumer_scaler.simulation.compare import LAG_THRESHOLDS, ROUNDING, keda
from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.report import markdown
from kafka_consumer_scaler.simulation.scaler import Scaler
from kafka_consumer_scaler.simulation.wild.play import Played, play
from kafka_consumer_scaler.simulation.wild.world import World

POLICIES = ("kafka-consumer-scaler", "static, best of all", "KEDA, best of all", "KEDA, default")
HEAD = ("trait", "worlds", *(f"{name}: {what}" for name in POLICIES
                             for what in ("share of time over", "mean replicas", "changes")))
ALL = "all worlds"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run: seconds over the objective, replica-seconds, changes that the policy made, seconds of the run."""

    over: int
    replica_seconds: int
    changes: int
    seconds: int

    def __add__(self, other: Figures) -> Figures:
        """Of both runs together."""
        return Figures(self.over + other.over, self.replica_seconds + other.replica_seconds,
                       self.changes + other.changes, self.seconds + other.seconds)

    def cells(self) -> tuple[str, str, str]:
        """Share of the time over the objective, mean replicas, changes."""
        return (f"{self.over / self.seconds:.1%}", f"{self.replica_seconds / self.seconds:.2f}", f"{self.changes}")


NOTHING = Figures(0, 0, 0, 0)


def contest(world: World) -> tuple[Figures, ...]:
    """The figures of each of `POLICIES` in one world."""
    least, most = max(1, world.policy.min_replicas), world.policy.max_replicas
    fixed: list[Callable[[], Scaler]] = [lambda each=each: Static(each)  # type: ignore[misc]
                                         for each in range(least, most + 1)]
    thresholds: list[Callable[[], Scaler]] = [lambda each=each: keda(world.policy, each)  # type: ignore[misc]
                                              for each in LAG_THRESHOLDS]
    return (figures(play(world)), _cheapest(world, fixed), _cheapest(world, thresholds),
            figures(play(world, keda(world.policy, 10))))


def by_trait(seeds: Iterable[int], tell: Callable[[str], None] = print) -> Mapping[str, tuple[int, list[Figures]]]:
    """For all worlds together and for those with each trait: how many, and the sum of each policy's figures."""
    found: dict[str, tuple[int, list[Figures]]] = {}
    for seed in seeds:
        drawn = draw(seed)
        each = contest(drawn.world)
        tell(f"world {seed}: {each}")
        for trait in (ALL, *drawn.traits):
            count, sums = found.get(trait, (0, [NOTHING] * len(POLICIES)))
            found[trait] = count + 1, [one + other for one, other in zip(sums, each, strict=True)]
    return found


def table(found: Mapping[str, tuple[int, list[Figures]]]) -> str:
    """A row for each trait, all worlds first; Markdown."""
    rows = [(trait, str(count), *(cell for one in sums for cell in one.cells()))
            for trait, (count, sums) in sorted(found.items(), key=lambda each: (each[0] != ALL, each[0]))]
    return markdown(HEAD, rows)


def figures(played: Played) -> Figures:
    """The figures of a run."""
    return Figures(played.seconds_over, int(played.replicas.sum()), len(played.ours), played.world.seconds)


def _cheapest(world: World, scalers: Iterable[Callable[[], Scaler]]) -> Figures:
    """The fewest replica-seconds among those with the least time over the objective, as in the proof."""
    def cost(one: Figures) -> tuple[int, int]:
        return round(one.over / (ROUNDING * one.seconds)), one.replica_seconds

    return min((figures(play(world, scaler())) for scaler in scalers), key=cost)
