"""How a shut door is knocked at, and in which words a broker's refusal is told."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.client import Refusal
from kafka_consumer_scaler.kafka.errors import is_refusal, is_want_of_token, reason_of, words_of

SAID = Unknown("no", Reason.AUTHENTICATION_FAILED)


def test_pauses_double_from_five_seconds_to_a_minute() -> None:
    refusal: Refusal | None = None
    pauses = []
    for _ in range(6):
        refusal = Refusal.after(refusal, SAID, now=100.0)
        pauses.append(refusal.until - 100.0)
    assert pauses == [5, 10, 20, 40, 60, 60]


UNTRUSTED = (
    "sasl_ssl://kafka:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: "
    "broker certificate could not be verified, verify that ssl.ca.location is correctly configured (after 7ms in state "
    "SSL_HANDSHAKE)"
)
ALERT = (
    "ssl://kafka:9093/1: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number "
    "42 (after 1ms in state APIVERSION_QUERY)"
)
SAID_BY_THE_LIBRARY = [
    (KafkaError._SSL, UNTRUSTED, Reason.TLS_FAILED,
     "sasl_ssl://kafka:9093: its certificate is not of a trusted authority, not valid now, or for another host name"),
    (KafkaError._TRANSPORT, UNTRUSTED, Reason.TLS_FAILED,
     "sasl_ssl://kafka:9093: its certificate is not of a trusted authority, not valid now, or for another host name"),
    (KafkaError._TRANSPORT, ALERT, Reason.TLS_FAILED,
     "ssl://kafka:9093: the broker ended the TLS handshake (bad certificate): does it want another certificate?"),
    (KafkaError._TRANSPORT, ALERT.replace("ssl/tls alert", "tlsv13 alert"), Reason.TLS_FAILED,
     "ssl://kafka:9093: the broker ended the TLS handshake (bad certificate): does it want another certificate?"),
    (KafkaError._AUTHENTICATION,
     "sasl_ssl://kafka:9093/2: SASL authentication error: Authentication failed: Invalid username or password "
     "(after 306ms in state AUTH_REQ)", Reason.AUTHENTICATION_FAILED,
     "sasl_ssl://kafka:9093: SASL authentication error: Authentication failed: Invalid username or password"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "reason", "words"), SAID_BY_THE_LIBRARY)
def test_a_refusal_is_told_in_the_same_words_each_time(code: int, said: str, reason: Reason, words: str) -> None:
    error = KafkaError(code, said)
    assert (reason_of(error), is_refusal(error), words_of(error)) == (reason, True, words)


@pytest.mark.parametrize(
    "said",
    [
        "ssl://kafka:9093/1: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?",
        "kafka:9093/1: Connect to ipv4#10.0.0.1:9093 failed: Connection refused (after 0ms in state CONNECT)",
    ],
)
def test_a_broker_that_goes_away_is_no_refusal(said: str) -> None:
    error = KafkaError(KafkaError._TRANSPORT, said)
    assert (reason_of(error), is_refusal(error)) == (Reason.BROKERS_UNREACHABLE, False)


def test_the_library_misses_a_token_in_its_own_words() -> None:
    said = "Failed to acquire SASL OAUTHBEARER token: OAuth callback raised exception"
    assert is_want_of_token(KafkaError(KafkaError._AUTHENTICATION, said))
    assert not is_want_of_token(KafkaError(KafkaError._AUTHENTICATION, "SASL authentication error"))
