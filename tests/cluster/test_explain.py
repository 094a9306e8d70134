"""`explain` against the real API server, as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafka_consumer_scaler.api.memory import memory_to_status
from kafka_consumer_scaler.core.memory import Peak
from tests.api.test_memory import FULL
from tests.api.test_memory import NOW as REMEMBERED_AT
from tests.cli.html import PageOf
from tests.cli.standings import EXPLANATION, HOT, STATUS
from tests.cluster.workload import Client
from tests.environment import Environment
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("custom_resource_definition", "no_installed_operator")]
"""An operator would write a status of its own over the one that is shown here."""

EVERY_SECONDS = 0.5
DESCRIBED_LINES = 90
"""A status with a finding and a whole explanation has 83, of which the memory is one."""
SCRIPTS = Path(sys.executable).parent
Explain = Callable[..., "subprocess.CompletedProcess[str]"]

RESOURCE: dict[str, Any] = {
    "apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConsumerScaler", "metadata": {"name": "orders"},
    "spec": {"scaleTargetRef": {"name": "orders-consumer"}, "kafka": {"bootstrapServers": "kafka:9092"},
             "consumerGroup": "orders", "maxReplicas": 12},
}
TARGET: dict[str, Any] = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "orders-consumer"},
    "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "orders"}}, "template": {
        "metadata": {"labels": {"app": "orders"}},
        "spec": {"nodeSelector": {"there-is": "no-such-node"}, "containers": [{"name": "c", "image": "none"}]}}},
}


@pytest.fixture
def orders(kubectl: Client, namespace: str) -> str:
    """The namespace of a resource with a status, two events, and a target of 4 replicas that never run."""
    for manifest in (TARGET, RESOURCE):
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
    write_status(kubectl, namespace, STATUS)
    for minute, (reason, kind, note) in enumerate(
        [("HotPartition", "Warning", HOT), ("ScaledUp", "Normal", STATUS["lastDecision"])]
    ):
        post_event(kubectl, namespace, f"2030-01-02T03:0{minute}:00.000000Z", reason, kind, note)
    eventually(lambda: kubectl("get", "deployment", "orders-consumer", "-n", namespace, "-o",
                               "jsonpath={.status.replicas}").stdout == "4", what="4 pods that wait")
    return namespace


def post_event(kubectl: Client, namespace: str, at: str, reason: str, kind: str, note: str) -> None:
    uid = kubectl("get", "kcs", "orders", "-n", namespace, "-o", "jsonpath={.metadata.uid}").stdout
    regarding = {"apiVersion": RESOURCE["apiVersion"], "kind": RESOURCE["kind"], "namespace": namespace,
                 "name": "orders", "uid": uid}
    kubectl("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": f"orders.{reason.lower()}", "namespace": namespace}, "eventTime": at, "type": kind,
        "reason": reason, "note": note, "action": "Scaling", "regarding": regarding,
        "reportingController": "kafka-consumer-scaler.dev/operator", "reportingInstance": "test",
    }))


def write_status(kubectl: Client, namespace: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    kubectl("patch", "kcs", "orders", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)


@pytest.fixture
def explain(environment: Environment) -> Explain:
    """Runs the command with the cluster's kubeconfig."""
    return lambda *words, kubeconfig=environment.kubeconfig, program="kafka-consumer-scaler": subprocess.run(
        [SCRIPTS / program, "explain", *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)})


def test_the_resource_its_target_and_its_events_are_told(explain: Explain, orders: str) -> None:
    done = explain(f"{orders}/orders")
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *_ = done.stdout.splitlines()
    assert first == (f"{orders}/orders: Behind - lag 12,400 records, growing; oldest 95 s of 60 s allowed; "
                     "replicas 4 -> 6 (1 to 12)")
    assert second == STATUS["lastDecision"]
    for words in (*EXPLANATION["why"], *EXPLANATION["otherwise"], "docs/runbooks/hot-partition.md"):
        assert words in done.stdout
    events = done.stdout.split("Last events\n")[1]
    assert events.index("ScaledUp") < events.index("HotPartition")


def test_kubectl_describe_shows_it_before_a_screenful_is_over(kubectl: Client, orders: str) -> None:
    peaks = tuple(Peak(REMEMBERED_AT - seconds, 350.5) for seconds in range(60))
    write_status(kubectl, orders, {"memory": memory_to_status(replace(FULL, peaks=peaks))})
    described = kubectl("describe", "kcs", "orders", "-n", orders).stdout.splitlines()
    status = described[described.index("Status:") + 1:][:DESCRIBED_LINES]
    shown = {line.strip().partition(":")[0] for line in status if re.match("  [A-Z]", line)}
    assert {"Backlog", "Conditions", "Lag", "Last Decision", "Partitions", "Rates"} <= shown
    assert [line[:10] for line in described if len(line) > 1024] == ["  Memory: "]


def test_json_is_the_whole_and_the_report_is_one_file(explain: Explain, orders: str, tmp_path: Path) -> None:
    report = tmp_path / "orders.html"
    done = explain("orders", "-n", orders, "-o", "json", "--html", str(report))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["explanation"] == EXPLANATION
    assert found["replicas"] == {"current": 4, "existing": 4, "desired": 6, "minimum": 1, "maximum": 12}
    assert [event["reason"] for event in found["events"]] == ["ScaledUp", "HotPartition"]
    assert found["written"] <= found["asked"]
    page = PageOf(report.read_text())
    assert page.remote() == []
    assert STATUS["lastDecision"] in page.text


