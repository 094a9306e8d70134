"""Tokens for SASL OAUTHBEARER: by OIDC's client credentials grant, or signed with the operator's own AWS identity.

One way for both of our Kafka clients. A token endpoint is waited for in a thread of its own, because looking up its
name has no time limit and a slow one could send a byte at a time; at most one thread waits for it. No redirect is
followed: an allow-list of endpoints would mean nothing otherwise.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Oauth, Sasl

REQUEST_SECONDS = 5.0
"""For how long one step of the conversation with a token endpoint may take."""
ANSWER_BYTES_MAX = 256 * 1024
FRESH_SHARE = 0.8
"""A token is used again until this share of its life is over, at which librdkafka too asks for the next."""
LIFE_SECONDS = 300.0
"""What a token endpoint means that does not say for how long."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a broker is shown.

    Args:
        expires_at: seconds since the epoch.
        fresh_until: of the monotonic clock.
    """

    value: str = field(repr=False)
    expires_at: float
    fresh_until: float

    @classmethod
    def lasting(cls, value: str, seconds: float) -> Token:
        """A token that was made just now."""
        return cls(value, time.time() + seconds, time.monotonic() + FRESH_SHARE * seconds)


class Tokens:
    """The tokens of one connection; for several threads.

    Args:
        make: blocks, and answers with a token or why there is none.
    """

    def __init__(self, make: Callable[[], Token | Unknown], endpoint: str) -> None:
        self._make, self._endpoint = make, endpoint
        self._lock = threading.Lock()
        self._asked: Future[Token | Unknown] | None = None
        self._token: Token | None = None
        self.trouble: Unknown | None = None

    @classmethod
    def of(cls, sasl: Sasl) -> Tokens:
        """By the mechanism's way."""
        if sasl.oauth is None:
            from kafka_consumer_scaler.kafka.aws import signed_token  # only for those who use it

            return cls(lambda: signed_token(sasl.aws_region), "AWS")
        oauth = sasl.oauth
        return cls(lambda: requested_token(oauth), oauth.token_endpoint)

    def get(self, seconds: float) -> Token | Unknown:
        """A token that is fresh, or why there is none after so many seconds."""
        with self._lock:
            self._keep()
            if self._token and time.monotonic() < self._token.fresh_until:
                return self._token
            asked = self._asked = self._asked or self._ask()
        wait([asked], max(0.0, seconds))
        with self._lock:
            self._keep()
            if asked.done():
                return asked.result()
            self.trouble = _unreachable(self._endpoint, "it did not answer in time")
            return self.trouble

    def _ask(self) -> Future[Token | Unknown]:
        answer: Future[Token | Unknown] = Future()
        threading.Thread(target=self._answer, args=(answer,), name="token", daemon=True).start()
        return answer

    def _answer(self, answer: Future[Token | Unknown]) -> None:
        try:
            answer.set_result(self._make())
        except Exception as problem:  # the class alone: its text may hold what was sent
            answer.set_result(_unreachable(self._endpoint, type(problem).__name__))

    def _keep(self) -> None:
        """The answer to what was asked, if it came, be it after the wait for it."""
        if self._asked and self._asked.done():
            said, self._asked = self._asked.result(), None
            self._token = said if isinstance(said, Token) else self._token
            self.trouble = said if isinstance(said, Unknown) else None


def requested_token(oauth: Oauth) -> Token | Unknown:
    """Ask the token endpoint, as RFC 6749 section 4.4 has it, the client's name and secret in the header."""
    try:
        status, body = _posted(oauth)
    except ssl.SSLError as problem:
        return Unknown(f"token endpoint {oauth.token_endpoint}: {_tls_words(problem)}", Reason.TLS_FAILED)
    except (OSError, HTTPException) as problem:
        return _unreachable(oauth.token_endpoint, getattr(problem, "strerror", None) or type(problem).__name__)
    answer = _decoded(body)
    if status == 200 and isinstance(answer.get("access_token"), str):
        return Token.lasting(answer["access_token"], _seconds(answer.get("expires_in")))
    return _refused(oauth.token_endpoint, status, answer)


def _posted(oauth: Oauth) -> tuple[int, bytes]:
    address = urlsplit(oauth.token_endpoint)
    if address.scheme != "https" or not address.hostname:
        raise OSError(0, "it is no https address")
    context = ssl.create_default_context(cadata=oauth.ca_pem or None)
    connection = HTTPSConnection(address.hostname, address.port, timeout=REQUEST_SECONDS, context=context)
    try:
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        connection.request("POST", path, _form(oauth), _headers(oauth))
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    finally:
        connection.close()


def _form(oauth: Oauth) -> str:
    scope = {"scope": oauth.scope} if oauth.scope else {}
    return urlencode({"grant_type": "client_credentials", **scope})


def _headers(oauth: Oauth) -> dict[str, str]:
    pair = f"{quote_plus(oauth.client_id)}:{quote_plus(oauth.client_secret)}"
    return {
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(told: Any) -> float:
    try:
        return min(max(float(told), 1.0), 86_400.0)
    except (TypeError, ValueError):
        return LIFE_SECONDS


def _refused(endpoint: str, status: int, answer: Mapping[str, Any]) -> Unknown:
    """A refusal of our credentials, or an answer that is none. Only RFC 6749's error codes are repeated, no texts."""
    if status in {400, 401, 403}:
        code = answer.get("error")
        said = code if code in ERROR_CODES else f"status {status}"
        return Unknown(f"token endpoint {endpoint} refused the client: {said}", Reason.AUTHENTICATION_FAILED)
    if 300 <= status < 400:
        return _unreachable(endpoint, "it redirects, which is not followed")
    return _unreachable(endpoint, "its answer has no token" if status == 200 else f"status {status}")


ERROR_CODES = (
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope",
)  # fmt: skip


def _unreachable(endpoint: str, why: str) -> Unknown:
    return Unknown(f"token endpoint {endpoint}: {why}", Reason.IDENTITY_PROVIDER_UNREACHABLE)


def _tls_words(problem: ssl.SSLError) -> str:
    return getattr(problem, "verify_message", "") or problem.reason or "TLS failed"
