"""Addresses and names of the world, which is alone in its network namespace: its ports are always the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.faults.parts import Parts

HOST = "127.0.0.1"
BROKERS = (1, 2, 3)
API_PORT, API_PROXY_PORT, ETCD_PORT, ETCD_PEER_PORT, TOXIPROXY_PORT = 6443, 7443, 2379, 2380, 8474
OPERATOR_GROUP = "operators"
NAMESPACE = "shop"
OPERATOR_NAMESPACE = "kafka-consumer-scaler"


def direct_port(broker: int) -> int:
    """Where consumers, producers and the other brokers reach it."""
    return 9090 + broker


def upstream_port(broker: int) -> int:
    """The listener behind the proxy; what it advertises is the proxy's port."""
    return 9190 + broker


def proxy_port(broker: int) -> int:
    """Where the operator reaches it."""
    return 9290 + broker


def controller_port(broker: int) -> int:
    """Its part in the metadata quorum."""
    return 9390 + broker


DIRECT_SERVERS = ",".join(f"{HOST}:{direct_port(broker)}" for broker in BROKERS)
PROXIED_SERVERS = ",".join(f"{HOST}:{proxy_port(broker)}" for broker in BROKERS)


@dataclass(frozen=True)
class Layout:
    """Where one world keeps its things."""

    folder: Path
    parts: Parts

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def log(self, name: str) -> Path:
        """The output of one program."""
        return self.folder / "logs" / f"{name}.log"
