"""What a scrape shows, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafka_consumer_scaler.core.diagnosis import Backlog, Finding
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.snapshot import Details, Unknown
from kafka_consumer_scaler.core.throttle import Quota, Throttle
from kafka_consumer_scaler.core.verdict import (
    Abstain,
    Condition,
    ConditionType,
    Decision,
    Hold,
    Measurements,
    ScaleTo,
    Verdict,
)
from kafka_consumer_scaler.telemetry import series
from kafka_consumer_scaler.telemetry.metrics import Metrics
from kafka_consumer_scaler.telemetry.reference import reference
from tests.core.making import even

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
POLICY = Policy(max_replicas=12, min_replicas=2, lag_seconds=30.0)
BEHIND = Measurements(
    lag_records=4200,
    lag_seconds=12.5,
    arrival=900.0,
    drain=400.0,
    capacity_per_consumer=100.0,
    partitions=12,
    useful_replicas=12,
    replicas_current=4,
    replicas_wanted=11,
    replicas_allowed=9,
)
SAFE = SafeRate(1136.0, 1136.0 * 200, 1200.0, 12, "12 consumers of 100/s", is_learned=True)
SITUATION = replace(even(4, arrival=900.0, age=12.0), details=Details(record_bytes={"orders": 200.0}))
HOT = Finding(Reason.HOT_PARTITION, "", "")
READY = Condition(ConditionType.READY, True, Reason.AS_EXPECTED, "")
KAFKA = ("kafka:9092", "shop/kafka")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def verdict(
    decision: Decision, measurements: Measurements = BEHIND, *conditions: Condition, backlog: Backlog = Backlog.BEHIND
) -> Verdict:
    plain = Verdict(decision, Memory(), conditions or (READY,), (), None, backlog, measurements, (), "")
    return replace(plain, situation=SITUATION, safe_rate=SAFE)


def samples(metrics: Metrics) -> Samples:
    """Every exposed value by its name, without the prefix, and labels."""
    return {
        (sample.name.removeprefix(series.PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, series_name: str, /, **labels: str) -> float | None:
    return samples(metrics).get((series_name, frozenset(labels.items())))


def of_orders(metrics: Metrics, series_name: str, /, **labels: str) -> float | None:
    return samples(metrics).get((series_name, frozenset({"namespace": "shop", "name": "orders", **labels}.items())))


@pytest.fixture
def metrics() -> Metrics:
    """Metrics that were told one verdict about shop/orders."""
    metrics = Metrics()
    metrics.observe_verdict("shop", "orders", verdict(ScaleTo(9, Reason.SCALED_UP)), POLICY)
    return metrics


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("group_lag_records", 4200),
        ("group_lag_seconds", 12.5),
        ("group_arrival_records_per_second", 900),
        ("group_drain_records_per_second", 400),
        ("consumer_capacity_records_per_second", 100),
        ("group_partitions", 12),
        ("useful_replicas", 12),
        ("replicas_current", 4),
        ("replicas_wanted", 11),
        ("replicas_allowed", 9),
        ("replicas_min", 2),
        ("replicas_max", 12),
        ("objective_lag_seconds", 30),
        ("polling_interval_seconds", 15),
        ("group_members", 4),
        ("group_commit_interval_seconds", 5),
        ("group_arrival_bytes_per_second", 900 * 200),
        ("safe_rate_records_per_second", 1136),
        ("safe_rate_bytes_per_second", 1136 * 200),
        ("throttle_bytes_per_second", 0),
    ],
)
def test_each_measurement_is_shown_under_its_name(metrics: Metrics, name: str, expected: float) -> None:
    assert of_orders(metrics, name) == pytest.approx(expected)


def test_a_value_that_became_unknown_is_absent_and_not_zero(metrics: Metrics) -> None:
    blind = replace(BEHIND, lag_records=Unknown("no broker answered"), lag_seconds=Unknown("no broker answered"))

    metrics.observe_verdict("shop", "orders", verdict(Abstain(Reason.BROKERS_UNREACHABLE, ""), blind), POLICY)

    assert of_orders(metrics, "group_lag_records") is None
    assert of_orders(metrics, "group_lag_seconds") is None
    assert of_orders(metrics, "group_partitions") == 12


def test_a_safe_rate_that_is_not_known_is_absent_and_one_whose_bytes_are_not_has_records(metrics: Metrics) -> None:
    held = verdict(Hold(9, Reason.AS_EXPECTED))
    for safe, records in ((Unknown("no capacity"), None), (replace(SAFE, bytes=Unknown("no sizes")), 1136.0)):
        metrics.observe_verdict("shop", "orders", replace(held, safe_rate=safe), POLICY)
        assert of_orders(metrics, "safe_rate_records_per_second") == records
        assert of_orders(metrics, "safe_rate_bytes_per_second") is None


def test_what_producers_are_held_to_is_shown_until_they_are_released(metrics: Metrics) -> None:
    held = verdict(Hold(9, Reason.AS_EXPECTED))
    throttle = Throttle(240_000.0, (Quota("shop", None, 80_000.0),), is_at_floor=False, because="")
    for now, shown in ((throttle, 240_000), (None, 0)):
        metrics.observe_verdict("shop", "orders", replace(held, throttle=now), POLICY)
        assert of_orders(metrics, "throttle_bytes_per_second") == shown


def test_what_is_read_off_the_situation_is_absent_without_one(metrics: Metrics) -> None:
    blind = replace(verdict(Abstain(Reason.BROKERS_UNREACHABLE, "")), situation=Unknown("no broker answered"))

    metrics.observe_verdict("shop", "orders", blind, POLICY)

    names = ("group_members", "group_commit_interval_seconds", "group_arrival_bytes_per_second", "consumergroup_lag",
             "consumergroup_lag_seconds", "topic_record_bytes")
    assert [name for name, _ in samples(metrics) if name in names] == []


def test_bytes_are_unknown_while_the_size_of_one_topics_records_is() -> None:
    assert isinstance(series.arrival_bytes_per_second(replace(SITUATION, details=Details())), Unknown)


def test_a_group_that_nothing_arrives_for_gets_no_bytes() -> None:
    idle = even(1, arrival=0.0)

    assert series.arrival_bytes_per_second(idle) == 0


def test_a_finding_is_one_while_it_lasts_and_absent_afterwards(metrics: Metrics) -> None:
    shown = []
    for findings in ((), (HOT, replace(HOT, reason=Reason.AT_MAX_REPLICAS)), (HOT,), ()):
        told = replace(verdict(Hold(4, Reason.COOLING_DOWN)), findings=findings)
        metrics.observe_verdict("shop", "orders", told, POLICY)
        of_findings = [one for one in samples(metrics).items() if one[0][0] == "finding"]
        shown.append({dict(labels)["finding"]: seen for (_, labels), seen in of_findings})

    assert shown == [{}, {"HotPartition": 1, "AtMaxReplicas": 1}, {"HotPartition": 1}, {}]


def test_one_backlog_state_is_one_and_the_others_are_zero(metrics: Metrics) -> None:
    states = {state: of_orders(metrics, "backlog_state", state=state.value) for state in Backlog}

    assert states == {state: float(state is Backlog.BEHIND) for state in Backlog}


def test_a_condition_is_one_zero_or_absent(metrics: Metrics) -> None:
    conditions = (
        READY,
        replace(READY, type=ConditionType.ABLE_TO_SCALE, status=False),
        replace(READY, type=ConditionType.SCALING_LIMITED, status=None),
    )

    metrics.observe_verdict("shop", "orders", verdict(Hold(4, Reason.COOLING_DOWN), BEHIND, *conditions), POLICY)

    assert of_orders(metrics, "condition", type="Ready") == 1
    assert of_orders(metrics, "condition", type="AbleToScale") == 0
    assert of_orders(metrics, "condition", type="ScalingLimited") is None


def test_decisions_are_counted_by_their_reason(metrics: Metrics) -> None:
    for _ in range(2):
        metrics.observe_verdict("shop", "orders", verdict(Hold(9, Reason.COOLING_DOWN)), POLICY)

    assert of_orders(metrics, "decisions_total", decision="ScaleTo", reason="ScaledUp") == 1
    assert of_orders(metrics, "decisions_total", decision="Hold", reason="CoolingDown") == 2


def test_the_age_of_a_sample_grows_until_the_lag_is_known_again() -> None:
    now = 100.0
    metrics = Metrics(clock=lambda: now)
    blind = verdict(Abstain(Reason.BROKERS_UNREACHABLE, ""), replace(BEHIND, lag_records=Unknown("")))
    ages = []
    for told in (verdict(Hold(4, Reason.COOLING_DOWN)), blind, blind, verdict(Hold(4, Reason.COOLING_DOWN))):
        metrics.observe_verdict("shop", "orders", told, POLICY)
        ages.append(of_orders(metrics, "sample_age_seconds"))
        now += 15

    assert ages == [0, 15, 30, 0]


def test_a_deleted_resource_leaves_no_series(metrics: Metrics) -> None:
    metrics.observe_resource("shop", "orders", "orders-group", "Deployment/orders-consumer")
    metrics.observe_verdict("bank", "orders", verdict(Hold(4, Reason.COOLING_DOWN)), POLICY)

    metrics.forget("shop", "orders")
    metrics.forget("shop", "never-seen")

    assert [labels for _, labels in samples(metrics) if ("namespace", "shop") in labels] == []
    assert value(metrics, "replicas_current", namespace="bank", name="orders") == 4


def test_the_consumer_group_is_joined_through_the_information_series(metrics: Metrics) -> None:
    metrics.observe_resource("shop", "orders", 'a "group"', "Deployment/orders-consumer")

    labels = {"consumer_group": 'a "group"', "target": "Deployment/orders-consumer"}
    assert of_orders(metrics, "resource_info", **labels) == 1


def test_polls_are_measured_for_each_cluster(metrics: Metrics) -> None:
    metrics.observe_poll(*KAFKA, 0.3, None)
    metrics.observe_poll(*KAFKA, 10.0, Reason.BROKERS_UNREACHABLE)

    labels = {"cluster": "kafka:9092", "connection": "shop/kafka"}
    assert value(metrics, "poll_seconds_count", **labels) == 2
    assert value(metrics, "poll_seconds_bucket", **labels, le="0.5") == 1
    assert value(metrics, "poll_errors_total", **labels, reason="BrokersUnreachable") == 1


def test_the_age_of_a_poll_grows_until_the_next() -> None:
    now = 100.0
    metrics = Metrics(clock=lambda: now)
    metrics.observe_poll(*KAFKA, 0.3, None)

    now = 117.0

    assert value(metrics, "last_poll_age_seconds", cluster="kafka:9092", connection="shop/kafka") == 17


def test_a_cluster_that_nobody_uses_leaves_no_series(metrics: Metrics) -> None:
    metrics.observe_poll(*KAFKA, 0.3, Reason.BROKERS_UNREACHABLE)

    metrics.observe_stretch(*KAFKA, 2)

    metrics.forget_cluster(*KAFKA)
    metrics.forget_cluster("never-polled:9092", "shop/kafka")

    assert [labels for _, labels in samples(metrics) if ("cluster", "kafka:9092") in labels] == []


def test_two_connections_to_one_address_have_series_of_their_own() -> None:
    now = 100.0
    metrics = Metrics(clock=lambda: now)
    metrics.observe_poll(*KAFKA, 0.3, None)
    metrics.observe_stretch(*KAFKA, 1)
    now = 130.0
    metrics.observe_poll("kafka:9092", "bank/kafka", 0.3, Reason.AUTHENTICATION_FAILED)
    metrics.observe_stretch("kafka:9092", "bank/kafka", 4)

    shown = {connection: [value(metrics, name, cluster="kafka:9092", connection=connection)
                          for name in ("poll_seconds_count", "poll_stretch", "last_poll_age_seconds")]
             for connection in ("shop/kafka", "bank/kafka")}  # fmt: skip
    assert shown == {"shop/kafka": [1, 1, 30], "bank/kafka": [1, 4, 0]}
    metrics.forget_cluster("kafka:9092", "bank/kafka")
    assert value(metrics, "poll_seconds_count", cluster="kafka:9092", connection="shop/kafka") == 1
    assert [labels for _, labels in samples(metrics) if ("connection", "bank/kafka") in labels] == []


def test_restarts_and_replacements_are_counters_that_never_go_back(metrics: Metrics) -> None:
    shown = []
    for restarts, recycles in ((0, 0), (2, 0), (2, 1), (1, 0), (3, 1)):
        metrics.set_polling_process(restarts, recycles)
        shown.append([value(metrics, f"polling_process_{kind}_total") for kind in ("restarts", "recycles")])

    assert shown == [[0, 0], [2, 0], [2, 1], [2, 1], [3, 1]]


def test_writes_and_events_are_counted_by_result(metrics: Metrics) -> None:
    metrics.observe_scale_write(None)
    metrics.observe_scale_write(Reason.SCALE_FAILED)
    metrics.observe_status_write(Reason.API_SERVER_UNREACHABLE)
    metrics.observe_event(Reason.SCALED_UP)
    metrics.set_events_waiting(3)
    metrics.set_resources(7)

    assert value(metrics, "scale_writes_total", result="done") == 1
    assert value(metrics, "scale_writes_total", result="ScaleFailed") == 1
    assert value(metrics, "status_writes_total", result="done") == 0
    assert value(metrics, "status_writes_total", result="ApiServerUnreachable") == 1
    assert value(metrics, "events_total", reason="ScaledUp") == 1
    assert value(metrics, "events_waiting") == 3
    assert value(metrics, "resources") == 7


def test_every_declared_series_is_exposed_with_its_type_and_labels_and_no_other(metrics: Metrics) -> None:
    metrics.observe_resource("shop", "orders", "orders", "Deployment/orders-consumer")
    found = replace(verdict(Hold(4, Reason.COOLING_DOWN)), findings=(HOT,))
    metrics.observe_verdict("shop", "orders", found, POLICY)
    metrics.observe_poll(*KAFKA, 0.3, Reason.BROKERS_UNREACHABLE)
    metrics.observe_stretch(*KAFKA, 2)
    metrics.observe_event(Reason.SCALED_UP)

    exposed = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        if family.name.startswith(series.PREFIX) and family.samples:
            name = family.name + ("_total" if family.type == "counter" else "")
            exposed[name] = (family.type, {label for s in family.samples for label in s.labels} - {"le"})

    assert exposed == {one.name: (one.type.value, set(one.labels)) for one in series.ALL}


def test_the_reference_page_is_complete_and_current() -> None:
    page = PAGE.read_text()

    assert page == reference(), "run: python -m kafka_consumer_scaler.telemetry.reference > docs/reference/metrics.md"
    assert [one.name for one in series.ALL if f"| `{one.name}` |" not in page] == []


def test_the_documented_number_of_series_of_a_resource_is_that_of_the_exposition(metrics: Metrics) -> None:
    metrics.observe_resource("shop", "orders", "orders", "Deployment/orders-consumer")
    conditions = tuple(replace(READY, type=kind) for kind in ConditionType)
    for reason in list(Reason)[:9]:
        metrics.observe_verdict("shop", "orders", verdict(Hold(4, reason), BEHIND, *conditions), POLICY)

    shown = [name for name, labels in samples(metrics) if ("name", "orders") in labels]

    assert f"about {len(shown)} with one topic." in reference()
