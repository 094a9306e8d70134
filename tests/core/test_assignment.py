"""How partitions spread over replicas."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.assignment import Spread, spread
from kafka_consumer_scaler.core.snapshot import TopicPartition


def partitions(**topics: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, count in topics.items() for number in range(count)]


@pytest.mark.parametrize(("assignor", "useful"), [
    ("range", 8), ("", 8), ("a-custom-one", 8),
    ("roundrobin", 12), ("sticky", 12), ("cooperative-sticky", 12), ("uniform", 12),
])
def test_useful_replicas_of_two_topics_depend_on_the_assignor(assignor: str, useful: int) -> None:
    assert spread(partitions(orders=8, refunds=4), assignor, 1).useful_replicas == useful


def test_threads_divide_the_useful_replicas_rounded_up() -> None:
    assert spread(partitions(orders=10), "range", 4).useful_replicas == 3


def test_no_partitions_have_no_useful_replicas() -> None:
    assert spread([], "range", 1).useful_replicas == 0


def test_the_busiest_consumer_of_ten_partitions_is_as_tabulated() -> None:
    ten = Spread((10,))
    assert [ten.busiest(n) for n in range(1, 11)] == [10, 5, 4, 3, 2, 2, 2, 2, 2, 1]


def test_range_gives_its_first_consumer_the_odd_partition_of_every_topic() -> None:
    assert spread(partitions(a=3, b=3), "range", 1).busiest(2) == 4
    assert spread(partitions(a=3, b=3), "roundrobin", 1).busiest(2) == 3


@pytest.mark.parametrize("replicas", range(5, 10))
def test_five_to_nine_replicas_of_ten_partitions_are_as_fast_as_five(replicas: int) -> None:
    assert Spread((10,)).fewest_as_fast(replicas) == 5


@pytest.mark.parametrize(("replicas", "faster"), [(1, 1), (2, 2), (5, 5), (6, 10), (9, 10), (10, 10), (11, 11)])
def test_the_next_faster_number_of_replicas_for_ten_partitions(replicas: int, faster: int) -> None:
    assert Spread((10,)).next_faster(replicas) == faster
