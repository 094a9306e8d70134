"""Commands, options and values that the pages show are there, and the pages made from the code are current."""

from __future__ import annotations

import json
import pkgutil
import re
import shlex
from collections.abc import Iterator

import pytest

from kafka_consumer_scaler import core
from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.api import reasons_reference
from kafka_consumer_scaler.api.crd import custom_resource_definition
from kafka_consumer_scaler.api.meanings import GROUPS, MEANINGS
from kafka_consumer_scaler.api.reference import fields
from kafka_consumer_scaler.cli import reference as commands_reference
from kafka_consumer_scaler.core.findings import RULES
from kafka_consumer_scaler.core.reasons import Reason
from tests.charts import values_reference
from tests.docs import core_reference, tuning_runs
from tests.docs.pages import ROOT, Page, page, pages

PROGRAM = "kafka-consumer-scaler"
ENDS = re.compile(r"\s(?:[|&;<>]|\d?>).*")
SHELL = ("sh", "shell", "bash", "")


def lines(one: Page) -> list[str]:
    """The command lines of the shell blocks; continued lines are one, what follows a pipe or `>` is left out."""
    text = "\n".join(one.blocks(*SHELL)).replace("\\\n", " ")
    return [ENDS.sub("", line.removeprefix("$ ").strip()) for line in text.splitlines()]


def shown(program: str) -> Iterator[tuple[Page, list[str]]]:
    """The words behind the program, wherever a page calls it."""
    for one in pages():
        for line in lines(one):
            if line.split(" ")[0].endswith(program):
                yield one, shlex.split(line, comments=True)[1:]


def calls() -> list[list[str]]:
    """Each `kafka-consumer-scaler VERB ...` and `kubectl kcs VERB ...` that the pages show."""
    ours = [words for _, words in shown(PROGRAM)]
    plugin = [words[1:] for _, words in shown("kubectl") if words[:1] == ["kcs"]]
    return [words for words in ours + plugin if words and not words[0].startswith("-") and "=" not in words[0]]


@pytest.mark.parametrize("words", calls(), ids=" ".join)
def test_every_command_shown_is_accepted_by_its_parser(words: list[str]) -> None:
    _, parser = commands_reference.verbs()[words[0]]
    parser.parse_args(words[1:])


def test_there_are_commands_to_look_at() -> None:
    assert {"run", "simulate", "replay"} <= {words[0] for words in calls()}


def test_the_files_of_the_repository_that_commands_name_are_there() -> None:
    words = [word for program in ("kubectl", "helm", "docker", "python", "pip") for _, words in shown(program)
             for word in words]
    ours = {word for word in words if re.match(r"(?:examples|deploy|charts|docs)/", word)}
    assert {"examples/consumer.yaml", "charts/kafka-consumer-scaler"} <= ours
    assert [word for word in ours if not (ROOT / word).exists()] == []


def set_in_helm() -> set[str]:
    """The keys of `--set`, in commands and in prose."""
    found = re.findall(r"--set(?:-string|-json)?[= ]([\w.\[\]]+)=", "".join(one.text for one in pages()))
    return {re.sub(r"\[\d+\]", "", key) for key in found}


def test_every_value_that_is_set_is_a_value_of_the_chart() -> None:
    known = {value.path for value in values_reference.values(values_reference.schema(), values_reference.defaults())}
    assert "image.repository" in set_in_helm()
    assert [key for key in set_in_helm() if not any(f"{key}.".startswith(f"{path}.") for path in known)] == []


# pages made from the code


def test_the_page_of_commands_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("KCS_HTTP_PORT", "1")
    assert page("docs/reference/commands.md").text == commands_reference.reference(), "make generate"


def test_the_page_of_commands_has_every_verb_and_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    text = page("docs/reference/commands.md").text
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    ([a-z][a-z-]*)", capsys.readouterr().out, re.MULTILINE)
    assert sorted(listed) == list(commands_reference.verbs())
    for verb, (_, parser) in commands_reference.verbs().items():
        section = text.split(f"\n## {verb}\n", 1)[1].split("\n## ", 1)[0]
        options = [option for action in commands_reference.actions(parser) for option in action.option_strings]
        assert [option for option in options if f"`{option}" not in section] == []


def test_the_page_of_reasons_is_current() -> None:
    assert page("docs/reference/reasons.md").text == reasons_reference.reference(), "make generate"


def test_the_page_of_the_core_is_current_and_has_every_stage() -> None:
    text = page("docs/reference/core.md").text
    assert text == core_reference.reference(), "make generate"
    files = {info.name for info in pkgutil.iter_modules(core.__path__)} - core_reference.WITH_A_PAGE
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == files


def test_every_reason_has_a_meaning_in_one_group() -> None:
    assert sorted(MEANINGS) == sorted(Reason)
    assert sum(len(words) for _, words in GROUPS) == len(MEANINGS)


def test_the_findings_are_in_the_order_of_their_urgency() -> None:
    found = [reason.name.lower() for reason in dict(GROUPS)[reasons_reference.FOUND]]
    found.remove("commit_beyond_end")  # is found while the lag is unknown, and no rule is asked
    assert found == [rule.__name__ for rule in RULES if rule.__name__ in found]


# tables of the guides


def test_every_column_of_the_resource_is_explained_at_the_start() -> None:
    version = custom_resource_definition()["spec"]["versions"][0]
    columns = [column["name"].upper() for column in version["additionalPrinterColumns"]]
    assert [row[0] for row in page("docs/start.md").table("columns")[1:]] == columns


@pytest.mark.parametrize("mark", ["keda trigger", "keda authentication", "keda object", "keda behavior"])
def test_what_a_field_of_keda_becomes_is_a_field_of_the_resource(mark: str) -> None:
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    known = {path.removeprefix("spec.") for path, _, _ in fields(schema, "spec")}
    told = [row[1] for row in page("docs/guides/from-keda.md").table(mark)[1:]]
    named = {name for cell in told for name in re.findall(r"`([^`]+)`", cell)}
    assert named
    assert named - known == set()


def test_every_setting_of_the_tuning_table_was_run() -> None:
    rows = page("docs/guides/tuning.md").table("tuning")[1:]
    assert [row[0].strip("`") for row in rows] == list(tuning_runs.SETTINGS)


def test_the_row_of_the_defaults_is_what_the_simulator_answers() -> None:
    assert tuning_runs.row(tuning_runs.SETTINGS[0]) in page("docs/guides/tuning.md").text, "tests.docs.tuning_runs"


def test_the_wishes_name_fields_that_exist() -> None:
    schema = json.dumps(custom_resource_definition())
    cells = re.findall(r"^\| [^|]+ \| ([^|]+) \|", page("docs/guides/tuning.md").text, re.MULTILINE)
    named = {word for cell in cells for word in re.findall(r"`([\w.]+)", cell) if "." in word}
    assert {"target.lagSeconds", "behavior.scaleUp.policies"} <= named
    assert [name for name in named if not all(f'"{part}"' in schema for part in name.split("."))] == []
