"""What the image is made of is pinned, hashed, listed, and can be asked about."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendering import REPOSITORY
from tests.charts.test_packaging import pins
from tests.supply.audit import NOT_LEARNED, SOUND, VULNERABLE, outcome_of, worst

LOCKS = [*sorted(REPOSITORY.glob("requirements*.lock")), *sorted(REPOSITORY.glob("examples/requirements*.lock"))]
RUNTIME = REPOSITORY / "requirements.lock"
PIN = re.compile(r"^([\w.-]+)==([\w.+!-]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
FORM = re.compile(r"[\w.-]+==[\w.+!-]+(?: ; [^\\#:/]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")
"""A pin as a lock has it: name, version, perhaps a condition, and hashes; so no address and no option fits in."""
JUDGED = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(REPOSITORY)))
def test_a_lock_is_nothing_but_versions_with_hashes_and_names_no_registry(lock: Path) -> None:
    rest = FORM.sub("", lock.read_text())
    assert rest.strip() == ""
    assert pins(lock) != {}


def test_there_is_a_lock_for_the_image_with_and_without_aws_its_build_its_development_and_the_examples() -> None:
    assert [lock.name for lock in LOCKS] == [
        "requirements-aws.lock", "requirements-build.lock", "requirements-dev.lock", "requirements.lock",
        "requirements-paced.lock", "requirements.lock"]


def test_the_development_lock_has_what_the_image_has() -> None:
    of_development = pins(REPOSITORY / "requirements-dev.lock")
    assert {name: pin for name, pin in pins(RUNTIME).items() if of_development.get(name) != pin} == {}


def test_the_image_with_aws_has_what_the_other_has_and_what_the_extra_names() -> None:
    plain, aws, development = (pins(REPOSITORY / f"requirements{name}.lock") for name in ("", "-aws", "-dev"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert {name: pin for name, pin in aws.items() if name not in plain} == {"awscrt": development["awscrt"]}
    assert {name: aws[name] for name in plain} == plain
    assert [need for need in project["optional-dependencies"]["aws"] if not need.startswith("awscrt")] == []


def test_an_extra_of_the_image_is_a_lock_that_the_build_gets() -> None:
    text, sent = (REPOSITORY / "Dockerfile").read_text(), (REPOSITORY / ".dockerignore").read_text().splitlines()
    build = text.partition("\nFROM ")[2].partition("\nFROM ")[0]
    assert re.findall(r"^ARG EXTRA$", build, re.MULTILINE) == ["ARG EXTRA"]
    assert '--require-hashes -r "requirements${EXTRA:+-$EXTRA}.lock"' in build
    copied = set(re.findall(r"requirements[\w-]*\.lock", build.partition("COPY ")[2].partition("\n")[0]))
    assert copied == {"requirements.lock", "requirements-aws.lock", "requirements-build.lock"}
    assert copied <= {line.removeprefix("!") for line in sent}


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "examples/Dockerfile"])
def test_an_image_installs_hashed_wheels_only_and_runs_as_nobody(dockerfile: str) -> None:
    text = (REPOSITORY / dockerfile).read_text()
    installs = re.findall(r"install (.*)", text)
    assert [line for line in installs if not ("--require-hashes -r" in line or line == "--no-deps dist/*.whl")] == []
    assert "PIP_ONLY_BINARY=:all:" in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["65532:65532"]
    assert re.findall(r"^ADD |curl|wget|apt-get", text, re.MULTILINE) == []


def test_the_bill_of_materials_lists_every_locked_package_with_its_version_and_hashes(tmp_path: Path) -> None:
    components = bill_of_materials(tmp_path)["components"]
    listed = {each["name"].lower(): (each["version"], hashes_of(each)) for each in components}
    text = RUNTIME.read_text()
    locked = {name.lower(): (version, set(HASH.findall(pins(RUNTIME)[name]))) for name, version in PIN.findall(text)}
    assert listed == locked


def test_an_audit_that_learned_nothing_is_not_a_sound_one() -> None:
    assert outcome_of("a.lock", None)[0] == NOT_LEARNED
    assert outcome_of("a.lock", {"dependencies": []})[0] == NOT_LEARNED
    assert outcome_of("a.lock", {"dependencies": [JUDGED, SKIPPED]}) == (
        NOT_LEARNED, ["a.lock: NOT AUDITED, no data could be had of 1 of 2 packages: c"])
    assert outcome_of("a.lock", {"dependencies": [JUDGED]})[0] == SOUND


def test_an_audit_names_what_is_vulnerable_and_where_it_is_fixed() -> None:
    code, lines = outcome_of("a.lock", {"dependencies": [JUDGED, FLAWED, SKIPPED]})
    assert code == VULNERABLE
    assert lines[0] == "a.lock: b 2: PYSEC-2026-1, fixed in 2.1"
    assert (worst([SOUND, NOT_LEARNED, VULNERABLE]), worst([SOUND, NOT_LEARNED]), worst([SOUND])) == (1, 3, 0)


def bill_of_materials(folder: Path) -> dict[str, Any]:
    """As `make sbom` writes it."""
    recipe = (REPOSITORY / "Makefile").read_text().partition("\nsbom:")[2].partition("\n\n")[0]
    options = recipe.partition("cyclonedx-py ")[2].replace("\\\n", " ").replace("dist/", f"{folder}/").split()
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), *options]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, env={"PYTHONWARNINGS": "ignore"})
    bill: dict[str, Any] = json.loads((folder / "sbom.cdx.json").read_text())
    return bill


def hashes_of(component: dict[str, Any]) -> set[str]:
    return {each["content"] for link in component["externalReferences"] for each in link.get("hashes", ())}
