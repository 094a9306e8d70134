"""The replicas of a scaled workload that is applied again: the table of docs/guides/gitops.md, on a real API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kafka_consumer_scaler.kube.client import FIELD_MANAGER
from tests.conftest import Client
from tests.docs.pages import page

pytestmark = pytest.mark.cluster

ROWS = page("docs/guides/gitops.md").table("replicas")[1:]
NAMED, SCALED = 3, 5


def manifest(replicas: int | None) -> dict[str, Any]:
    """A Deployment whose pods fit on no node."""
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": "orders"}},
        "template": {
            "metadata": {"labels": {"app": "orders"}},
            "spec": {"nodeSelector": {"there": "is-none"}, "containers": [{"name": "consumer", "image": "none:1"}]},
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "orders"},
            "spec": spec | ({} if replicas is None else {"replicas": replicas})}


class Applier:
    """Someone who applies the Deployment, with `kubectl apply` and options."""

    def __init__(self, kubectl: Client, namespace: str, options: list[str]) -> None:
        self.kubectl, self.namespace, self.options = kubectl, namespace, options

    def apply(self, replicas: int | None) -> str:
        """What kubectl complained of."""
        text = json.dumps(manifest(replicas))
        return self.kubectl("apply", "-n", self.namespace, *self.options, "-f", "-", stdin=text, check=False).stderr

    def scale(self) -> None:
        """As the operator does: a merge patch of the scale subresource under its own name."""
        self.kubectl("patch", "deployment", "orders", "-n", self.namespace, "--subresource=scale", "--type=merge",
                     f"--field-manager={FIELD_MANAGER}", "--patch", json.dumps({"spec": {"replicas": SCALED}}))

    def forget(self, folder: Path) -> None:
        """The manifest without replicas becomes what was applied last."""
        file = folder / "deployment.json"
        file.write_text(json.dumps(manifest(None)))
        self.kubectl("apply", "set-last-applied", "-n", self.namespace, "-f", str(file))

    def replicas(self) -> int:
        found = self.kubectl("get", "deployment", "orders", "-n", self.namespace, "-o", "jsonpath={.spec.replicas}")
        return int(found.stdout)


@pytest.mark.parametrize(("command", "then", "left"), ROWS)
def test_the_replicas_after_another_apply_are_as_tabulated(
    command: str, then: str, left: str, kubectl: Client, namespace: str, tmp_path: Path,
) -> None:
    applier = Applier(kubectl, namespace, [word for word in command.strip("`").split() if word.startswith("--")])
    applier.apply(NAMED)
    applier.scale()
    if "set-last-applied" in then:
        applier.forget(tmp_path)
    said = applier.apply(NAMED if f"`replicas: {NAMED}`" in then else None)
    assert applier.replicas() == int(left)
    is_refused = applier.options == ["--server-side"] and f"replicas: {NAMED}" in then
    assert (f'conflict with "{FIELD_MANAGER}"' in said) == is_refused, said


def test_a_field_that_only_the_applier_set_goes_with_the_applier(kubectl: Client, namespace: str) -> None:
    applier = Applier(kubectl, namespace, ["--server-side"])
    applier.apply(NAMED)
    applier.apply(None)
    assert applier.replicas() == 1
