"""What the pages name exists, and what exists is on the pages that promise to name it all."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from kafka_consumer_scaler.api.manifest import scaler_in
from kafka_consumer_scaler.api.reaching import ConnectionKind
from kafka_consumer_scaler.api.v1alpha1 import KIND, KafkaConsumerScaler, parse_connection
from kafka_consumer_scaler.cli import reference
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from tests.docs.pages import ROOT, Page, page, pages

PAGES = pages()
SHELL = ("sh", "shell", "bash", "")


@pytest.mark.parametrize("one", PAGES, ids=str)
def test_every_relative_link_resolves(one: Page) -> None:
    lost = []
    for link in one.links():
        path, _, anchor = link.partition("#")
        target = (one.path.parent / path).resolve() if path else one.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors()):
            lost.append(link)
    assert lost == []


def manifests(one: Page, *kinds: str) -> list[dict[str, object]]:
    """The objects of these kinds that the page shows; KafkaConsumerScalers unless others are named."""
    documents = [document for block in one.blocks("yaml", "yml") for document in yaml.safe_load_all(block)]
    return [each for each in documents if isinstance(each, dict) and each.get("kind") in (kinds or (KIND,))]


@pytest.mark.parametrize("one", [one for one in PAGES if manifests(one)], ids=str)
def test_every_manifest_shown_is_accepted(one: Page) -> None:
    for manifest in manifests(one):
        assert scaler_in(yaml.safe_dump(manifest)).name


def test_every_connection_shown_is_accepted() -> None:
    shown = [each for one in PAGES for each in manifests(one, *ConnectionKind)]
    assert {each["kind"] for each in shown} == set(ConnectionKind)
    for each in shown:
        assert parse_connection(ConnectionKind(str(each["kind"])), each).bootstrap_servers


def test_the_readme_shows_the_sample_manifest() -> None:
    (shown,) = manifests(page("README.md"))
    assert shown == yaml.safe_load((ROOT / "deploy" / "sample.yaml").read_text())
    assert KafkaConsumerScaler.parse(shown, strict=True).policy() == Policy(max_replicas=12)


def commands(one: Page) -> list[list[str]]:
    """The command lines of the shell blocks, without prompts; continued lines are one."""
    lines = "\n".join(one.blocks(*SHELL)).replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.strip() and "'" not in line]


def named_after(program: str) -> set[str]:
    """The words that follow the program's name in a command, or in `code` of the prose, on any page."""
    shown = {words[1] for one in PAGES for words in commands(one) if len(words) > 1 and words[0].endswith(program)}
    prose = re.compile(rf"`{program} ([a-z][a-z-]*)")
    told = {word for one in PAGES for word in prose.findall(one.text)}
    return {word for word in shown if not word.startswith("-")} | told


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = named_after("make")
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_every_verb_of_the_command_line_named_exists() -> None:
    verbs = set(reference.verbs())
    named = named_after("kafka-consumer-scaler")
    assert "run" in named
    assert named - verbs == set()


def test_every_module_that_is_run_with_python_exists() -> None:
    named = {name for one in PAGES for name in re.findall(r"python3? -m ([\w.]+)", one.text)}
    named -= {"venv", "pip", "http.server"}
    there = [ROOT / folder / name.replace(".", "/") for name in named for folder in ("", "operator")]
    found = [path for path in there if path.with_suffix(".py").exists() or (path / "__main__.py").exists()]
    assert len(found) == len(named) > 0


def test_the_readme_installs_the_chart_that_is_here() -> None:
    charts = [words[3] for words in commands(page("README.md")) if words[:2] == ["helm", "install"]]
    assert charts
    assert all((ROOT / chart / "Chart.yaml").is_file() for chart in charts)


def test_the_architecture_names_every_room_and_every_contract() -> None:
    text = page("docs/architecture.md").text
    rooms = [path.parent.name for path in (ROOT / "operator/kafka_consumer_scaler").glob("*/__init__.py")]
    assert {"core", "control"} <= set(rooms)
    assert [room for room in rooms if f"| `{room}/` |" not in text] == []
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert [contract["name"] for contract in contracts if f". {contract['name']}\n" not in text] == []


