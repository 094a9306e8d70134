"""A real Prometheus scrapes a real exposition for some seconds, and every panel of the dashboard has data."""

from __future__ import annotations

import itertools
import math
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Snapshot
from kafka_consumer_scaler.core.verdict import ScaleTo
from kafka_consumer_scaler.telemetry.metrics import Metrics
from tests.docs.pages import page
from tests.telemetry.monitoring import ALERTS, Query, queries, variables
from tests.telemetry.scraping import OPERATORS_NAMESPACE, Prometheus, prometheus, served
from tests.waiting import eventually
from tests.world import Seen, World, blind, minutes

POLLS = 20
APART_SECONDS = 0.25
"""Polls are so far apart, and four to a scrape."""
RATE_INTERVAL = "5s"
"""Grafana's for a scrape a second: four scrapes, and one more."""
T = TypeVar("T")
POLICY = Policy(max_replicas=12)
CLUSTER, CONNECTION = "kafka:9092", "shop/kafka"


def sized(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, details=Details(record_bytes={"orders": 200.0}))


WORLDS = {
    ("shop", "orders"): World(POLICY, lambda at: 100 + at, spoil=sized),
    ("shop", "hot"): World(POLICY, lambda at: 500, weights=[5.0, *[1.0] * 11], spoil=sized),
    ("shop", "dark"): World(POLICY, lambda at: 100, spoil=blind),
    ("bank", "ledger"): World(replace(POLICY, max_replicas=2), lambda at: 700, spoil=sized),
}


@dataclass(frozen=True)
class Operator:
    """What an operator with three resources tells its metrics."""

    metrics: Metrics
    stories: dict[tuple[str, str], list[Seen]]
    at_end: threading.Event = field(default_factory=threading.Event)

    def tell(self, number: int) -> None:
        """One poll of all groups, at last the end of their stories again and again; some writes fail."""
        failed = Reason.API_SERVER_UNREACHABLE if number % 2 else None
        self.metrics.set_resources(len(self.stories))
        silence = Reason.BROKERS_UNREACHABLE if failed else None
        self.metrics.observe_poll(CLUSTER, CONNECTION, 0.02 * (number % 7), silence)
        for (namespace, name), rows in self.stories.items():
            verdict = rows[min(number - POLLS, -1)].verdict
            self.metrics.observe_resource(namespace, name, f"{name}-group", f"Deployment/{name}")
            self.metrics.observe_verdict(namespace, name, verdict, WORLDS[namespace, name].policy)
            self.metrics.observe_status_write(failed)
            self.metrics.observe_event(Reason.SCALED_UP)
        self.metrics.observe_scale_write(Reason.SCALE_FAILED if failed else None)

    def tell_until(self, ended: threading.Event) -> None:
        """One poll after the other; `at_end` is set once the stories are at their end."""
        for number in itertools.count():
            self.tell(number)
            if number >= POLLS:
                self.at_end.set()
            if ended.wait(APART_SECONDS):
                return


