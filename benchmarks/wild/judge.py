"""Check many worlds against the laws, and list the most frequent violations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.wild.laws import LAWS, Broken, broken
from benchmarks.wild.shrink import command, shrink
from benchmarks.wild.worlds import Drawn, draw
from kafka_consumer_scaler.simulation.wild.play import play

LATCH_EVERY = 4
"""The law `latch` needs two additional runs, so it is checked in every fourth world."""
CAUSES = 40
SHRUNK_AT_MOST = 3
"""Number of worlds that are shrunk per kind of violation; each takes one run per trait."""


@dataclass(slots=True)
class Judged:
    """The violations found in the checked worlds.

    Args:
        worlds: number of worlds.
        broken: (seed, violation) of each.
        smallest: the smallest world and its violation, for each that was shrunk.
    """

    worlds: int = 0
    broken: list[tuple[int, Broken]] = field(default_factory=list)
    smallest: list[tuple[Drawn, Broken]] = field(default_factory=list)

    def text(self) -> str:
        """One line per kind, then the most frequent causes with the commands that reproduce them."""
        kinds = Counter(one.kind for _, one in self.broken)
        lines = [f"{self.worlds} worlds, {len({seed for seed, _ in self.broken})} with a law broken"]
        lines += [f"{count:4d}  {kind}" for kind, count in kinds.most_common()]
        return "\n".join([*lines, *self._causes()])

    def _causes(self) -> list[str]:
        causes: dict[tuple[str, tuple[str, ...]], list[tuple[Drawn, Broken]]] = {}
        for drawn, one in self.smallest:
            causes.setdefault((one.kind, drawn.traits), []).append((drawn, one))
        ranked = sorted(causes.items(), key=lambda each: -len(each[1]))[:CAUSES]
        return [f"{len(worlds):4d}  {kind} with {', '.join(traits) or 'no trait'}: {worlds[0][1].why}\n"
                f"      {command(worlds[0][0])}" for (kind, traits), worlds in ranked]


def laws_for(seed: int) -> tuple[str, ...]:
    """The laws that are checked in the world of this seed."""
    return tuple(law for law in LAWS if law != "latch" or seed % LATCH_EVERY == 0)


def judge(seeds: Iterable[int], shrunk: bool = False, report: Callable[[str], None] = print) -> Judged:
    """Simulate the worlds of these seeds and report each violation; `shrunk` also searches for its smallest world."""
    judged = Judged()
    for seed in seeds:
        judged.worlds += 1
        drawn = draw(seed)
        for one in broken(play(drawn.world), laws_for(seed)):
            judged.broken.append((seed, one))
            report(f"{command(drawn)}: {one.law} at {one.at:.0f} s: {one.why}")
            if shrunk and sum(other.kind == one.kind for _, other in judged.broken) <= SHRUNK_AT_MOST:
                smallest = shrink(seed, one)
                judged.smallest.append(smallest)
                report(f"    {', '.join(smallest[0].traits) or 'no trait'}: {smallest[1].why}: {command(smallest[0])}")
    return judged
