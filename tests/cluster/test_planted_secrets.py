"""No value of a Secret comes to light: the operator fails in every way, and all that it says is searched."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.workload import Client
from tests.environment import Environment
from tests.planted import Planted
from tests.ports import reserved_port
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_installed_operator")]

TLS_FRAME = "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n"
REF = {"name": "kafka-user", "key": "password"}
NOWHERE = "127.0.0.1:9"


@dataclass(frozen=True)
class Case:
    """A way to fail: what the resource says of its cluster, what its Secrets hold, and the reasons that may be told."""

    kafka: Mapping[str, Any]
    secrets: Mapping[str, Mapping[str, str]]
    reasons: frozenset[str]


def scram(servers: str, secret: str, **more: Any) -> dict[str, Any]:
    sasl = {"mechanism": "SCRAM-SHA-512", "username": "orders", "passwordSecretRef": REF | {"name": secret}}
    return {"bootstrapServers": servers, "sasl": sasl, **more}


def by_token(secret: str, endpoint: str) -> dict[str, Any]:
    oauth = {"tokenEndpoint": endpoint, "clientId": "orders", "clientSecretRef": REF | {"name": secret}}
    return {"bootstrapServers": NOWHERE, "tls": {}, "sasl": {"mechanism": "OAUTHBEARER", "oauth": oauth}}


def cases(planted: Planted, servers: str, certificate: str) -> dict[str, Case]:
    """Every way to fail that can be had without a secured broker."""
    junk = TLS_FRAME.format("CERTIFICATE", base64.b64encode(planted.new().encode()).decode())
    key = TLS_FRAME.format("PRIVATE KEY", planted.new())
    unreachable = frozenset({"BrokersUnreachable", "TlsFailed", "AuthenticationFailed", "IdentityProviderUnreachable",
                             "MetricsUnavailable"})  # fmt: skip
    invalid = frozenset({"SecretInvalid"})
    return {
        "nobody-listens": Case(scram(NOWHERE, "a"), {"a": {"password": planted.new()}}, unreachable),
        "not-what-it-expects": Case(
            scram(servers, "b", tls={}), {"b": {"password": planted.new()}}, unreachable | {"TopicNotFound"}),
        "two-lines": Case(scram(NOWHERE, "c"), {"c": {"password": planted.new("a\n{}")}}, invalid),
        "no-certificate": Case(
            {"bootstrapServers": NOWHERE, "tls": {"caSecretRef": {"name": "d"}}}, {"d": {"ca.crt": planted.new()}},
            invalid),
        "junk-in-a-frame": Case(
            {"bootstrapServers": NOWHERE, "tls": {"caSecretRef": {"name": "e"}}}, {"e": {"ca.crt": junk}}, invalid),
        "no-key": Case(
            {"bootstrapServers": NOWHERE, "tls": {"certificateSecretRef": {"name": "f"}}},
            {"f": {"tls.crt": certificate, "tls.key": key}}, invalid),
        "another-key": Case(scram(NOWHERE, "g"), {"g": {"passwort": planted.new()}}, frozenset({"SecretNotFound"})),
        "no-identity-provider": Case(
            by_token("h", "https://127.0.0.1:9/token"), {"h": {"password": planted.new()}}, unreachable),
        "not-permitted": Case(
            scram("elsewhere:9092", "i"), {"i": {"password": planted.new()}}, frozenset({"NotPermitted"})),
    }


class Operator:
    """The operator as a process that tells as much as it can, and all that it said."""

    def __init__(self, environment: Environment, namespace: str, servers: str, log: Path) -> None:
        self.port, self.log = reserved_port(), log
        words = ("run", "--kubeconfig", str(environment.kubeconfig), "--namespace", namespace, "--log-level", "debug",
                 "--http-port", str(self.port), "--record-snapshots", "100", "--metrics-per-partition",
                 "--allowed-broker", "127.0.0.1", "--allowed-broker", servers)  # fmt: skip
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "dev", "-m", "kafka_consumer_scaler", *words], stdout=file, stderr=file)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def children(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in task.read_text().split()]

    def command_lines(self) -> str:
        """Arguments and environment of the operator and its children, which other processes may read."""
        files = (Path(f"/proc/{pid}/{file}") for pid in (self.process.pid, *self.children())
                 for file in ("cmdline", "environ"))  # fmt: skip
        return " ".join(file.read_bytes().decode(errors="replace") for file in files)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()


@pytest.fixture
def operator_process(
    environment: Environment, namespace: str, custom_resource_definition: None, tmp_path: Path,
) -> Iterator[Operator]:
    running = Operator(environment, namespace, environment.kafka_bootstrap_servers, tmp_path / "log")
    yield running
    running.process.kill()
    running.process.wait()


def make(kubectl: Client, namespace: str, name: str, case: Case) -> None:
    secrets = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(values)}
               for name, values in case.secrets.items()]  # fmt: skip
    spec = {"scaleTargetRef": {"name": name}, "kafka": case.kafka, "consumerGroup": name, "maxReplicas": 3,
            "topics": ["missing"], "pollingIntervalSeconds": 1}  # fmt: skip
    scaler = {"apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConsumerScaler",
              "metadata": {"name": name}, "spec": spec}  # fmt: skip
    objects = {"apiVersion": "v1", "kind": "List", "items": [*secrets, scaler]}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(objects))


def reasons(kubectl: Client, namespace: str) -> dict[str, str]:
    """The reason of MetricsAvailable of each resource."""
    items = json.loads(kubectl("get", "kcs", "-n", namespace, "-o", "json").stdout)["items"]
    told = {item["metadata"]["name"]: (item.get("status") or {}).get("conditions") or [] for item in items}
    return {name: each["reason"] for name, conditions in told.items() for each in conditions
            if each["type"] == "MetricsAvailable"}  # fmt: skip


def unexpected(kubectl: Client, namespace: str, failing: Mapping[str, Case]) -> dict[str, str]:
    """The resources that tell another reason than they may, or none yet."""
    told = reasons(kubectl, namespace)
    return {name: told.get(name, "") for name, case in failing.items() if told.get(name, "") not in case.reasons}


def test_no_planted_value_comes_to_light_whatever_fails(
    environment: Environment, operator_process: Operator, kubectl: Client, namespace: str, tmp_path: Path
) -> None:
    planted, certificate = Planted(), tmp_path / "tls.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=x", "-keyout", tmp_path / "tls.key", "-out", certificate], check=True,
                   capture_output=True)  # fmt: skip
    failing = cases(planted, environment.kafka_bootstrap_servers, certificate.read_text())
    for name, case in failing.items():
        make(kubectl, namespace, name, case)
    eventually(lambda: unexpected(kubectl, namespace, failing) == {}, what="all have told how they fare")

    lines = operator_process.command_lines()
    for child in operator_process.children():
        os.kill(child, signal.SIGKILL)  # what dies must not leave its request in the log
    eventually(lambda: "polling process" in operator_process.log.read_text(), what="the child's end was told")
    rotated = Case(scram(NOWHERE, "a"), {"a": {"password": planted.new()}}, frozenset())
    make(kubectl, namespace, "nobody-listens", rotated)
    eventually(lambda: "connection changed" in operator_process.log.read_text(), what="the rotation was seen")

    said = {
        "processes": lines,
        "metrics": operator_process.get("/metrics"),
        "looks": "".join(operator_process.get(f"/debug/scalers/{namespace}/{name}/snapshots") for name in failing),
        "resources": kubectl("get", "kcs", "-n", namespace, "-o", "json").stdout,
        "events": kubectl("get", "events", "-n", namespace, "-o", "json").stdout,
    }
    operator_process.stop()
    said["log"] = operator_process.log.read_text()
    assert all(len(text) > 100 for text in said.values()), "there was something to search"
    assert "debug" in said["log"]
    assert {name: planted.found_in(text) for name, text in said.items() if planted.found_in(text)} == {}


def test_a_planted_value_would_be_found_in_every_form() -> None:
    planted = Planted()
    value = planted.new()
    for prefix in ("", "a", "ab", "abc", "\0orders\0"):
        for text in (f"{prefix}{value}", base64.b64encode(f"{prefix}{value} and more".encode()).decode()):
            assert planted.found_in(f"x{text}y") == [value], text
    assert planted.found_in(f"token={value.replace('&', '%26')}") == [value]
    assert planted.found_in("planted&") == []
