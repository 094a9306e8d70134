"""How partitions spread over replicas."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.assignment import Spread, deal, spread
from kafka_consumer_scaler.core.snapshot import TopicPartition
from tests.core.making import by_range


def partitions(**topics: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, count in topics.items() for number in range(count)]


@pytest.mark.parametrize(("assignor", "useful"), [
    ("range", 8), ("", 8), ("org.apache.kafka.clients.consumer.RangeAssignor", 8),
    ("stream", 12), ("StickyTaskAssignor", 12), ("a-custom-one", 12),
    ("roundrobin", 12), ("sticky", 12), ("cooperative-sticky", 12), ("uniform", 12),
])
def test_useful_replicas_of_two_topics_depend_on_the_assignor(assignor: str, useful: int) -> None:
    assert spread(partitions(orders=8, refunds=4), assignor, 1).useful_replicas == useful


def test_threads_divide_the_useful_replicas_rounded_up() -> None:
    assert spread(partitions(orders=10), "range", 4).useful_replicas == 3
    assert spread(partitions(orders=12), "range", 4).useful_replicas == 3
    assert spread(partitions(orders=13), "range", 4).useful_replicas == 4


def test_no_partitions_have_no_useful_replicas() -> None:
    assert spread([], "range", 1).useful_replicas == 0
    assert spread([], "sticky", 1).useful_replicas == 0


def test_foreign_members_take_their_part() -> None:
    assert spread(partitions(orders=10), "range", 1, foreign=2).useful_replicas == 8
    assert spread(partitions(orders=10), "range", 4, foreign=3).useful_replicas == 2
    assert spread(partitions(orders=2), "range", 1, foreign=5).useful_replicas == 0
    assert Spread((10,), 1, foreign=2).consumers(3) == 5
    assert Spread((10,), 3, foreign=2).consumers(3) == 11
    assert Spread((10,), 1, foreign=2).busiest(3) == 2


def test_the_busiest_consumer_of_ten_partitions_is_as_tabulated() -> None:
    ten = Spread((10,))
    assert [ten.busiest(n) for n in range(1, 11)] == [10, 5, 4, 3, 2, 2, 2, 2, 2, 1]
    assert ten.busiest(0) == 10


def test_range_gives_its_first_consumer_the_odd_partition_of_every_topic() -> None:
    assert spread(partitions(a=3, b=3), "range", 1).busiest(2) == 4
    assert spread(partitions(a=3, b=3), "roundrobin", 1).busiest(2) == 3


@pytest.mark.parametrize("replicas", range(5, 10))
def test_five_to_nine_replicas_of_ten_partitions_are_as_fast_as_five(replicas: int) -> None:
    assert Spread((10,)).fewest_as_fast(replicas) == 5


def test_the_fewest_as_fast_is_at_least_one() -> None:
    assert Spread((10,)).fewest_as_fast(1) == 1
    assert Spread((10,)).fewest_as_fast(50) == 10
    assert Spread((2,), foreign=5).fewest_as_fast(4) == 1


@pytest.mark.parametrize(("replicas", "faster"), [(1, 1), (2, 2), (5, 5), (6, 10), (9, 10), (10, 10), (11, 11)])
def test_the_next_faster_number_of_replicas_for_ten_partitions(replicas: int, faster: int) -> None:
    assert Spread((10,)).next_faster(replicas) == faster


def test_where_none_is_faster_the_fewest_as_fast_is_next() -> None:
    assert Spread((10,), threads=4).next_faster(3) == 3
    assert Spread((10, 5), threads=1).next_faster(7) == 10
    assert Spread((9,), threads=2).next_faster(4) == 5, "8 consumers have 2 at most, 10 have 1"


@pytest.mark.parametrize(("most", "steps"), [
    (12, (1, 2, 3, 4, 5, 10)), (10, (1, 2, 3, 4, 5, 10)), (9, (1, 2, 3, 4, 5)), (1, (1,)), (0, (1,)),
])
def test_the_steps_of_ten_partitions(most: int, steps: tuple[int, ...]) -> None:
    assert Spread((10,)).steps(most) == steps


def test_the_steps_of_two_topics_under_range_are_those_of_both() -> None:
    assert by_range(4, 3).steps(9) == (1, 2, 3, 4)
    assert by_range(3, 3, 3).steps(9) == (1, 2, 3)


def dealt(found: tuple[tuple[TopicPartition, ...], ...]) -> list[list[str]]:
    return [[str(tp) for tp in hand] for hand in found]


def test_range_gives_each_topic_out_in_rows() -> None:
    assert dealt(deal(partitions(a=5), "range", 2)) == [["a/0", "a/1", "a/2"], ["a/3", "a/4"]]
    assert dealt(deal(partitions(a=3, b=2), "range", 2)) == [["a/0", "a/1", "b/0"], ["a/2", "b/1"]]
    assert dealt(deal(partitions(a=7), "", 3)) == [["a/0", "a/1", "a/2"], ["a/3", "a/4"], ["a/5", "a/6"]]
    assert dealt(deal(partitions(a=1, b=1), "range", 2)) == [["a/0", "b/0"], []]


@pytest.mark.parametrize("assignor", ["roundrobin", "sticky", "cooperative-sticky", "uniform"])
def test_all_other_assignors_deal_all_partitions_in_turn(assignor: str) -> None:
    assert dealt(deal(partitions(a=5), assignor, 2)) == [["a/0", "a/2", "a/4"], ["a/1", "a/3"]]
    assert dealt(deal(partitions(a=1, b=1), assignor, 2)) == [["a/0"], ["b/0"]]
    assert dealt(deal(partitions(a=1), assignor, 3)) == [["a/0"]]


def test_five_of_twelve_partitions_are_next_faster_by_six() -> None:
    assert Spread((12,)).next_faster(5) == 6
    assert Spread((12,)).next_faster(7) == 12


def test_one_may_be_as_fast_as_two_where_others_take_part() -> None:
    assert Spread((5,), foreign=2).fewest_as_fast(2) == 1


def test_steps_begin_with_one_where_others_take_part() -> None:
    assert Spread((10,), foreign=2).steps(12) == (1, 2, 3, 8)


def test_others_take_their_part_under_every_assignor() -> None:
    for assignor in ("range", "sticky"):
        assert spread(partitions(orders=10), assignor, 1, foreign=2).useful_replicas == 8
