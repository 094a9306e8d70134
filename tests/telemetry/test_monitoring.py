"""Dashboard, alerts and runbooks name only what is there, and nothing is left without its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kafka_consumer_scaler.core import findings
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import ConditionType
from kafka_consumer_scaler.telemetry import series
from kafka_consumer_scaler.telemetry.lag import SHOWN_AT_MOST
from kafka_consumer_scaler.telemetry.reference import reference
from tests.telemetry.monitoring import REPOSITORY, RUNBOOKS, Query, alerts, dashboard, page_of, queries, series_in

ALERTS = alerts()
NAMES = [str(alert["alert"]) for alert in ALERTS]
PREFIX = "KafkaConsumerScaler"
OF_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
LINES_AT_MOST = 45


def reasons_of_findings() -> set[str]:
    """Every finding there is: a rule bears its reason's name, and one is found while the lag is unknown."""
    rules = (*findings.RULES, *findings.UPSTREAM_RULES)
    return {Reason[rule.__name__.upper()].value for rule in rules} | {Reason.COMMIT_BEYOND_END.value}


def page_text(path: str) -> str:
    return (REPOSITORY / path).read_text()


def declared() -> set[str]:
    names = {one.name for one in series.ALL}
    histograms = {one.name for one in series.ALL if one.type is series.SeriesType.HISTOGRAM}
    return names | {name + part for name in histograms for part in ("_bucket", "_sum", "_count")} | OF_THE_PROCESS


@pytest.mark.parametrize("query", queries(), ids=str)
def test_every_series_of_the_dashboard_is_declared(query: Query) -> None:
    assert series_in(query.expression) - declared() == set()
    assert series_in(query.expression)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_every_series_of_an_alert_is_declared(alert: dict[str, str]) -> None:
    assert series_in(alert["expr"]) - declared() == set()
    assert series_in(alert["expr"])


@pytest.mark.parametrize("short_name", [
    "consumergroup_lag", "consumergroup_lag_seconds", "group_lag_seconds", "objective_lag_seconds",
    "group_arrival_records_per_second", "group_drain_records_per_second", "consumer_capacity_records_per_second",
    "replicas_current", "replicas_wanted", "replicas_allowed", "useful_replicas", "backlog_state", "finding",
    "decisions_total", "last_poll_age_seconds", "poll_errors_total", "scale_writes_total",
])
def test_the_dashboard_shows_what_one_asks_for(short_name: str) -> None:
    shown = {name for query in queries() for name in series_in(query.expression)}
    assert series.PREFIX + short_name in shown


def test_every_panel_and_query_takes_the_chosen_prometheus() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    sources = [part["datasource"]["uid"] for panel in panels for part in (panel, *panel["targets"])]
    assert set(sources) == {"${datasource}"}


def test_no_two_panels_overlap_or_leave_the_grid() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(places)


def test_labels_in_queries_name_things_that_exist() -> None:
    text = " ".join([query.expression for query in queries()] + [alert["expr"] for alert in ALERTS])
    assert set(re.findall(r'finding="(\w+)"', text)) <= reasons_of_findings()
    assert set(re.findall(r'type="(\w+)"', text)) <= {kind.value for kind in ConditionType}


def test_each_finding_has_its_page() -> None:
    assert len(reasons_of_findings()) >= 7
    assert [reason for reason in reasons_of_findings() if not (RUNBOOKS / page_of(reason)).is_file()] == []


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_each_alert_links_to_its_own_page(alert: dict[str, dict[str, str]]) -> None:
    name = str(alert["alert"]).removeprefix(PREFIX)
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{page_of(name)}"
    assert (REPOSITORY / alert["annotations"]["runbook_url"]).is_file()
    assert alert["labels"]["severity"] in {"warning", "critical"}


def test_the_runbook_tells_the_severity_of_its_alert() -> None:
    index = page_text("docs/runbooks/README.md")
    for alert in ALERTS:
        assert f"| `{alert['alert']}` | {alert['labels']['severity']} |" in index


def test_every_finding_that_needs_a_person_has_its_alert() -> None:
    alerted = {name.removeprefix(PREFIX) for name in NAMES}
    assert reasons_of_findings() - alerted == {"ProducerSpike", "TopicRecreated", "BrokersSlow"}


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.name)
def test_a_page_is_short_and_tells_what_one_needs_at_night(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) < LINES_AT_MOST
    if page.name != "README.md":
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["How it is detected", "What the operator does", "Look", "Do", "When it goes away"]
        assert "kubectl" in text


def test_the_index_lists_every_page_and_every_alert() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    pages = {page.name for page in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
    assert [name for name in NAMES if f"`{name}`" not in index] == []
    wanted = reasons_of_findings() | {name.removeprefix(PREFIX) for name in NAMES}
    assert pages == {page_of(words) for words in wanted}


def test_the_cost_of_partitions_is_what_the_page_says() -> None:
    one = int(re.findall(r"about (\d+) with one topic", reference())[0])
    section = page_text("docs/monitoring.md").split("## Lag by partition", 1)[1].split("\n## ", 1)[0]
    rows = [[int(cell.replace(",", "")) for cell in row.strip("|").split("|")]
            for row in section.splitlines() if re.match(r"\| \d", row)]
    shown = [[n, p, n * one, n * (one - 2 + 2 * min(p, SHOWN_AT_MOST + 1))] for n, p, *_ in rows]
    assert rows == shown
    assert len(rows) >= 4


def test_every_series_on_a_page_is_declared() -> None:
    pages = [*RUNBOOKS.glob("*.md"), REPOSITORY / "docs" / "monitoring.md"]
    assert [(page.name, name) for page in pages for name in series_in(page.read_text()) - declared()
            if name.startswith(series.PREFIX)] == []
