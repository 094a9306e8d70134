"""Lag by topic and by partition: what is shown, and that it stays bounded."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, TopicPartition, Unknown
from kafka_consumer_scaler.core.verdict import Hold, Measurements, Verdict
from kafka_consumer_scaler.telemetry import series
from kafka_consumer_scaler.telemetry.lag import OTHERS, SHOWN_AT_MOST, Row, record_bytes, rows
from kafka_consumer_scaler.telemetry.metrics import Metrics
from tests.core.making import even

NOTHING = Unknown("")
NUMBERS = Measurements(*(NOTHING,) * 10)
SMALL = {("orders", 0): (10, 1.0), ("orders", 1): (30, 4.0), ("returns", 0): (5, 2.0)}

Told = Mapping[tuple[str, int], tuple[int, float | Unknown]]


def situation(told: Told) -> Situation:
    """A group with this lag, in records, and age, in seconds, by topic and partition."""
    lag = {TopicPartition(*key): records for key, (records, _) in told.items()}
    ages = {TopicPartition(*key): age for key, (_, age) in told.items()}
    return replace(even(1, arrival=0.0), lag=lag, ages=ages)


def many(topics: int, partitions: int) -> Situation:
    """Each partition has a lag of one record that is as old as the partition's number."""
    return situation({(f"t{t:05}", p): (1, float(p)) for t in range(topics) for p in range(partitions)})


def shown(metrics: Metrics, short_name: str) -> list[tuple[dict[str, str], float]]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    found = (sample for family in families for sample in family.samples)
    return [(sample.labels, sample.value) for sample in found if sample.name == series.PREFIX + short_name]


def told(metrics: Metrics, seen: Situation, name: str = "orders") -> None:
    verdict = Verdict(Hold(1, Reason.COOLING_DOWN), Memory(), (), (), None, seen.backlog, NUMBERS, (), "")
    metrics.observe_resource("shop", name, f"{name}-group", "Deployment/orders")
    metrics.observe_verdict("shop", name, replace(verdict, situation=seen), Policy(max_replicas=12))


def test_a_topic_has_the_sum_of_its_lag_and_its_largest_age() -> None:
    assert rows(situation(SMALL), False) == (Row(("orders",), 40, 4.0), Row(("returns",), 5, 2.0))


def test_an_age_is_unknown_if_that_of_one_partition_is() -> None:
    seen = situation({**SMALL, ("orders", 1): (30, Unknown("too short a history"))})
    assert rows(seen, False) == (Row(("orders",), 40, None), Row(("returns",), 5, 2.0))


def test_partitions_are_shown_one_by_one_where_that_is_asked_for() -> None:
    assert [(row.labels, row.records) for row in rows(situation(SMALL), True)] == [
        (("orders", "0"), 10), (("orders", "1"), 30), (("returns", "0"), 5)]


@pytest.mark.parametrize("per_partition", [True, False])
def test_nothing_is_summed_up_to_the_bound(per_partition: bool) -> None:
    seen = many(1, SHOWN_AT_MOST) if per_partition else many(SHOWN_AT_MOST, 1)
    assert len(rows(seen, per_partition)) == SHOWN_AT_MOST
    assert OTHERS not in {word for row in rows(seen, per_partition) for word in row.labels}


def test_partitions_beyond_the_bound_are_one_row_and_no_record_is_lost() -> None:
    seen = many(3, 500)
    found = rows(seen, True)
    assert len(found) == SHOWN_AT_MOST + 1
    assert found[-1] == Row((OTHERS, OTHERS), 500, 499.0)
    assert sum(row.records for row in found) == seen.lag_records == 1500


def test_topics_beyond_the_bound_are_one_row_and_no_record_is_lost() -> None:
    found = rows(many(1200, 3), False)
    assert len(found) == SHOWN_AT_MOST + 1
    assert found[-1] == Row((OTHERS,), 600, 2.0)
    assert sum(row.records for row in found) == 3600


def test_the_same_partitions_are_shown_whatever_their_lag() -> None:
    before = many(2, 800)
    after = replace(before, lag={tp: 1000 - tp.partition for tp in before.lag})
    assert [row.labels for row in rows(before, True)] == [row.labels for row in rows(after, True)]


def test_the_size_of_records_is_told_of_topics_of_the_group_up_to_the_bound() -> None:
    seen = many(SHOWN_AT_MOST + 5, 1)
    sizes = {"no-topic-of-the-group": 7.0, **{tp.topic: 100.0 for tp in seen.lag}}
    found = record_bytes(replace(seen, details=Details(record_bytes=sizes)))
    assert len(found) == SHOWN_AT_MOST
    assert set(found.values()) == {100.0}


def test_topics_are_shown_by_default_under_the_names_of_lag_exporters() -> None:
    metrics = Metrics()
    told(metrics, situation(SMALL))
    labels = {"namespace": "shop", "name": "orders", "consumergroup": "orders-group"}
    assert shown(metrics, "consumergroup_lag") == [
        ({**labels, "topic": "orders"}, 40), ({**labels, "topic": "returns"}, 5)]
    assert shown(metrics, "consumergroup_lag_seconds") == [
        ({**labels, "topic": "orders"}, 4), ({**labels, "topic": "returns"}, 2)]


def test_partitions_take_the_place_of_topics_so_that_a_sum_counts_nothing_twice() -> None:
    by_topic, by_partition = Metrics(), Metrics(per_partition=True)
    for metrics in (by_topic, by_partition):
        told(metrics, situation(SMALL))
    assert [labels["partition"] for labels, _ in shown(by_partition, "consumergroup_lag")] == ["0", "1", "0"]
    sums = [sum(value for _, value in shown(each, "consumergroup_lag")) for each in (by_topic, by_partition)]
    assert sums == [45, 45]


def test_an_age_that_is_unknown_leaves_a_gap_and_the_lag_stays() -> None:
    metrics = Metrics(per_partition=True)
    told(metrics, situation({("orders", 0): (10, Unknown("")), ("orders", 1): (3, 2.0)}))
    assert [value for _, value in shown(metrics, "consumergroup_lag")] == [10, 3]
    assert [value for _, value in shown(metrics, "consumergroup_lag_seconds")] == [2]


def test_ten_groups_of_two_thousand_partitions_stay_within_the_bound() -> None:
    metrics = Metrics(per_partition=True)
    for number in range(10):
        told(metrics, many(2, 1000), f"g{number}")
    assert len(shown(metrics, "consumergroup_lag")) == 10 * (SHOWN_AT_MOST + 1)


def test_a_deleted_resource_leaves_no_lag() -> None:
    metrics = Metrics()
    told(metrics, situation(SMALL))
    metrics.forget("shop", "orders")
    assert shown(metrics, "consumergroup_lag") == []


@pytest.fixture
def threads_take_short_turns() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_a_scrape_may_be_answered_in_another_thread_while_resources_come_and_go(threads_take_short_turns: None) -> None:
    metrics, seen = Metrics(), situation(SMALL)
    with ThreadPoolExecutor(1) as other:
        scrapes = [other.submit(metrics.exposition) for _ in range(30)]
        for number in itertools.count():
            told(metrics, seen, f"g{number % 50}")
            metrics.forget("shop", f"g{(number + 25) % 50}")
            if all(scrape.done() for scrape in scrapes):
                break
    assert [scrape.exception() for scrape in scrapes] == [None] * 30