def test_the_picture_of_the_architecture_shows_every_room_and_every_stage_of_the_core() -> None:
    picture = (ROOT / "docs/pictures/architecture.svg").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [module for contract in contracts[:2] for layer in contract["layers"] for module in layer.split(" | ")]
    names = {module.rpartition(".")[2] for module in layers}
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", picture)] == []


def test_every_stage_of_the_core_and_every_piece_of_the_memory_is_on_the_architecture_page() -> None:
    text = page("docs/architecture.md").text
    stages = {path.stem for path in (ROOT / "operator/kafka_consumer_scaler/core").glob("*.py")} - {"__init__"}
    pieces = {to_camel(field.name) for field in fields(Memory)}
    for heading, named in (("The stages of the core", stages), ("The memory in the status", pieces)):
        section = re.split(rf"^##+ {heading}$", text, flags=re.MULTILINE)[1].split("\n#", 1)[0]
        cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        assert {word for cell in cells for word in re.findall(r"`(\w+)`", cell)} == named


def names_of_tests() -> set[str]:
    tests = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in tests for name in re.findall(r"def (test_\w+)\(", text)}


@pytest.mark.parametrize(("path", "at_least"), [("docs/reliability.md", 50), ("docs/threat-model.md", 30)])
def test_every_test_that_a_page_of_proofs_names_exists(path: str, at_least: int) -> None:
    named = set(re.findall(r"`(test_\w+)`", page(path).text))
    assert len(named) > at_least
    assert named - names_of_tests() == set()


def values_of(chart: Mapping[str, Any], above: str = "") -> set[str]:
    """The dotted names of a chart's values."""
    below = (values_of(value, f"{above}{name}.") for name, value in chart.items() if isinstance(value, Mapping))
    return {above + name for name in chart}.union(*below)


PLAIN_WORDS = {"repr", "uid", "get", "list", "pods"}
"""What the pages of security quote besides names of ours."""


@pytest.mark.parametrize("path", ["SECURITY.md", "docs/threat-model.md"])
def test_every_setting_field_and_reason_that_a_page_of_security_names_exists(path: str) -> None:
    values = values_of(yaml.safe_load((ROOT / "charts/kafka-consumer-scaler/values.yaml").read_text()))
    fields_of_ours = set(re.findall(r"^ +(\w+):", (ROOT / "deploy/crd.yaml").read_text(), re.MULTILINE))
    arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`([A-Za-z][\w.]+)`", page(path).text)) - names_of_tests() - PLAIN_WORDS
    assert named & values
    lost = {name for name in named - values - arguments - set(Reason) if set(name.split(".")) - fields_of_ours}
    assert lost == set()


def test_every_row_of_the_faults_is_on_the_reliability_page_in_its_order_and_has_a_test() -> None:
    rows = re.findall(r"^\| ([KAB]\d\d?) \|.*$", page("docs/reliability.md").text, re.MULTILINE)
    letters = {"K": range(1, 31), "A": range(31, 54), "B": range(54, 63)}
    assert rows == [f"{letter}{number}" for letter, numbers in letters.items() for number in numbers]
    lines = [line for line in page("docs/reliability.md").text.splitlines() if re.match(r"\| [KAB]\d", line)]
    assert [line for line in lines if "`test_" not in line] == []


def test_every_decision_is_dated_and_in_the_index() -> None:
    index = page("docs/decisions/README.md").text
    decisions = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert len(decisions) >= 10
    for number, path in enumerate(decisions, start=1):
        title, _, date = path.read_text().splitlines()[:3]
        assert title.startswith(f"# {number:04} ")
        assert f"| [{number:04}]({path.name}) | {title.removeprefix(f'# {number:04} ')} |" in index
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)


@pytest.mark.parametrize("index", [one for one in PAGES if one.path.name == "README.md" and "docs" in one.path.parts],
                         ids=str)
def test_every_page_of_the_documentation_is_in_its_index(index: Page) -> None:
    """A folder that has an index of its own needs no more than that in the index above."""
    with_an_index = {one.path.parent for one in PAGES if one.path.name == "README.md"}
    linked = {(index.path.parent / link).resolve() for link in index.links()}
    below = {one.path for one in PAGES if index.path.parent in one.path.parents}
    there = {path for path in below if next(folder for folder in path.parents if folder in with_an_index)
             == index.path.parent or path.name == "README.md"}
    assert there - linked - {index.path} == set()