def test_kubectl_finds_it_as_a_plugin(environment: Environment, orders: str) -> None:
    paths = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    variables = {**os.environ, "KUBECONFIG": str(environment.kubeconfig), "PATH": paths}
    words = [str(environment.kubectl), "kcs", "explain", f"{orders}/orders"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{orders}/orders: Behind")
    missing = subprocess.run([*words[:-1], f"{orders}/none"], capture_output=True, text=True, env=variables,
                             timeout=PATIENCE_SECONDS)
    assert missing.returncode == 1
    assert missing.stderr.startswith("kubectl kcs explain: there is no KafkaConsumerScaler none in namespace")


def test_the_namespace_is_that_of_the_context_unless_one_is_named(
    explain: Explain, environment: Environment, orders: str, tmp_path: Path
) -> None:
    config = yaml.safe_load(environment.kubeconfig.read_text())
    current = next(each for each in config["contexts"] if each["name"] == config["current-context"])
    config["contexts"].append({"name": "there", "context": {**current["context"], "namespace": orders}})
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    named = ("--kubeconfig", str(tmp_path / "config"), "--context", "there")
    assert explain("orders", *named).stdout.startswith(f"{orders}/orders: ")
    absent = explain("orders", *named, "-n", "default")
    assert (absent.returncode, absent.stdout) == (1, "")
    said = "kafka-consumer-scaler explain: there is no KafkaConsumerScaler orders in namespace default\n"
    assert absent.stderr == said


def rights(kubectl: Client, environment: Environment, namespace: str, folder: Path, *may: str) -> Path:
    """A kubeconfig of an account that may only `get` what is named."""
    kubectl("create", "serviceaccount", "reader", "-n", namespace)
    if may:
        kubectl("create", "role", "reader", "-n", namespace, "--verb=get", *(f"--resource={each}" for each in may))
        kubectl("create", "rolebinding", "reader", "-n", namespace, "--role=reader",
                f"--serviceaccount={namespace}:reader")
    config = yaml.safe_load(environment.kubeconfig.read_text())
    token = kubectl("create", "token", "reader", "-n", namespace).stdout.strip()
    for each in config["users"]:
        each["user"] = {"token": token}
    path = folder / "reader"
    path.write_text(yaml.safe_dump(config))
    return path


def test_who_may_not_read_it_is_told_in_one_line(
    explain: Explain, environment: Environment, kubectl: Client, orders: str, tmp_path: Path
) -> None:
    done = explain(f"{orders}/orders", kubeconfig=rights(kubectl, environment, orders, tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "is forbidden" in done.stderr


def test_who_may_read_the_resource_alone_gets_what_it_says(
    explain: Explain, environment: Environment, kubectl: Client, orders: str, tmp_path: Path
) -> None:
    reader = rights(kubectl, environment, orders, tmp_path, "kafkaconsumerscalers.kafka-consumer-scaler.dev")
    done = eventually(lambda: (one := explain(f"{orders}/orders", kubeconfig=reader)).returncode == 0 and one)
    assert "Could not read its target's replicas: you may not read the scale of Deployment" in done.stdout
    assert "Could not read its events: " in done.stdout
    assert EXPLANATION["why"][0] in done.stdout


class Watching:
    """`explain --watch`, on a terminal or piped; `seen` is what it has printed."""

    def __init__(self, kubeconfig: Path, name: str, terminal: bool) -> None:
        variables = {**os.environ, "KUBECONFIG": str(kubeconfig), "TERM": "xterm", "COLUMNS": "200", "LINES": "60"}
        self._reading, writing = pty.openpty() if terminal else os.pipe()
        os.set_blocking(self._reading, False)
        self.seen = ""
        self.process = subprocess.Popen([SCRIPTS / "kafka-consumer-scaler", "explain", name, "--watch",
                                         str(EVERY_SECONDS)],
                                        stdout=writing, stderr=subprocess.PIPE, env=variables)
        os.close(writing)

    def read(self) -> str:
        try:
            while part := os.read(self._reading, 65536):
                self.seen += part.decode(errors="replace")
        except OSError:  # nothing more for now, or the other end of a terminal was closed
            pass
        return self.seen

    def ended(self) -> tuple[int, bytes]:
        """Exit code and last words."""
        _, said = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.read()
        os.close(self._reading)
        return self.process.returncode, said

    def interrupted(self) -> tuple[int, bytes]:
        """Exit code and last words after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()


@pytest.mark.parametrize("terminal", [False, True])
def test_watching_shows_each_change_and_ends_in_order(
    environment: Environment, kubectl: Client, orders: str, terminal: bool
) -> None:
    watching = Watching(environment.kubeconfig, f"{orders}/orders", terminal)
    eventually(lambda: "Behind" in watching.read(), what="the first view")
    time.sleep(3 * EVERY_SECONDS)  # it asks again, finds no change, and prints nothing: waiting less would hide a fault
    first = watching.read()
    write_status(kubectl, orders, {"backlog": "Draining", "lag": {"records": 77}})
    eventually(lambda: "Draining" in watching.read(), what="the second view")
    code, said = watching.interrupted()
    assert (code, said) == (0, b"")
    if terminal:
        assert watching.seen.endswith("\n")
        assert watching.seen.count("\x1b[?1049h") == watching.seen.count("\x1b[?1049l") == 1
    else:
        assert first.count(f"{orders}/orders: ") == 1
        assert watching.seen.count(f"{orders}/orders: ") == 2


def test_a_resource_that_is_deleted_ends_the_watch(environment: Environment, kubectl: Client, orders: str) -> None:
    watching = Watching(environment.kubeconfig, f"{orders}/orders", terminal=False)
    eventually(lambda: "Behind" in watching.read(), what="the first view")
    kubectl("delete", "kcs", "orders", "-n", orders)
    code, said = watching.ended()
    assert code == 1
    assert b"there is no KafkaConsumerScaler orders" in said
