"""A connection's security in kafka-python's words, and as Python's ssl has it."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import WITH_TOKENS, Connection, Mechanism, Sasl, Tls
from kafka_consumer_scaler.kafka.tokens import Tokens

TOKEN_SECONDS = 10.0


class NoToken(Exception):
    """Why there is no token, in words."""


def security_of(connection: Connection) -> dict[str, Any]:
    """kafka-python's settings. Asks for a token where one is needed; raises NoToken, and ssl.SSLError for a bad PEM."""
    settings: dict[str, Any] = {"security_protocol": connection.security_protocol}
    if connection.tls:
        settings["ssl_context"] = tls_context(connection.tls)
    if connection.sasl:
        settings |= _sasl(connection.sasl)
    return settings


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Verifies certificates and host names, by the given authorities alone or by the system's."""
    context = ssl.create_default_context(cadata=tls.ca_pem or None)
    if tls.certificate_pem:
        with _file(f"{tls.certificate_pem}\n{tls.private_key_pem}") as path:
            context.load_cert_chain(path)
    return context


@contextmanager
def _file(text: str) -> Iterator[str]:
    """A file's name, for Python's ssl takes a key from nothing else: in memory, or where that is unknown, private."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem"), "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile("w") as file:  # mode 0600
        file.write(text)
        file.flush()
        yield file.name


def _sasl(sasl: Sasl) -> dict[str, Any]:
    if sasl.mechanism in WITH_TOKENS:
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": _provider(sasl)}
    return {
        "sasl_mechanism": str(sasl.mechanism),
        "sasl_plain_username": sasl.username if sasl.mechanism is Mechanism.PLAIN else escaped(sasl.username),
        "sasl_plain_password": sasl.password,
    }


def escaped(name: str) -> str:
    """A user's name as SCRAM sends it (RFC 5802, section 5.1), which kafka-python leaves to us."""
    return name.replace("=", "=3D").replace(",", "=2C")


def _provider(sasl: Sasl) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider  # type: ignore[import-untyped]

    token = Tokens.of(sasl).get(TOKEN_SECONDS)
    if isinstance(token, Unknown):
        raise NoToken(token.why)
    value, extensions = token.value, dict(sasl.oauth.extensions) if sasl.oauth else {}

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        """The one token that one question needs."""

        def token(self) -> str:
            """The token."""
            return value

        def extensions(self) -> dict[str, str]:
            """SASL extensions."""
            return extensions

    return Provider()
