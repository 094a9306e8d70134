"""The dashboard and the alerts as they are shipped: their queries and the series that these name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "kafka-consumer-scaler"
DASHBOARD = CHART / "dashboards" / "kafka-consumer-scaler.json"
ALERTS = CHART / "alerts" / "kafka-consumer-scaler.yaml"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    panel: str
    expression: str

    def __str__(self) -> str:
        return f"{self.panel}: {self.expression}"

    def with_variables(self, namespace: str, name: str, rate_interval: str) -> str:
        """What Grafana sends for these choices."""
        chosen = {"$__rate_interval": rate_interval, "$namespace": namespace, "$name": name}
        return re.sub(r"\$\w+", lambda found: chosen[found[0]], self.expression)


def dashboard() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return shown


def queries() -> list[Query]:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    return [Query(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def variables() -> Iterator[tuple[str, str]]:
    """The series and the label that each variable of the dashboard takes its values from."""
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["definition"])
            assert found is not None, variable["definition"]
            yield found[1], found[2]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def series_in(expression: str) -> set[str]:
    """The names of series: words that begin like ours, or like those of the process."""
    return set(re.findall(r"\b(?:kafka_consumer_scaler|process|python)_\w+", expression))


def page_of(words: str) -> str:
    """The file that a finding or an alert has its runbook in: HotPartition is hot-partition.md."""
    return re.sub(r"(?<!^)([A-Z])", r"-\1", words).lower() + ".md"
