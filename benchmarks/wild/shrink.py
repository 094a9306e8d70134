"""A world that breaks a law, made of as few traits as break it still."""

from __future__ import annotations

from benchmarks.wild.laws import Broken, broken
from benchmarks.wild.worlds import Drawn, draw
from kafka_consumer_scaler.simulation.wild.play import play


def shrink(seed: int, first: Broken, without: frozenset[str] = frozenset()) -> tuple[Drawn, Broken]:
    """The smallest world found, and how it breaks the law: each trait in turn is left out where that changes nothing.

    Traits have dice of their own, so leaving one out leaves the others as they are.
    """
    gone, seen = without, first
    for trait in draw(seed, without).traits:
        again = _breaks(seed, gone | {trait}, first)
        if again is not None:
            gone, seen = gone | {trait}, again
    return draw(seed, gone), seen


def command(drawn: Drawn) -> str:
    """What repeats this world."""
    left_out = sorted(set(draw(drawn.seed).traits) - set(drawn.traits))
    without = f" --without {','.join(left_out)}" if left_out else ""
    return f"python -m benchmarks wild --world {drawn.seed}{without}"


def _breaks(seed: int, without: frozenset[str], like: Broken) -> Broken | None:
    try:
        world = draw(seed, without).world
    except ValueError:
        return None
    return next((one for one in broken(play(world), (like.law,)) if one.kind == like.kind), None)
