"""etcd and an API server whose audit log tells of every write, and who made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.faults.layout import API_PORT, ETCD_PEER_PORT, ETCD_PORT, HOST, Layout
from tests.faults.programs import Program

KINDS = ["deployments", "deployments/scale", "kafkaconsumerscalers", "kafkaconsumerscalers/status", "events", "leases"]
GROUPS = ("apps", "kafka-consumer-scaler.dev", "events.k8s.io", "coordination.k8s.io")


def programs(layout: Layout) -> dict[str, Program]:
    """etcd and the API server, not yet started."""
    return {"etcd": _etcd(layout), "kube-apiserver": _api_server(layout)}


def _etcd(layout: Layout) -> Program:
    address, peers = f"http://{HOST}:{ETCD_PORT}", f"http://{HOST}:{ETCD_PEER_PORT}"
    return _program(layout, "etcd", {
        "data-dir": layout.folder / "etcd", "unsafe-no-fsync": "true", "listen-client-urls": address,
        "advertise-client-urls": address, "listen-peer-urls": peers, "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}", "log-level": "warn",
    })  # fmt: skip


def _api_server(layout: Layout) -> Program:
    pki = layout.pki
    return _program(layout, "kube-apiserver", {
        "bind-address": HOST, "advertise-address": "10.0.0.1", "secure-port": API_PORT,
        "endpoint-reconciler-type": "none", "etcd-servers": f"http://{HOST}:{ETCD_PORT}",
        "authorization-mode": "RBAC", "client-ca-file": pki / "ca.crt", "service-cluster-ip-range": "10.96.0.0/16",
        "disable-admission-plugins": "ServiceAccount",
        "tls-cert-file": pki / "kube-apiserver.crt", "tls-private-key-file": pki / "kube-apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc", "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key", "shutdown-delay-duration": "0s",
        "audit-policy-file": _policy(layout), "audit-log-path": layout.audit_log, "audit-log-mode": "blocking",
    })  # fmt: skip


def _policy(layout: Layout) -> Path:
    written = {"level": "RequestResponse", "verbs": ["create", "update", "patch", "delete"],
               "resources": [{"group": group, "resources": KINDS} for group in GROUPS]}
    policy: dict[str, Any] = {
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [written, {"level": "None"}],
    }
    file = layout.folder / "audit-policy.json"
    file.write_text(json.dumps(policy))
    return file


def _program(layout: Layout, name: str, flags: dict[str, str | int | Path]) -> Program:
    argv = (str(layout.parts.kubernetes / name), *(f"--{flag}={value}" for flag, value in flags.items()))
    return Program(name, argv, layout.log(name))
