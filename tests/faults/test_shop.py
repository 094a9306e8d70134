"""What is called right for a load is right by the capacity of one consumer and the spread of the partitions."""

from __future__ import annotations

from math import ceil

import pytest

from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from tests.faults.shop import CONSUMER_CAPACITY, GROUPS, Group, scaler


def most_loaded(group: Group, rate: float, replicas: int) -> float:
    """Records/s of the consumer with the most partitions."""
    return ceil(group.partitions / replicas) * rate / group.partitions


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_the_right_number_is_the_fewest_whose_most_loaded_consumer_keeps_up(group: Group) -> None:
    for rate, right in group.levels:
        enough = (n for n in range(group.least, group.ceiling + 1) if most_loaded(group, rate, n) < CONSUMER_CAPACITY)
        assert next(enough) == right


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_no_load_is_so_near_a_capacity_that_two_numbers_are_right(group: Group) -> None:
    for rate, right in group.levels:
        assert most_loaded(group, rate, right) <= 0.9 * CONSUMER_CAPACITY
        assert right == group.least or most_loaded(group, rate, right - 1) >= 1.15 * CONSUMER_CAPACITY


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_the_manifest_says_what_the_group_is(group: Group) -> None:
    policy = KafkaConsumerScaler.parse(scaler(group.name, group), strict=True).policy()
    assert (policy.min_replicas, policy.max_replicas) == (group.least, group.most)
