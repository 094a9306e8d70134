"""A small real OpenID provider: https, discovery, keys, and a token endpoint for the client credentials grant.

Its tokens are signed with the environment's key, which the broker trusts.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.environment.model import BrokerSecurity
from tests.environment.security import AUDIENCE, ISSUER
from tests.planted import SUITE


@dataclass
class Provider:
    """What the provider knows and has seen; tests may change it while it runs.

    Args:
        clients: secrets by client id; the id is the token's subject, which is the broker's principal.
        life_seconds: of a token.
        released: while it is cleared, requests are taken and not answered.
        received: requests for tokens so far.
        asked: those of them that were not held back any more.
        forms: what they contained.
        status: answered instead of a token, when set.
    """

    security: BrokerSecurity
    clients: dict[str, str]
    life_seconds: int = 300
    released: threading.Event = field(default_factory=threading.Event)
    received: int = 0
    asked: int = 0
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    status: int | None = None
    address: str = ""

    def __post_init__(self) -> None:
        self.released.set()
        self.key = RSAKey.import_key(self.security.signing_key_pem, {"kid": "tokens", "use": "sig", "alg": "RS256"})

    @property
    def token_endpoint(self) -> str:
        """The URL for `oauth.tokenEndpoint`."""
        return f"https://{self.address}/token"

    def token(self, client: str) -> str:
        """A token for a client, as the broker verifies it."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": client, "iat": now, "exp": now + self.life_seconds}
        token = jwt.encode({"alg": "RS256", "kid": "tokens"}, claims, self.key)
        SUITE.plant(token.rpartition(".")[2], f"the signature of a token of {client}")
        return token

    def answered(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Status and body for a request of a token."""
        self.asked += 1
        self.forms.append(form)
        if self.status is not None:
            return self.status, {}
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        client, secret = _credentials(authorization)
        if not client or self.clients.get(client) != secret:
            return 401, {"error": "invalid_client", "error_description": f"{client} has not the secret {secret}"}
        token = self.token(client)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.life_seconds}

    def documents(self) -> dict[str, dict[str, Any]]:
        """What is read without credentials."""
        base = f"https://{self.address}"
        found = {"issuer": ISSUER, "token_endpoint": self.token_endpoint, "jwks_uri": f"{base}/jwks.json",
                 "grant_types_supported": ["client_credentials"]}  # fmt: skip
        return {
            "/.well-known/openid-configuration": found,
            "/jwks.json": {"keys": [self.key.as_dict(private=False)]},
        }


@contextmanager
def identity_provider(
    security: BrokerSecurity, clients: dict[str, str], host: str = "127.0.0.1", port: int = 0
) -> Iterator[Provider]:
    """A provider that runs. `security.host_address` as its host is for pods."""
    provider = Provider(security, clients)
    for client, secret in clients.items():
        SUITE.plant(secret, f"the client secret of {client}")
    server = _Server((host, port), _handler_of(provider))
    provider.address = f"{host}:{server.server_address[1]}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(security.pki / "identity.crt", security.pki / "identity.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield provider
    finally:
        provider.released.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or that does not trust us, is none of our errors."""


def _handler_of(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = provider.documents().get(self.path)
            self.reply(200 if document else 404, document or {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            provider.received += 1
            provider.released.wait(300)
            if self.path == "/token":
                self.reply(*provider.answered(self.headers.get("Authorization", ""), parse_qs(body)))
            else:
                self.reply(404, {})

        def reply(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"https://{provider.address}/token")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    return Handler


def _credentials(authorization: str) -> tuple[str, str]:
    """The client's id and secret from a Basic header, each decoded as RFC 6749 section 2.3.1 has it."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme != "Basic":
        return "", ""
    client, _, secret = base64.b64decode(encoded).decode().partition(":")
    return unquote_plus(client), unquote_plus(secret)
