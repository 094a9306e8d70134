"""Which faults are injected when: a pure function of the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.faults.api_faults import API_FAULTS
from tests.faults.fault import Fault, Lane
from tests.faults.kafka_faults import KAFKA_FAULTS
from tests.faults.operator_faults import OPERATOR_FAULTS
from tests.faults.shop import GROUPS

KINDS: dict[str, type[Fault]] = {kind.kind: kind for kind in (*KAFKA_FAULTS, *API_FAULTS, *OPERATOR_FAULTS)}
EPISODE_SECONDS = 40.0
PAUSE_SECONDS = (0.5, 3.0)
HEALING_SECONDS = 4.0
"""What taking a fault out is reckoned to take."""


@dataclass(frozen=True)
class Planned:
    """One fault: after a pause it goes in, stays, and is taken out; what else it does at random is its seed's."""

    kind: str
    pause: float
    seconds: float
    seed: int


@dataclass(frozen=True)
class Episode:
    """Faults in lanes, side by side, under a load that changes once.

    `levels` are (first, last) indices into each group's levels; `turn` is when it changes, seconds.
    """

    number: int
    lanes: dict[Lane, tuple[Planned, ...]]
    levels: dict[str, tuple[int, int]]
    turn: float

    @property
    def faults(self) -> int:
        """How many there are."""
        return sum(len(lane) for lane in self.lanes.values())


def episodes(seed: int, faults: int, kinds: Sequence[str]) -> tuple[Episode, ...]:
    """At least so many faults. Each kind is played once before any of its lane is played twice."""
    decks = {lane: _deck(seed, lane, [each for each in kinds if KINDS[each].lane is lane]) for lane in Lane}
    used = [lane for lane in Lane if any(KINDS[each].lane is lane for each in kinds)]
    found: list[Episode] = []
    while sum(episode.faults for episode in found) < faults:
        left = faults - sum(episode.faults for episode in found)
        found.append(_episode(seed, len(found), {lane: decks[lane] for lane in used}, left))
    return tuple(found)


def _deck(seed: int, lane: Lane, kinds: list[str]) -> Iterator[str]:
    """All kinds in a random order, and again in another, for ever."""
    for turn in count():
        order = list(kinds)
        Random(f"{seed}/{lane}/{turn}").shuffle(order)
        yield from order


def _episode(seed: int, number: int, decks: dict[Lane, Iterator[str]], left: int) -> Episode:
    random = Random(f"{seed}/{number}")
    lanes = {lane: _lane(random, deck, -(-left // len(decks))) for lane, deck in decks.items()}
    levels = {group.name: _levels(random, len(group.levels)) for group in GROUPS}
    return Episode(number, lanes, levels, random.uniform(0.2, 0.6) * EPISODE_SECONDS)


def _lane(random: Random, deck: Iterator[str], most: int) -> tuple[Planned, ...]:
    found: list[Planned] = []
    spent = 0.0
    while spent < EPISODE_SECONDS and len(found) < most:
        kind = next(deck)
        pause, stay = random.uniform(*PAUSE_SECONDS), random.uniform(*KINDS[kind].seconds)
        found.append(Planned(kind, round(pause, 2), round(stay, 2), random.randrange(1 << 30)))
        spent += pause + stay + HEALING_SECONDS
    return tuple(found)


def _levels(random: Random, number: int) -> tuple[int, int]:
    """Two levels that differ."""
    first, last = random.sample(range(number), 2)
    return first, last
