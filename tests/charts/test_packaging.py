"""The images install what the project's locks say, and the examples are whole."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.charts.rendering import DEPLOY, REPOSITORY, project_version

EXAMPLES = REPOSITORY / "examples"


@pytest.mark.parametrize("lock", [REPOSITORY / "requirements-build.lock", EXAMPLES / "requirements.lock"])
def test_an_image_installs_versions_and_hashes_of_the_development_lock(lock: Path) -> None:
    pinned, of_development = pins(lock), pins(REPOSITORY / "requirements-dev.lock")
    assert pinned == {name: of_development[name] for name in pinned}
    assert all("--hash=sha256:" in pin for pin in pinned.values())


def test_the_image_is_labelled_with_the_version_of_the_project() -> None:
    assert f"\nARG VERSION={project_version()}\n" in (REPOSITORY / "Dockerfile").read_text()


def test_the_example_scaler_names_the_example_consumer_and_its_group() -> None:
    scaler = yaml.safe_load((EXAMPLES / "scaler.yaml").read_text())
    consumer = yaml.safe_load((EXAMPLES / "consumer.yaml").read_text())
    env = {item["name"]: item["value"] for item in consumer["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert scaler["spec"]["scaleTargetRef"]["name"] == consumer["metadata"]["name"]
    assert scaler["metadata"]["namespace"] == consumer["metadata"]["namespace"]
    assert scaler["spec"]["consumerGroup"] == env["GROUP"]
    assert scaler["spec"]["kafka"]["bootstrapServers"] == env["KAFKA_BOOTSTRAP_SERVERS"]
    assert scaler["spec"]["offsetReset"] == env["OFFSET_RESET"]


def test_the_sample_is_the_shortest_whole_manifest() -> None:
    sample = yaml.safe_load((DEPLOY / "sample.yaml").read_text())
    assert sorted(sample["spec"]) == ["consumerGroup", "kafka", "maxReplicas", "scaleTargetRef"]


def test_the_example_producer_counts_as_its_docstring_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    producer = importlib.import_module("producer")
    assert doctest.testmod(producer).failed == 0
    assert doctest.testmod(producer).attempted > 0
    del sys.modules["producer"]


@pytest.mark.parametrize("text", ["100", "100:", "x:5", "100:0", "-1:5", "nan:5", "100:60,,"])
def test_the_example_producer_names_a_step_that_is_wrong(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    producer = importlib.import_module("producer")
    with pytest.raises(Exception, match="is not RATE:SECONDS"):
        producer.parse_steps(text)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"GROUP": ""}, "GROUP is not set"),
        ({"WORK_SECONDS": "fast"}, "WORK_SECONDS must be seconds"),
        ({"COMMIT_INTERVAL": "-1"}, "COMMIT_INTERVAL must be seconds"),
    ],
)
def test_the_example_consumer_names_a_variable_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], complaint: str
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    consumer = importlib.import_module("consumer")
    env = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "TOPIC": "orders", "GROUP": "orders"}
    with pytest.raises(ValueError, match=complaint):
        consumer.Settings.from_environment(env | change)


def pins(lock: Path) -> dict[str, str]:
    """What each package is pinned to: its version, condition and hashes."""
    return {pin[1]: pin[0] for pin in re.finditer(r"^([\w.-]+)==(?:.*\\\n)*.*$", lock.read_text(), re.MULTILINE)}
