"""How to reach one Kafka cluster: typed fields only, since librdkafka's properties can load code and read files.

Secrets' values are in here, so nothing here may be logged but the address: `repr` leaves the secrets out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


WITH_TOKENS = (Mechanism.OAUTHBEARER, Mechanism.AWS_MSK_IAM)
"""To brokers both are OAUTHBEARER; they differ in who makes the token."""
REDACTED_CHARACTERS = 4
"""Shorter values are too common in any text to be taken out of it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption, with the brokers' certificates and host names always verified.

    Args:
        ca_pem: certificates that are trusted; empty means the system's.
        certificate_pem: the client's certificate and its chain; empty means none.
        private_key_pem: the client's key, not encrypted; empty means none.
    """

    ca_pem: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
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
    ca_pem: str = field(default="", repr=False)
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sasl:
    """Authentication; which fields count depends on the mechanism."""

    mechanism: Mechanism
    username: str = field(default="", repr=False)
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

    @property
    def security_protocol(self) -> str:
        """Kafka's name for the two: SASL without TLS is what was asked for, never what is fallen back to."""
        return f"{'SASL_' if self.sasl else ''}{'SSL' if self.tls else 'PLAINTEXT'}"

    def as_librdkafka(self) -> dict[str, Any]:
        """The client's configuration properties; tokens are given by a callback."""
        return {
            **_ALWAYS,
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            **(_tls_properties(self.tls) if self.tls else {}),
            **(_sasl_properties(self.sasl) if self.sasl else {}),
        }

    def problem(self) -> str:
        """Why no client can have these values, in a phrase without the values; empty when it can."""
        if any("\0" in value for value in _texts(self.as_json())):
            return "a value of its security contains a NUL character"
        if self.sasl is None:
            return ""
        if self.sasl.mechanism is Mechanism.AWS_MSK_IAM and self.tls is None:
            return "AWS_MSK_IAM needs TLS"
        return _missing(self.sasl)

    def without_secrets(self, text: str) -> str:
        """The text with `***` in place of any secret's value that a library may have put there."""
        sasl = self.sasl or Sasl(Mechanism.PLAIN)
        known = (sasl.password, sasl.oauth.client_secret if sasl.oauth else "", *_lines_of_key(self.tls))
        for secret in known:
            if len(secret) >= REDACTED_CHARACTERS:
                text = text.replace(secret, "***")
        return text

    def as_json(self) -> dict[str, Any]:
        """Plain values for the polling process; `from_json` is the way back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Connection:
        """The connection that `as_json` wrote."""
        tls, sasl = values.get("tls"), values.get("sasl")
        return cls(values["bootstrap_servers"], Tls(**tls) if tls else None, _sasl_from_json(sasl) if sasl else None)


def _tls_properties(tls: Tls) -> dict[str, Any]:
    given = {
        "ssl.ca.pem": tls.ca_pem, "ssl.certificate.pem": tls.certificate_pem, "ssl.key.pem": tls.private_key_pem,
    }  # fmt: skip
    always = {"enable.ssl.certificate.verification": True, "ssl.endpoint.identification.algorithm": "https"}
    return {**always, **{name: value for name, value in given.items() if value}}


def _sasl_properties(sasl: Sasl) -> dict[str, Any]:
    if sasl.mechanism in WITH_TOKENS:
        return {"sasl.mechanism": "OAUTHBEARER"}
    return {"sasl.mechanism": str(sasl.mechanism), "sasl.username": sasl.username, "sasl.password": sasl.password}


def _missing(sasl: Sasl) -> str:
    needed = {
        Mechanism.OAUTHBEARER: ("oauth",),
        Mechanism.AWS_MSK_IAM: ("aws_region",),
    }.get(sasl.mechanism, ("username", "password"))
    missing = [name for name in needed if not getattr(sasl, name)]
    return f"{sasl.mechanism} needs {' and '.join(missing).replace('aws_region', 'a region')}" if missing else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _lines_of_key(tls: Tls | None) -> list[str]:
    return [line for line in tls.private_key_pem.splitlines() if "-----" not in line] if tls else []


def _sasl_from_json(values: Mapping[str, Any]) -> Sasl:
    oauth = values["oauth"]
    if oauth:
        oauth = Oauth(**{**oauth, "extensions": tuple((name, value) for name, value in oauth["extensions"])})
    return Sasl(**{**values, "mechanism": Mechanism(values["mechanism"]), "oauth": oauth})
