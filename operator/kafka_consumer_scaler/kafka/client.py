"""One client of the library: how it is let in, and how soon it knocks again at a door that was shut.

The library knocks again by itself, up to twenty times a second, which looks like an attack and can lock an account. So
a client that is refused is closed, and there is none until a pause is over: 5 s, doubled with each refusal up to 60 s.
A connection that changed is another client and waits for nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import WITH_TOKENS, Connection
from kafka_consumer_scaler.kafka.errors import REFUSALS, is_refusal, is_want_of_token, reason_of, words_of
from kafka_consumer_scaler.kafka.tokens import Token, Tokens

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 60.0
OTHERS_SECONDS = 1.0
"""After one broker's refusal, where several are named: another one may still let us in."""
TOKEN_SECONDS = 10.0
"""How long the library's own thread waits for the next token; the old one is good meanwhile."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why we were not let in, and until when, of the monotonic clock, we do not knock again."""

    said: Unknown
    until: float
    pause_seconds: float

    @classmethod
    def after(cls, last: Refusal | None, said: Unknown, now: float) -> Refusal:
        """The refusal that follows the last one, if there was one since we were last let in."""
        pause = min(2 * last.pause_seconds, LONGEST_PAUSE_SECONDS) if last else FIRST_PAUSE_SECONDS
        return cls(said, now + pause, pause)


class Client:
    """The library's AdminClient of a connection, when there is one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        sasl = connection.sasl
        self._tokens = Tokens.of(sasl) if sasl and sasl.mechanism in WITH_TOKENS and not connection.problem() else None
        self._others_seconds = OTHERS_SECONDS if "," in connection.bootstrap_servers else 0.0
        # Not a method of ours: client and callback would keep each other, and the client's threads, alive.
        self._causes: deque[KafkaError] = deque(maxlen=10)
        self._library: Any = None
        self._refusal: Refusal | None = None

    @property
    def library(self) -> Any:
        """The AdminClient. Raises KafkaException when it refuses its settings."""
        if self._library is None:  # not `or`: a client with nothing to tell counts as false
            self._library = self._made()
        return self._library

    def close(self) -> None:
        """Let the AdminClient go, with its threads."""
        self._library = None
        self._causes.clear()

    def enter(self, by: float) -> Unknown | None:
        """Be let in by a time; why not, if not. An open connection, and one without security, is entered at once."""
        if self._library is not None:
            return None
        if self._refusal and time.monotonic() < self._refusal.until:
            return self._refusal.said
        said = self._tried(by)
        if said is None:
            self._refusal = None
        else:
            self.close()
            self.note(said)
        return said

    def note(self, said: Unknown) -> None:
        """After a refusal there is no client until its pause is over."""
        if said.reason in REFUSALS:
            self._refusal = Refusal.after(self._refusal, said, time.monotonic())
            self.close()

    def _tried(self, by: float) -> Unknown | None:
        if why := self._connection.problem():
            return Unknown(f"{self._connection.bootstrap_servers}: {why}", Reason.SECRET_INVALID)
        token = self._tokens.get(by - time.monotonic()) if self._tokens else None
        if isinstance(token, Unknown):
            return token
        try:
            self._library = self._made()
        except KafkaException as problem:
            return self._unusable(problem.args[0])
        return self._knocked(by) if self._connection.security_protocol != "PLAINTEXT" else None

    def _unusable(self, error: KafkaError) -> Unknown:
        said = self._connection.without_secrets(error.str())
        reason = Reason.SECRET_INVALID if self._connection.tls else Reason.METRICS_UNAVAILABLE
        return Unknown(f"the Kafka client refused its settings: {said}", reason)

    def _knocked(self, by: float) -> Unknown | None:
        """Why no broker answers; one that refuses us does not count while others may answer."""
        asked = self._library.describe_cluster(request_timeout=max(0.1, by - time.monotonic()))
        cause: KafkaError | None = None
        while not asked.done() and time.monotonic() < by:
            self._library.poll(0.05)
            newest = self.last_cause()
            if newest is None or (cause is not None and is_refusal(cause)):
                continue
            cause = newest
            if is_refusal(cause):
                by = min(by, time.monotonic() + self._others_seconds)
        problem = asked.exception() if asked.done() else KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return None if problem is None else self.because(cause or problem.args[0])

    def because(self, cause: KafkaError) -> Unknown:
        """Why no broker can be asked, from why a connection failed."""
        trouble = self._tokens.trouble if self._tokens else None
        if trouble and is_want_of_token(cause):
            return trouble
        said = self._connection.without_secrets(words_of(cause))
        silent = "" if is_refusal(cause) else f"no broker of {self._connection.bootstrap_servers} answered: "
        return Unknown(silent + said, reason_of(cause))

    def last_cause(self) -> KafkaError | None:
        """Why the newest connection attempt failed, since this was last asked; None when none did.

        A refusal tells more than the failures that follow it.
        """
        if self._library is None:
            return None
        self._library.poll(0)
        causes = [cause for cause in self._causes if cause.code() != KafkaError._ALL_BROKERS_DOWN]
        self._causes.clear()
        return next((cause for cause in reversed(causes) if is_refusal(cause)), causes[-1] if causes else None)

    def _made(self) -> Any:
        callback = {"oauth_cb": _shown(self._tokens, _extensions(self._connection))} if self._tokens else {}
        return AdminClient({**self._connection.as_librdkafka(), "error_cb": self._causes.append, **callback})


def _extensions(connection: Connection) -> dict[str, str]:
    oauth = connection.sasl.oauth if connection.sasl else None
    return dict(oauth.extensions) if oauth else {}


def _shown(tokens: Tokens, extensions: dict[str, str]) -> Callable[[str], tuple[str, float, str, dict[str, str]]]:
    """The library's callback for tokens; what it raises is for the library alone, `trouble` tells the cause."""

    def show(_: str) -> tuple[str, float, str, dict[str, str]]:
        token = tokens.get(TOKEN_SECONDS)
        if not isinstance(token, Token):
            raise RuntimeError("no token")
        return token.value, token.expires_at, "", extensions

    return show
