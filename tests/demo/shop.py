"""The demo's things in the cluster: put there, looked at, and taken away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.demo import scene
from tests.demo.failure import DemoFailed
from tests.environment import EnvironmentFailed
from tests.environment.tools import Tools

KINDS = ("kafkaconsumerscalers", "kafkaconnections", "clusterkafkaconnections")
DEFINITIONS = tuple(f"{kind}.kafka-consumer-scaler.dev" for kind in KINDS)
DEFINITION = DEFINITIONS[0]
OPERATOR_LABEL = "app.kubernetes.io/name=kafka-consumer-scaler"
NAMESPACES = (scene.OPERATOR_NAMESPACE, scene.NAMESPACE)


@dataclass(frozen=True)
class Shop:
    """The operator's release, the consumers and their scaler."""

    tools: Tools

    def has_leftover(self) -> bool:
        """Whether an interrupted demo left its namespaces. Raises DemoFailed when they are somebody else's."""
        found = [self._found("namespace", name) for name in NAMESPACES]
        for namespace in filter(None, found):
            if namespace["metadata"].get("labels", {}).get(scene.MARK) != "true":
                name = namespace["metadata"]["name"]
                raise DemoFailed(f"the cluster has a namespace {name} that is not the demo's: it is left alone")
        return any(found)

    def make_namespaces(self) -> None:
        for name in NAMESPACES:
            self.tools.kubectl("apply", "-f", "-", stdin=scene.namespace(name))

    def install(self, image: str) -> None:
        """The chart, for the demo's namespace only, so that an operator of the cluster's own and ours do not meet."""
        repository, _, tag = image.rpartition(":")
        values = (
            f"image.repository={repository}",
            f"image.tag={tag}",
            "logFormat=text",
            f"watchNamespaces={{{scene.NAMESPACE}}}",
            f"crd.install={json.dumps(self._may_install_definition())}",
        )
        where = ("--namespace", scene.OPERATOR_NAMESPACE)
        self.tools.helm("install", scene.RELEASE, str(scene.CHART), *where, *(f"--set={value}" for value in values))
        self.tools.kubectl("rollout", "status", "deployment", "-l", OPERATOR_LABEL, *where, "--timeout=90s")

    def start_consumers(self, image: str, bootstrap_servers: str) -> None:
        where = ("--namespace", scene.NAMESPACE)
        self.tools.kubectl("apply", "-f", "-", stdin=scene.consumer(image, bootstrap_servers))
        self.tools.kubectl("rollout", "status", f"deployment/{scene.DEPLOYMENT}", *where, "--timeout=90s")

    def last_log_lines(self, lines: int = 15) -> str:
        """The end of the operator's log, or nothing."""
        try:
            return self.tools.kubectl(
                "logs", "--namespace", scene.OPERATOR_NAMESPACE, "-l", OPERATOR_LABEL, f"--tail={lines}"
            )
        except EnvironmentFailed:
            return ""

    def uninstall(self) -> None:
        """End the operator and the consumers; returns when they are gone. What is not there is no error."""
        here, there = ("--namespace", scene.OPERATOR_NAMESPACE), ("--namespace", scene.NAMESPACE)
        self.tools.helm("uninstall", scene.RELEASE, *here, "--ignore-not-found", "--wait")
        ending = ("--ignore-not-found", "--cascade=foreground", "--timeout=60s")
        self.tools.kubectl("delete", "deployment", scene.DEPLOYMENT, *there, *ending)

    def remove_namespaces(self) -> None:
        """With all that is left in them, and the definition if it is ours and nobody else uses it."""
        self.tools.kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", "--timeout=120s")
        if self._definition_is_ours() and not self._items(",".join(KINDS), "--all-namespaces"):
            self.tools.kubectl("delete", "crd", *DEFINITIONS, "--ignore-not-found")

    def _may_install_definition(self) -> bool:
        return self._found("crd", DEFINITION) is None or self._definition_is_ours()

    def _definition_is_ours(self) -> bool:
        """Helm keeps the definition; it is the demo's when the demo's release made it."""
        annotations = (self._found("crd", DEFINITION) or {"metadata": {}})["metadata"].get("annotations", {})
        release = tuple(annotations.get(f"meta.helm.sh/release-{what}") for what in ("namespace", "name"))
        return release == (scene.OPERATOR_NAMESPACE, scene.RELEASE)

    def _found(self, kind: str, name: str) -> dict[str, Any] | None:
        text = self.tools.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def _items(self, *words: str) -> list[Any]:
        items: list[Any] = json.loads(self.tools.kubectl("get", *words, "-o", "json"))["items"]
        return items
