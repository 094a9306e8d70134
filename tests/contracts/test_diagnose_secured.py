"""`diagnose` on a broker that asks for TLS and a password, with what kubectl prints of connection and Secrets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.kube_objects import Kubectl
from tests.contracts.secured_group import Asked
from tests.contracts.test_diagnose import COMMAND
from tests.planted import Planted
from tests.secured import SecuredBroker
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("custom_resource_definition")]


def manifests(broker: SecuredBroker, password: str) -> list[dict[str, Any]]:
    tls = {"caSecretRef": {"name": "kafka-ca"}}
    sasl = {"mechanism": "SCRAM-SHA-512", "username": "operator",
            "passwordSecretRef": {"name": "kafka-user", "key": "password"}}
    spec = {"bootstrapServers": broker.security.sasl_servers, "tls": tls, "sasl": sasl}
    return [
        {"apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConnection", "metadata": {"name": "shop"},
         "spec": spec},
        secret("kafka-ca", "ca.crt", broker.security.ca_pem),
        secret("kafka-user", "password", password),
    ]


def secret(name: str, key: str, value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}}


def as_kubectl_prints(kubectl: Kubectl, namespace: str, objects: list[dict[str, Any]]) -> str:
    applied = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=applied)
    words = ("kafkaconnection/shop", "secret/kafka-ca", "secret/kafka-user", "-n", namespace, "-o", "yaml")
    return kubectl("get", *words).stdout


def diagnose(asked: Asked, file: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    words = ["--connection", str(file), "--group", asked.group, "--for", "2s", "--every", "1s", "-o", "json"]
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS, input=stdin)


def test_what_kubectl_prints_is_a_way_in(
    broker: SecuredBroker, asked: Asked, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    password = broker.security.users["operator"]
    file = tmp_path / "connection.yaml"
    file.write_text(as_kubectl_prints(kubectl, namespace, manifests(broker, password)))
    done = diagnose(asked, file)
    found = json.loads(done.stdout)
    assert (found["lag"], found["bootstrapServers"]) == (7, broker.security.sasl_servers)
    assert Planted([password]).found_in(done.stdout + done.stderr) == []


def test_what_kubectl_prints_need_not_be_kept_in_a_file(
    broker: SecuredBroker, asked: Asked, kubectl: Kubectl, namespace: str
) -> None:
    printed = as_kubectl_prints(kubectl, namespace, manifests(broker, broker.security.users["operator"]))
    assert json.loads(diagnose(asked, "/dev/stdin", printed).stdout)["lag"] == 7


def test_a_refused_password_is_told_in_one_line_that_does_not_show_it(
    broker: SecuredBroker, asked: Asked, kubectl: Kubectl, namespace: str
) -> None:
    planted = Planted()
    done = diagnose(asked, "/dev/stdin", as_kubectl_prints(kubectl, namespace, manifests(broker, planted.new())))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "SASL authentication error" in done.stderr
    assert planted.found_in(done.stderr) == []
