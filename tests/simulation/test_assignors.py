"""Assignors against Kafka's own examples and laws."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from kafka_consumer_scaler.simulation.assignors import assign

MEMBERS = [f"member-{number}" for number in range(9)]
NOBODY = [None] * 10


def test_range_gives_blocks_and_the_first_members_more() -> None:
    owners = assign("range", NOBODY, ["b", "a", "c"], topics=1)
    assert "".join(str(owner) for owner in owners) == "aaaabbbccc"


def test_range_divides_each_topic_apart() -> None:
    assert "".join(map(str, assign("range", NOBODY[:6], ["a", "b"], topics=2))) == "aabaab"


def test_roundrobin_deals_all_partitions_in_turn() -> None:
    assert "".join(map(str, assign("roundrobin", NOBODY[:5], ["a", "b"], topics=2))) == "ababa"


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "sticky", "cooperative-sticky", "uniform"])
def test_counts_differ_by_one_at_most_and_all_is_given(assignor: str) -> None:
    for count in range(1, 10):
        owners = assign(assignor, NOBODY, MEMBERS[:count], topics=1)
        sizes = Counter(owners)
        assert None not in sizes
        assert max(sizes.values()) - min(sizes.values()) <= 1 or assignor == "range"
        assert len(sizes) == count


def test_sticky_moves_as_few_as_equal_counts_allow() -> None:
    """What newcomers gain, or what those who left had, moves and nothing else."""
    counts = [1, 2, 5, 9, 4, 3, 8, 1]
    owners = assign("sticky", NOBODY, MEMBERS[:1], topics=1)
    for before, after in pairwise(counts):
        now = assign("sticky", owners, MEMBERS[:after], topics=1)
        moved = sum(old != new for old, new in zip(owners, now, strict=True))
        gone = sum(owner not in MEMBERS[:after] for owner in owners)
        gained = sum(Counter(now)[member] for member in MEMBERS[before:after])
        assert moved == max(gone, gained)
        owners = now


def test_without_members_nobody_owns_anything() -> None:
    assert assign("sticky", ["a"] * 3, [], topics=1) == [None] * 3
