"""Each alert, by promtool: it fires on series that show its case, nothing else does, and nothing on healthy ones."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafka_consumer_scaler.telemetry import series
from tests.telemetry.monitoring import ALERTS, alerts

PREFIX = "KafkaConsumerScaler"
ORDERS = {"namespace": "shop", "name": "orders"}
KAFKA = {"cluster": "kafka:9092", "connection": "shop/kafka"}
MINUTES = 90
FINDINGS = [str(alert["alert"]) for alert in alerts() if "kafka_consumer_scaler_finding" in alert["expr"]]


def named(short_name: str, **labels: str) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{series.PREFIX}{short_name}{{{pairs}}}"


HEALTHY = {
    named("resources"): f"1x{MINUTES}",
    named("leader", job="operator", pod="a"): f"0x{MINUTES}",
    named("leader", job="operator", pod="b"): f"1x{MINUTES}",
    named("resource_info", **ORDERS, consumer_group="orders", target="Deployment/orders"): f"1x{MINUTES}",
    named("group_lag_seconds", **ORDERS): f"12x{MINUTES}",
    named("objective_lag_seconds", **ORDERS): f"60x{MINUTES}",
    named("polling_interval_seconds", **ORDERS): f"15x{MINUTES}",
    named("sample_age_seconds", **ORDERS): f"14x{MINUTES}",
    named("condition", **ORDERS, type="AbleToScale"): f"1x{MINUTES}",
    named("last_poll_age_seconds", **KAFKA): f"9x{MINUTES}",
    named("scale_writes_total", result="done"): f"0+1x{MINUTES}",
    named("scale_writes_total", result="ScaleFailed"): f"3x{MINUTES}",
}
"""Series that a healthy operator with one resource shows, a value a minute; a scale once failed, long ago."""


@dataclass(frozen=True)
class Case:
    """What is otherwise when an alert is due: series with other values, or none (""), and what it then says."""

    alert: str
    otherwise: dict[str, str]
    labels: dict[str, str] = field(default_factory=lambda: dict(ORDERS))
    value: str = ""

    def __str__(self) -> str:
        return f"{self.alert}{self.labels}"

    @property
    def inputs(self) -> dict[str, str]:
        return {name: values for name, values in {**HEALTHY, **self.otherwise}.items() if values}


ALWAYS = f"1x{MINUTES}"
CASES = [
    *(Case(name, {named("finding", **ORDERS, finding=name.removeprefix(PREFIX)): ALWAYS}) for name in FINDINGS),
    Case(PREFIX + "LagOverObjective", {named("group_lag_seconds", **ORDERS): f"61x{MINUTES}"}, value="1m 1s"),
    Case(PREFIX + "NoSample", {named("sample_age_seconds", **ORDERS): f"61+60x{MINUTES}"}),
    Case(PREFIX + "NoSample", {named("sample_age_seconds", **ORDERS): ""}),
    Case(PREFIX + "UnableToScale", {named("condition", **ORDERS, type="AbleToScale"): f"0x{MINUTES}"}),
    Case(PREFIX + "OperatorDown", dict.fromkeys(HEALTHY, ""), {}),
    Case(PREFIX + "NoLeader", {named("leader", job="operator", pod="b"): f"0x{MINUTES}"}, {"job": "operator"}),
    Case(PREFIX + "NotPolling", {named("last_poll_age_seconds", **KAFKA): f"301+60x{MINUTES}"}, KAFKA),
    Case(PREFIX + "NotPolling", {named("last_poll_age_seconds", **KAFKA): ""}, {}),
    Case(PREFIX + "ScaleWritesFailing", {named("scale_writes_total", result="ScaleFailed"): f"3+1x{MINUTES}"},
         {"result": "ScaleFailed"}),
]
PEACEFUL = {
    "all is well": {},
    "a spike is not a person's task": {named("finding", **ORDERS, finding="ProducerSpike"): ALWAYS},
    "a finding that came and went": {named("finding", **ORDERS, finding="HotPartition"): "1x5 stale"},
    "a backlog that is worked off in ten minutes": {named("group_lag_seconds", **ORDERS): f"600x10 12x{MINUTES}"},
    "a restart": {name: f"{values.partition('x')[0]}x30 stale _x2 {values}" for name, values in HEALTHY.items()},
    "polls an hour apart": {
        named("polling_interval_seconds", **ORDERS): f"3600x{MINUTES}",
        named("sample_age_seconds", **ORDERS): "0+60x59 0+60x59",
        named("last_poll_age_seconds", **KAFKA): "0+60x59 0+60x59"},
    "nothing to look after": {
        **dict.fromkeys(HEALTHY, ""), named("resources"): f"0x{MINUTES}"},
    "a write that failed once": {named("scale_writes_total", result="ScaleFailed"): f"3x40 4x{MINUTES}"},
}


def unit(inputs: dict[str, str], expected: list[tuple[int, str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """One test of promtool: at each minute, the alert of that name fires like this."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in inputs.items()],
        "alert_rule_test": [
            {"eval_time": f"{at}m", "alertname": name, "exp_alerts": told} for at, name, told in expected],
    }