@pytest.fixture(scope="module")
def scraped(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the operator to the end of its stories; it goes on while the tests ask."""
    operator = Operator(Metrics(), {key: world.run(minutes(12)) for key, world in WORLDS.items()})
    folder = tmp_path_factory.mktemp("prometheus")
    with served(operator.metrics) as target, prometheus(prometheus_binary, folder, target, ALERTS) as server:
        ended = threading.Event()
        teller = threading.Thread(target=operator.tell_until, args=(ended,))
        teller.start()
        try:
            assert operator.at_end.wait(60)
            before = scrapes(server)
            eventually(lambda: scrapes(server) >= max(5, before + 2))
            yield server
        finally:
            ended.set()
            teller.join()


def scrapes(server: Prometheus) -> int:
    """How often it has scraped so far."""
    return sum(int(one["value"][1]) for one in server.query("count_over_time(kafka_consumer_scaler_resources[1h])"))


def awaited(ask: Callable[[], T], is_so: Callable[[T], bool], seconds: float = 60) -> T:
    """The answer once it is so, or the last one: on a busy machine a scrape comes late, and the next one has it."""
    until = time.monotonic() + seconds
    while not is_so(answer := ask()) and time.monotonic() < until:
        time.sleep(0.2)
    return answer


def are_numbers(series: list[dict[str, Any]]) -> bool:
    return bool(series) and all(math.isfinite(float(one["value"][1])) for one in series)


def found(scraped: Prometheus, expression: str) -> list[dict[str, Any]]:
    return awaited(lambda: scraped.query(expression), are_numbers)


def test_the_stories_have_what_the_dashboard_shows(scraped: Prometheus) -> None:
    rows = [row for world in WORLDS.values() for row in world.rows]
    assert {Reason.HOT_PARTITION, Reason.AT_MAX_REPLICAS} <= {f.reason for row in rows for f in row.verdict.findings}
    assert any(isinstance(row.verdict.decision, ScaleTo) for row in rows)


@pytest.mark.parametrize("query", queries(), ids=str)
@pytest.mark.parametrize(("namespace", "name"), [(".*", ".*"), ("(shop|bank)", "(hot|ledger)")])
def test_every_query_of_the_dashboard_returns_data(
    scraped: Prometheus, query: Query, namespace: str, name: str
) -> None:
    series = found(scraped, query.with_variables(namespace, name, RATE_INTERVAL))
    assert are_numbers(series), (query, series)


COUNTS = {"Resources": 4, "Over the objective": 2, "Not ready": 1}
"""The ledger and the hot group are over their objective, and the dark one is not ready."""
OR_ZERO = " or vector(0)"


@pytest.mark.parametrize("query", [query for query in queries() if query.expression.endswith(OR_ZERO)], ids=str)
def test_a_query_that_shows_zero_for_nothing_has_something_to_show(scraped: Prometheus, query: Query) -> None:
    shown = replace(query, expression=query.expression.removesuffix(OR_ZERO))
    (one,) = found(scraped, shown.with_variables(".*", ".*", RATE_INTERVAL))
    number = float(one["value"][1])
    assert number == COUNTS[query.panel] if query.panel in COUNTS else number >= 1


@pytest.mark.parametrize(("series", "label"), [*variables()])
def test_every_variable_of_the_dashboard_has_values(scraped: Prometheus, series: str, label: str) -> None:
    wanted = {"namespace": ["bank", "shop"], "name": ["dark", "hot", "ledger", "orders"]}
    assert scraped.label_values(series, label) == wanted[label]


def test_the_namespace_of_a_resource_is_its_own_and_that_of_the_operator_is_told_of_its_own_series(
    scraped: Prometheus,
) -> None:
    by_namespace = found(scraped, "count by (namespace) (kafka_consumer_scaler_group_lag_records)")
    assert {one["metric"]["namespace"] for one in by_namespace} == {"shop", "bank"}
    (own,) = found(scraped, "kafka_consumer_scaler_resources")
    assert own["metric"]["namespace"] == OPERATORS_NAMESPACE


def test_lag_by_group_and_topic_is_asked_for_as_of_any_lag_exporter(scraped: Prometheus) -> None:
    lags = found(scraped, "sum by (consumergroup, topic) (kafka_consumer_scaler_consumergroup_lag)")
    assert {(one["metric"]["consumergroup"], one["metric"]["topic"]) for one in lags} == {
        ("orders-group", "orders"), ("hot-group", "orders"), ("ledger-group", "orders")}
    (whole,) = found(scraped, "kafka_consumer_scaler_group_lag_records{name='ledger'}")
    (of_topic,) = [one for one in lags if one["metric"]["consumergroup"] == "ledger-group"]
    assert float(of_topic["value"][1]) == float(whole["value"][1]) > 0


STARTERS = [row.split("|")[2].strip().strip("`") for row in page("docs/reference/metrics.md").text.split(
    "## Queries to begin with")[1].splitlines() if row.startswith("| ")][1:]
SILENT_HERE = {"kafka_consumer_scaler_sample_age_seconds > 300", "kafka_consumer_scaler_last_poll_age_seconds > 60"}
"""Nothing is so old in so short a run."""


@pytest.mark.parametrize("query", STARTERS)
def test_every_query_to_begin_with_finds_what_it_asks_for(scraped: Prometheus, query: str) -> None:
    finds = query not in SILENT_HERE
    assert awaited(lambda: bool(scraped.query(query)), lambda found: found == finds) == finds


def test_the_scrape_config_of_the_page_is_one_that_prometheus_takes(promtool: Path, tmp_path: Path) -> None:
    """Debian builds Prometheus without the discovery of Kubernetes, so that one part is left out."""
    config = yaml.safe_load(page("docs/monitoring.md").blocks("yaml")[0])
    del config["scrape_configs"][0]["kubernetes_sd_configs"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    checked = subprocess.run([promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_evaluated_without_an_error_and_the_findings_are_on_their_way(scraped: Prometheus) -> None:
    findings = {"KafkaConsumerScalerHotPartition", "KafkaConsumerScalerAtMaxReplicas"}

    def on_their_way() -> set[str]:
        rules = scraped.rules()
        assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
        pending = {rule["name"] for rule in rules if rule["state"] in {"pending", "firing"}}
        return pending & {*findings, "KafkaConsumerScalerOperatorDown"}

    assert awaited(on_their_way, lambda pending: pending == findings) == findings
