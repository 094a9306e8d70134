"""What the library is told of a connection: typed values to the letter, verification always, secrets shown nowhere."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.kafka.client import Client
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Oauth, Sasl, Tls

OAUTH = Oauth("https://identity.test/token", "operator", "planted-client-secret")
PASSWORDS = [Mechanism.PLAIN, Mechanism.SCRAM_SHA_256, Mechanism.SCRAM_SHA_512]
SERVERS = "kafka:9093"
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("tls", "sasl", "protocol"),
    [
        (None, None, "PLAINTEXT"),
        (Tls(), None, "SSL"),
        (None, Sasl(Mechanism.PLAIN, "u", "p"), "SASL_PLAINTEXT"),
        (Tls(), Sasl(Mechanism.PLAIN, "u", "p"), "SASL_SSL"),
    ],
)
def test_the_protocol_is_what_was_asked_for(tls: Tls | None, sasl: Sasl | None, protocol: str) -> None:
    assert Connection(SERVERS, tls, sasl).as_librdkafka()["security.protocol"] == protocol


@pytest.mark.parametrize("tls", [Tls(), Tls("ca"), Tls("ca", "certificate", "key")])
def test_certificates_and_host_names_are_always_verified(tls: Tls) -> None:
    properties = Connection(SERVERS, tls).as_librdkafka()
    assert properties["enable.ssl.certificate.verification"] is True
    assert properties["ssl.endpoint.identification.algorithm"] == "https"


@pytest.mark.parametrize("mechanism", [Mechanism.OAUTHBEARER, Mechanism.AWS_MSK_IAM])
def test_tokens_go_by_oauthbearer(mechanism: Mechanism) -> None:
    connection = Connection(SERVERS, Tls(), Sasl(mechanism, oauth=OAUTH, aws_region="eu-west-1"))
    assert connection.as_librdkafka()["sasl.mechanism"] == "OAUTHBEARER"
    assert "planted" not in str(connection.as_librdkafka()), "the library is given tokens, not what they are made of"


def test_no_property_names_a_file_or_a_library() -> None:
    full = Connection(SERVERS, Tls("ca", "certificate", "key"), Sasl(Mechanism.PLAIN, "/etc/passwd", "file:///etc"))
    named = [name for name in full.as_librdkafka() if any(word in name for word in ("location", "path", "file", "url"))]
    assert named == []


@given(user=TEXTS, password=TEXTS, mechanism=st.sampled_from(PASSWORDS))
def test_a_password_is_passed_as_it_is(user: str, password: str, mechanism: Mechanism) -> None:
    connection = Connection(SERVERS, None, Sasl(mechanism, user, password))
    properties = connection.as_librdkafka()
    assert (properties["sasl.username"], properties["sasl.password"]) == (user, password)
    assert connection.problem() == ""


@given(sasl=st.builds(Sasl, st.sampled_from(Mechanism), TEXTS, TEXTS, st.none() | st.just(OAUTH)),
       tls=st.none() | st.builds(Tls, TEXTS, TEXTS, TEXTS))  # fmt: skip
def test_a_connection_survives_the_pipe(sasl: Sasl, tls: Tls | None) -> None:
    connection = Connection(SERVERS, tls, replace(sasl, oauth=replace(OAUTH, extensions=(("a", "b"),))))
    back = Connection.from_json(json.loads(json.dumps(connection.as_json())))
    assert (back, hash(back)) == (connection, hash(connection))


def test_a_secret_is_shown_by_no_representation() -> None:
    sasl = Sasl(Mechanism.PLAIN, "planted-user", "planted-password", OAUTH)
    shown = repr(Connection(SERVERS, Tls("planted-ca", "planted-certificate", "planted-key"), sasl))
    assert "planted" not in shown
    assert SERVERS in shown


def test_a_secret_is_taken_out_of_what_libraries_say() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHplanted\n-----END PRIVATE KEY-----\n"
    connection = Connection(SERVERS, Tls(private_key_pem=key), Sasl(Mechanism.PLAIN, "user", "hunter22", OAUTH))
    said = connection.without_secrets("bad hunter22, planted-client-secret and MIGHplanted: user")
    assert said == "bad ***, *** and ***: user"


@pytest.mark.parametrize(
    ("connection", "problem"),
    [
        (Connection(SERVERS, None, Sasl(Mechanism.PLAIN, "user", "cut\0here")), "contains a NUL character"),
        (Connection(SERVERS, None, Sasl(Mechanism.PLAIN, "user", "")), "PLAIN needs password"),
        (Connection(SERVERS, None, Sasl(Mechanism.SCRAM_SHA_256)), "needs username and password"),
        (Connection(SERVERS, None, Sasl(Mechanism.OAUTHBEARER)), "OAUTHBEARER needs oauth"),
        (Connection(SERVERS, Tls(), Sasl(Mechanism.AWS_MSK_IAM)), "needs a region"),
        (Connection(SERVERS, None, Sasl(Mechanism.AWS_MSK_IAM, aws_region="eu-west-1")), "needs TLS"),
    ],
)
def test_what_no_client_can_use_is_a_problem_in_words(connection: Connection, problem: str) -> None:
    assert problem in connection.problem()
    said = Client(connection).enter(by=0)
    assert said is not None
    assert problem in said.why
    assert "cut" not in said.why
