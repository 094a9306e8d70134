"""Kafka's errors in our words: under which reason an error is reported, and which ones are worth asking again."""

from __future__ import annotations

import re

from confluent_kafka import KafkaError

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown

_NAMES: dict[Reason, tuple[str, ...]] = {
    Reason.BROKERS_UNREACHABLE: (
        "_TIMED_OUT", "_TIMED_OUT_QUEUE", "_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE",
        "REQUEST_TIMED_OUT", "NETWORK_EXCEPTION", "BROKER_NOT_AVAILABLE", "LEADER_NOT_AVAILABLE",
    ),
    Reason.COORDINATOR_UNAVAILABLE: (
        "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "_WAIT_COORD",
    ),
    Reason.NOT_AUTHORIZED: (
        "GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED",
    ),
    Reason.AUTHENTICATION_FAILED: (
        "SASL_AUTHENTICATION_FAILED", "_AUTHENTICATION", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE",
    ),
    Reason.TLS_FAILED: ("_SSL",),
    Reason.TOPIC_NOT_FOUND: (
        "UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID", "TOPIC_EXCEPTION",
        "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION",
    ),
}  # fmt: skip

_RETRIABLE_NAMES = (
    "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "UNSTABLE_OFFSET_COMMIT",
    "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION", "REPLICA_NOT_AVAILABLE", "OFFSET_NOT_AVAILABLE",
    "KAFKA_STORAGE_ERROR", "BROKER_NOT_AVAILABLE", "NETWORK_EXCEPTION", "_TRANSPORT",
)  # fmt: skip

REASONS: dict[int, Reason] = {getattr(KafkaError, name): reason for reason, names in _NAMES.items() for name in names}
RETRIABLE: frozenset[int] = frozenset(getattr(KafkaError, name) for name in _RETRIABLE_NAMES)


REFUSALS = frozenset({
    Reason.AUTHENTICATION_FAILED, Reason.TLS_FAILED, Reason.IDENTITY_PROVIDER_UNREACHABLE, Reason.SECRET_INVALID,
})  # fmt: skip
"""The door is shut: knocking again at once does not open it."""

_UNTRUSTED = "certificate verify failed"
_ALERT = re.compile(r"tls(?:v1)?(?:3)? ?alert ([a-z ]+)")
_NO_TOKEN = "Failed to acquire SASL OAUTHBEARER token"  # noqa: S105  what the library says
_VARYING = re.compile(r"/bootstrap|/\d+(?=:)| \(after [^)]*\)")


def reason_of(error: KafkaError) -> Reason:
    """The reason under which users read of this error."""
    if error.code() == KafkaError._TRANSPORT and (_UNTRUSTED in error.str() or _ALERT.search(error.str())):
        return Reason.TLS_FAILED
    return REASONS.get(error.code(), Reason.METRICS_UNAVAILABLE)


def is_refusal(error: KafkaError) -> bool:
    """Whether a broker answered, and does not let us in or is not to be trusted."""
    return reason_of(error) in REFUSALS


def is_want_of_token(error: KafkaError) -> bool:
    """Whether the library reports what the maker of tokens knows better."""
    said: str = error.str()
    return said.startswith(_NO_TOKEN)


def said_by(error: KafkaError) -> str:
    """The error's words, with those of its code where a broker gave none.

    `ConsumerGroupDescribe: ` becomes `ConsumerGroupDescribe: Broker: Not coordinator`.
    """
    said: str = error.str().strip()
    return f"{said} {KafkaError(error.code()).str()}".strip() if not said or said.endswith(":") else said


def words_of(error: KafkaError) -> str:
    """What a connection failed of, the same for each attempt.

    `sasl_ssl://kafka:9093: SASL authentication error: ...`; what the library advises on its own settings is left out.
    """
    said = _VARYING.sub("", said_by(error))
    address = said.split(": ", 1)[0]
    if _UNTRUSTED in said:
        return f"{address}: its certificate is not of a trusted authority, not valid now, or for another host name"
    if alert := _ALERT.search(said):
        return f"{address}: the broker ended the TLS handshake ({alert[1].strip()}): does it want another certificate?"
    return said


def is_retriable(error: KafkaError) -> bool:
    """Whether the same request may succeed in a moment. The library itself retries none of these for us.

    A timeout is not among them: it has used up the time there was. Nor is a fenced leader epoch: the library repeats it
    until it is made to read the topic's metadata again, which the next poll does.
    """
    return error.code() in RETRIABLE


def is_silence(answer: object) -> bool:
    """Whether the answer is that nobody answered."""
    return isinstance(answer, KafkaError) and reason_of(answer) is Reason.BROKERS_UNREACHABLE


def is_absence(answer: object) -> bool:
    """Whether the answer is that nobody answered, or that the one who did is not ready."""
    return isinstance(answer, KafkaError) and (
        is_silence(answer) or reason_of(answer) is Reason.COORDINATOR_UNAVAILABLE
    )


def is_from_another_broker(answer: object) -> bool:
    """Whether a broker was asked that does not coordinate the group, or no longer."""
    return isinstance(answer, KafkaError) and answer.code() == KafkaError.NOT_COORDINATOR


def is_timeout(answer: object) -> bool:
    """Whether the answer did not come in time, which does not say who was silent."""
    return isinstance(answer, KafkaError) and answer.code() in {KafkaError._TIMED_OUT, KafkaError._TIMED_OUT_QUEUE}


def unknown_because(error: KafkaError, subject: str) -> Unknown:
    """`Unknown("group orders: Group authorization failed.", NOT_AUTHORIZED)` and the like."""
    return Unknown(f"{subject}: {said_by(error)}", reason_of(error))
