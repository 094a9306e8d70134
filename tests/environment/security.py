"""The broker's secured listeners: mutual TLS, and SASL over TLS; who may use them, and what clients must know.

The plain listeners stay as they are: whoever comes through them is User:ANONYMOUS, a super user. Through the secured
ones nobody may do anything that no ACL allows.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

from . import pki
from .model import BrokerSecurity

TLS_PORT, SASL_PORT = 9095, 9096
ISSUER, AUDIENCE = "https://identity.test", "kafka"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
USERS = ("operator", "stranger")
"""Nobody gives the stranger any ACL; tests give the operator what the documentation says it needs."""
_JAAS = "org.apache.kafka.common.security"


def make(folder: Path, address: str) -> None:
    """Certificates, passwords and the signing key of tokens, in the folder that has the authority."""
    pki.issue(folder, "kafka", "/CN=kafka", (f"IP:{address}", "DNS:localhost"))  # but not 127.0.0.1: a wrong name
    for name in USERS:
        pki.issue(folder, name, f"/CN={name}")
    pki.issue(folder, "identity", "/CN=identity", (f"IP:{_host(address)}", "IP:127.0.0.1", "DNS:localhost"))
    pki.make_signing_key(folder, "tokens")
    _write(folder / "kafka.pem", (folder / "kafka.key").read_text() + (folder / "kafka.crt").read_text())
    _write(folder / "kafka-users.json", json.dumps({name: secrets.token_urlsafe(24) for name in USERS}))
    _write(folder / "jwks.json", json.dumps({"keys": [_as_jwk(folder / "tokens.key")]}))


def described(folder: Path, address: str) -> BrokerSecurity:
    """What `make` made, and where the broker listens."""
    sasl, tls = f"{address}:{SASL_PORT}", f"{address}:{TLS_PORT}"
    text = {name: (folder / name).read_text() for name in ("ca.crt", "operator.crt", "operator.key", "tokens.key")}
    return BrokerSecurity(
        sasl, tls, sasl, tls, _host(address), text["ca.crt"], text["operator.crt"], text["operator.key"],
        _users(folder), text["tokens.key"], folder,
    )  # fmt: skip


def listeners(address: str) -> str:
    """What is appended to the broker's listeners."""
    return f",TLS://{address}:{TLS_PORT},SASL://{address}:{SASL_PORT}"


PROTOCOLS = ",TLS:SSL,SASL:SASL_SSL"


def broker_settings(folder: Path) -> dict[str, str]:
    """The broker's properties for the secured listeners, and for who may do what."""
    sasl = "listener.name.sasl"
    passwords = " ".join(f'user_{name}="{password}"' for name, password in _users(folder).items())
    return {
        "ssl.keystore.type": "PEM", "ssl.keystore.location": f"{folder}/kafka.pem",
        "ssl.truststore.type": "PEM", "ssl.truststore.location": f"{folder}/ca.crt",
        "listener.name.tls.ssl.client.auth": "required",
        "listener.name.tls.ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/,DEFAULT",
        f"{sasl}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"{sasl}.plain.sasl.jaas.config": f"{_JAAS}.plain.PlainLoginModule required {passwords};",
        f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_JAAS}.scram.ScramLoginModule required;",
        f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_JAAS}.scram.ScramLoginModule required;",
        f"{sasl}.oauthbearer.sasl.jaas.config": f"{_JAAS}.oauthbearer.OAuthBearerLoginModule required;",
        f"{sasl}.oauthbearer.sasl.server.callback.handler.class":
            f"{_JAAS}.oauthbearer.OAuthBearerValidatorCallbackHandler",
        f"{sasl}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": _jwks_url(folder),
        f"{sasl}.oauthbearer.sasl.oauthbearer.expected.issuer": ISSUER,
        f"{sasl}.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }  # fmt: skip


def java_property(folder: Path) -> str:
    """Brokers read keys of tokens only from URLs that are named outside their configuration."""
    return f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={_jwks_url(folder)}"


def format_options(folder: Path) -> str:
    """The SCRAM users, as words for the shell that formats the broker's storage."""
    return " ".join(
        f"--add-scram '{mechanism}=[name={name},password={password}]'"
        for mechanism in MECHANISMS if mechanism.startswith("SCRAM")
        for name, password in _users(folder).items()
    )  # fmt: skip


def _users(folder: Path) -> dict[str, str]:
    users: dict[str, str] = json.loads((folder / "kafka-users.json").read_text())
    return users


def _jwks_url(folder: Path) -> str:
    return f"file://{folder}/jwks.json"


def _host(address: str) -> str:
    return str(ipaddress.IPv4Address(address) - 1)


def _as_jwk(key: Path) -> dict[str, Any]:
    asked = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-modulus"], capture_output=True, text=True)
    modulus = bytes.fromhex(asked.stdout.strip().partition("=")[2])
    number, exponent = (base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (modulus, b"\x01\x00\x01"))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "tokens", "n": number, "e": exponent}


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
