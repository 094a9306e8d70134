"""Drawn worlds break no law; each failure prints the command that repeats it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.wild.judge import laws_for
from benchmarks.wild.laws import broken
from benchmarks.wild.shrink import command
from benchmarks.wild.worlds import draw
from kafka_consumer_scaler.simulation.wild.play import play
from tests.sizes import full

WORLDS = full(150, 2000)
"""About three minutes of one core."""
NOT_YET: Mapping[int, frozenset[str]] = {
    23: frozenset({"liveness"}),
    30: frozenset({"truth AtMaxReplicas", "truth StuckPartition"}),
    62: frozenset({"truth SlowConsumers"}),
    95: frozenset({"truth StuckPartition"}),
    96: frozenset({"truth NoMembers"}),
    109: frozenset({"truth SlowConsumers"}),
    138: frozenset({"calm"}),
}
"""Worlds that break a law, and which: 23 tries a step down before a start was seen; 30 and 95 commit rarely while they
rebalance; 62 reads a topic that is not declared; 96 commits rarely and by hand; 109 is reset before our first change;
the load of 138 is at the edge of what 3 replicas can do."""
JUDGED = 150
"""Each of these is judged by itself; of later ones, about one in eight breaks a law (docs/worlds.md)."""


@pytest.mark.parametrize("seed", range(1, WORLDS + 1))
def test_a_world_breaks_no_law(seed: int) -> None:
    drawn = draw(seed)
    found = broken(play(drawn.world), laws_for(seed))
    kinds = {one.kind for one in found}
    if found and (seed > JUDGED or kinds <= NOT_YET.get(seed, frozenset())):
        pytest.xfail(", ".join(sorted(kinds)))
    assert not found, f"{command(drawn)} --shrink\n" + "\n".join(
        f"{one.law} at {one.at:.0f} s: {one.why}" for one in found)
    assert seed not in NOT_YET, f"world {seed} breaks no law any more: take it out of NOT_YET"
