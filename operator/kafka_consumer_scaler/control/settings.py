"""What the operator is told at its start, by flags or environment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kafka_consumer_scaler.control.allowances import Allowances, BadAllowance
from kafka_consumer_scaler.control.permissions import BadPattern, Pattern, Permissions, parse_all

RECORD_SNAPSHOTS_MAX = 10_000
CONNECTIONS_PER_NAMESPACE = 20
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class BadSettings(ValueError):
    """A setting cannot be used; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's settings.

    Args:
        namespaces: the namespaces to watch; empty means all of them.
        http_port: port of /healthz, /readyz and /metrics.
        kubeconfig: path of a kubeconfig; None means the pod's service account, else the default kubeconfig.
        instance: name of this instance in events; the pod's name.
        record_snapshots: looks at each resource that are kept for `replay`, 0 to 10,000; 0 keeps none.
        metrics_per_partition: whether lag is shown for each partition at /metrics, instead of each topic.
        own_namespace: where the operator runs; there are its Lease and the Secrets of ClusterKafkaConnections.
        lease_name: the Lease in `own_namespace` by which operators elect their leader; empty means there is only one.
        allowed_brokers: patterns of `host:port` that resources may name; empty means any.
        allowed_identity_providers: patterns of hosts that resources may ask for tokens; empty means any.
        connections_per_namespace: how many different Kafka connections the resources of one namespace may use.
        allow_aws_iam: whether resources may use the operator's own AWS identity.
        producer_quotas: which producers may be slowed down by whom, as JSON; empty means that no quota is ever set.
    """

    namespaces: tuple[str, ...] = ()
    http_port: int = 8080
    kubeconfig: str | None = None
    instance: str = "kafka-consumer-scaler"
    record_snapshots: int = 0
    metrics_per_partition: bool = False
    own_namespace: str = ""
    lease_name: str = ""
    allowed_brokers: tuple[str, ...] = ()
    allowed_identity_providers: tuple[str, ...] = ()
    connections_per_namespace: int = CONNECTIONS_PER_NAMESPACE
    allow_aws_iam: bool = False
    producer_quotas: str = ""

    def __post_init__(self) -> None:
        for namespace in self.namespaces:
            if not NAMESPACE.fullmatch(namespace):
                raise BadSettings(f"--namespace {namespace!r} is not a namespace's name")
        if not 0 < self.http_port < 65536:
            raise BadSettings(f"--http-port {self.http_port} is not between 1 and 65535")
        if not 0 <= self.record_snapshots <= RECORD_SNAPSHOTS_MAX:
            raise BadSettings(f"--record-snapshots {self.record_snapshots} is not between 0 and {RECORD_SNAPSHOTS_MAX}")
        if self.connections_per_namespace < 1:
            raise BadSettings(f"--connections-per-namespace {self.connections_per_namespace} is not at least 1")
        if self.lease_name and not self.own_namespace:
            raise BadSettings("--lease needs the operator's own namespace: set POD_NAMESPACE")
        self.permissions()
        self.allowances()

    def permissions(self) -> Permissions:
        """The rules for what resources ask for. Raises BadSettings."""
        return Permissions(
            brokers=_patterns("--allowed-broker", self.allowed_brokers),
            identity_providers=_patterns("--allowed-identity-provider", self.allowed_identity_providers),
            connections_per_namespace=self.connections_per_namespace,
            allow_aws_iam=self.allow_aws_iam,
        )

    def allowances(self) -> Allowances:
        """Whose producers may be slowed down. Raises BadSettings."""
        try:
            return Allowances.parse(self.producer_quotas)
        except BadAllowance as error:
            raise BadSettings(f"--producer-quotas {error}") from None


def _patterns(flag: str, patterns: Sequence[str]) -> tuple[Pattern, ...]:
    try:
        return parse_all(patterns)
    except BadPattern as error:
        raise BadSettings(f"{flag} {error}") from None
