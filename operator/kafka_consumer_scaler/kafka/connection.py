"""How to reach one Kafka cluster: typed fields only, since librdkafka's properties can load code and read files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_ALWAYS: Mapping[str, Any] = {
    "client.id": "kafka-consumer-scaler",
    # Causes reach us by the error callback; the log would repeat each of them for every attempt.
    "log_level": 0,
    "log.connection.close": False,
    # A cluster that refuses us is asked at most once in 5 s for each broker, not twenty times a second.
    "reconnect.backoff.ms": 500,
    "reconnect.backoff.max.ms": 5000,
    "socket.keepalive.enable": True,
}


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of a cluster. Equal connections share one client.

    Args:
        bootstrap_servers: `host:port`, several separated by commas.
    """

    bootstrap_servers: str

    def as_librdkafka(self) -> dict[str, Any]:
        """The client's configuration properties."""
        return {**_ALWAYS, "bootstrap.servers": self.bootstrap_servers}

    def as_json(self) -> dict[str, Any]:
        """Plain values for the polling process; `from_json` is the way back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Connection:
        """The connection that `as_json` wrote."""
        return cls(**values)
