"""Manifests as Helm and kustomize render them, without a cluster."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "kafka-consumer-scaler"
DEPLOY = REPOSITORY / "deploy"
RELEASE = "kafka-consumer-scaler"

Manifest = dict[str, Any]


def run(binary: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a client; what it says is in the answer, whether it worked in its return code."""
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)


def template(helm: Path, *arguments: str, release: str = RELEASE, namespace: str = RELEASE) -> list[Manifest]:
    """What a release would install, its test hook included. Fails the test with Helm's own words."""
    done = run(helm, "template", release, CHART, "--namespace", namespace, *arguments)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def refusal(helm: Path, *arguments: str) -> str:
    """Helm's complaint about values; fails the test when it accepts them."""
    done = run(helm, "template", RELEASE, CHART, *arguments)
    assert done.returncode != 0, f"accepted: {' '.join(arguments)}"
    return done.stderr


def kustomize(kubectl: Path, folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    done = run(kubectl, "kustomize", folder)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(manifests: Iterable[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: Iterable[Manifest], kind: str) -> Manifest:
    """The only manifest of the kind."""
    (manifest,) = of_kind(manifests, kind)
    return manifest


def operator_rules(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The rules of the ClusterRole or Roles bound to the operator."""
    manifests = list(manifests)
    bindings = of_kind(manifests, "ClusterRoleBinding") + of_kind(manifests, "RoleBinding")
    bound = {binding["roleRef"]["name"] for binding in bindings}
    roles = of_kind(manifests, "ClusterRole") + of_kind(manifests, "Role")
    return [rule for role in roles if role["metadata"]["name"] in bound for rule in role["rules"]]


def project_version() -> str:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["version"])
