"""How to reach one Kafka cluster: typed fields only, since librdkafka's properties can load code and read files.

Secrets' values are in here, so nothing here may be logged but the address: `repr` leaves the secrets out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
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


class Mechanism(StrEnum):
    """How to authenticate by SASL."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"
    AWS_MSK_IAM = "AWS_MSK_IAM"


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption, with the brokers' certificates and host names always verified.

    Args:
        ca_pem: certificates that are trusted; empty means the system's.
        certificate_pem: the client's certificate and its chain; empty means none.
        private_key_pem: the client's key, not encrypted; empty means none.
    """

    ca_pem: str = ""
    certificate_pem: str = ""
    private_key_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Oauth:
    """OIDC's client credentials grant.

    Args:
        token_endpoint: an https URL.
        ca_pem: certificates that are trusted at the endpoint; empty means the system's.
        extensions: SASL extensions, such as Confluent Cloud's `logicalCluster`.
    """

    token_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    ca_pem: str = ""
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sasl:
    """Authentication; which fields count depends on the mechanism."""

    mechanism: Mechanism
    username: str = ""
    password: str = field(default="", repr=False)
    oauth: Oauth | None = None
    aws_region: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of a cluster and how to be admitted. Equal connections share one client.

    Args:
        bootstrap_servers: `host:port`, several separated by commas.
        tls: None means plain text.
        sasl: None means no authentication by SASL.
    """

    bootstrap_servers: str
    tls: Tls | None = None
    sasl: Sasl | None = None

    def as_librdkafka(self) -> dict[str, Any]:
        """The client's configuration properties."""
        return {**_ALWAYS, "bootstrap.servers": self.bootstrap_servers}

    def as_json(self) -> dict[str, Any]:
        """Plain values for the polling process; `from_json` is the way back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Connection:
        """The connection that `as_json` wrote."""
        tls, sasl = values.get("tls"), values.get("sasl")
        return cls(values["bootstrap_servers"], Tls(**tls) if tls else None, _sasl_from_json(sasl) if sasl else None)


def _sasl_from_json(values: Mapping[str, Any]) -> Sasl:
    oauth = values["oauth"]
    if oauth:
        oauth = Oauth(**{**oauth, "extensions": tuple((name, value) for name, value in oauth["extensions"])})
    return Sasl(**{**values, "mechanism": Mechanism(values["mechanism"]), "oauth": oauth})