def fired(case: Case) -> dict[str, Any]:
    """The alert as it is expected, with all of its words."""
    (rule,) = [alert for alert in alerts() if alert["alert"] == case.alert]
    return {"exp_labels": {**rule["labels"], **case.labels},
            "exp_annotations": {name: filled(text, case) for name, text in rule["annotations"].items()}}


def filled(text: str, case: Case) -> str:
    cluster = case.labels.get("cluster")
    told = f": {cluster}, {case.labels['connection']}" if cluster else ""
    text = text.replace("{{ with $labels.cluster }}: {{ . }}, {{ $labels.connection }}{{ end }}", told)
    text = text.replace("{{ $value | humanizeDuration }}", case.value)
    for label, value in case.labels.items():
        text = text.replace(f"{{{{ $labels.{label} }}}}", value)
    return text


def wait_minutes(name: str) -> int:
    (rule,) = [alert for alert in alerts() if alert["alert"] == name]
    return int(rule["for"].removesuffix("m"))


def run(promtool: Path, folder: Path, *units: dict[str, Any]) -> None:
    file = folder / "unit.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": list(units)}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid(promtool: Path) -> None:
    words: list[str | Path] = [promtool, "check", "rules", "--lint-fatal", ALERTS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_case() -> None:
    assert {case.alert for case in CASES} == {alert["alert"] for alert in alerts()}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_alert_fires_alone_and_in_time(promtool: Path, tmp_path: Path, case: Case) -> None:
    others = [alert["alert"] for alert in alerts() if alert["alert"] != case.alert]
    quiet: list[tuple[int, str, list[dict[str, Any]]]] = [(MINUTES // 2, name, []) for name in others]
    last = wait_minutes(case.alert) + (1 if "increase" in rule_of(case.alert) else 0)
    early = [(last - 1, case.alert, list[dict[str, Any]]())]
    run(promtool, tmp_path, unit(case.inputs, [*early, (last, case.alert, [fired(case)]),
                                              (MINUTES // 2, case.alert, [fired(case)]), *quiet]))


@pytest.mark.parametrize("story", PEACEFUL)
def test_no_alert_fires_while(promtool: Path, tmp_path: Path, story: str) -> None:
    inputs = {name: values for name, values in {**HEALTHY, **PEACEFUL[story]}.items() if values}
    names = [alert["alert"] for alert in alerts()]
    run(promtool, tmp_path, unit(inputs, [(at, name, []) for name in names for at in range(0, MINUTES, 3)]))


def test_promtool_tells_an_alert_that_does_not_fire(promtool: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="FAILED"):
        run(promtool, tmp_path, unit(HEALTHY, [(MINUTES // 2, CASES[0].alert, [fired(CASES[0])])]))


def rule_of(name: str) -> str:
    return next(str(alert["expr"]) for alert in alerts() if alert["alert"] == name)
