"""Reduce a world that breaks a law to few traits."""

from __future__ import annotations

from benchmarks.wild.laws import Broken, broken
from benchmarks.wild.worlds import Drawn, draw
from kafka_consumer_scaler.simulation.wild.play import play


def shrink(seed: int, first: Broken, without: frozenset[str] = frozenset()) -> tuple[Drawn, Broken]:
    """Remove each trait in turn if the law is still broken without it; return the smallest world and its violation.

    Each trait has its own random stream, so removing one does not change the others.
    """
    gone, seen = without, first
    for trait in draw(seed, without).traits:
        again = _breaks(seed, gone | {trait}, first)
        if again is not None:
            gone, seen = gone | {trait}, again
    return draw(seed, gone), seen


def command(drawn: Drawn) -> str:
    """The command that reproduces this world."""
    left_out = sorted(set(draw(drawn.seed).traits) - set(drawn.traits))
    without = f" --without {','.join(left_out)}" if left_out else ""
    return f"python -m benchmarks wild --world {drawn.seed}{without}"


def _breaks(seed: int, without: frozenset[str], like: Broken) -> Broken | None:
    try:
        world = draw(seed, without).world
    except ValueError:
        return None
    return next((one for one in broken(play(world), (like.law,)) if one.kind == like.kind), None)
