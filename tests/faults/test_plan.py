"""Which faults are injected is a function of the seed alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.faults.fault import Lane
from tests.faults.plan import EPISODE_SECONDS, KINDS, episodes
from tests.faults.shop import GROUPS

ALL = tuple(KINDS)


def kinds_of(seed: int, faults: int, kinds: tuple[str, ...] = ALL) -> list[str]:
    return [planned.kind for episode in episodes(seed, faults, kinds) for lane in episode.lanes.values()
            for planned in lane]


def test_the_same_seed_plans_the_same_faults_and_another_one_others() -> None:
    assert episodes(7, 60, ALL) == episodes(7, 60, ALL)
    assert episodes(7, 60, ALL) != episodes(8, 60, ALL)


def test_at_least_as_many_faults_are_planned_as_are_asked_for() -> None:
    for faults in (1, 10, 200):
        assert faults <= len(kinds_of(1, faults)) < faults + len(Lane)


def test_every_kind_is_planned_and_none_of_a_lane_more_than_once_before_the_others() -> None:
    counted = Counter(kinds_of(1, 200))
    assert set(counted) == set(KINDS)
    for lane in Lane:
        of_lane = [counted[name] for name, kind in KINDS.items() if kind.lane is lane]
        assert max(of_lane) - min(of_lane) <= 1


def test_only_the_kinds_asked_for_are_planned() -> None:
    assert set(kinds_of(1, 12, ("forbidden", "broker-killed"))) == {"forbidden", "broker-killed"}


def test_a_fault_stays_as_long_as_its_kind_allows_and_an_episode_ends() -> None:
    for episode in episodes(3, 200, ALL):
        assert all(0 < turn < EPISODE_SECONDS for turn in episode.turns)
        assert list(episode.turns) == sorted(episode.turns)
        for planned in (each for lane in episode.lanes.values() for each in lane):
            least, most = KINDS[planned.kind].seconds
            assert least <= planned.seconds <= most


def test_the_load_of_every_group_changes() -> None:
    for episode in episodes(3, 200, ALL):
        for group in GROUPS:
            levels = episode.levels[group.name]
            assert len(levels) == len(episode.turns) + 1
            assert all(group.levels[one] != group.levels[then] for one, then in pairwise(levels))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_in_one_sentence_what_it_is(name: str) -> None:
    assert (KINDS[name].__doc__ or "").strip().endswith(".")
