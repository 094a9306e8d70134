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
EPISODE_SECONDS = 60.0
PAUSE_SECONDS = {Lane.KAFKA: (2.0, 6.0), Lane.API: (3.0, 8.0), Lane.OPERATOR: (6.0, 18.0)}
"""Before each fault: who is hurt all the time decides nothing, and cannot decide anything wrong."""
TURNS = 3
"""So often the load of each group changes in an episode."""
HEALING_SECONDS = {Lane.KAFKA: 12.0, Lane.API: 2.0, Lane.OPERATOR: 1.0}
"""What taking a fault out is reckoned to take: a broker that is started again takes longest to be in sync."""


@dataclass(frozen=True)
class Planned:
    """One fault: after a pause it goes in, stays, and is taken out; what else it does at random is its seed's."""

    kind: str
    pause: float
    seconds: float
    seed: int


@dataclass(frozen=True)
class Episode:
    """Faults in lanes, side by side, under a load that changes.

    `levels` are indices into each group's levels, one after the other; `turns` is when they change, seconds.
    """

    number: int
    lanes: dict[Lane, tuple[Planned, ...]]
    levels: dict[str, tuple[int, ...]]
    turns: tuple[float, ...]

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
    lanes = {lane: _lane(random, lane, deck, -(-left // len(decks))) for lane, deck in decks.items()}
    levels = {group.name: _levels(random, len(group.levels)) for group in GROUPS}
    return Episode(number, lanes, levels, tuple(sorted(random.uniform(0.0, EPISODE_SECONDS) for _ in range(TURNS))))


def _lane(random: Random, lane: Lane, deck: Iterator[str], most: int) -> tuple[Planned, ...]:
    found: list[Planned] = []
    spent = 0.0
    while spent < EPISODE_SECONDS and len(found) < most:
        kind = next(deck)
        pause, stay = random.uniform(*PAUSE_SECONDS[lane]), random.uniform(*KINDS[kind].seconds)
        found.append(Planned(kind, round(pause, 2), round(stay, 2), random.randrange(1 << 30)))
        spent += pause + stay + HEALING_SECONDS[lane]
    return tuple(found)


def _levels(random: Random, number: int) -> tuple[int, ...]:
    """Each one differs from the one before."""
    found = [random.randrange(number)]
    while len(found) <= TURNS:
        found.append((found[-1] + random.randrange(1, number)) % number)
    return tuple(found)
