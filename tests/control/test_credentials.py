"""What a connection says, with its Secrets, as the Connection that Kafka's clients take."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kafka_consumer_scaler.api.reaching import KafkaConnectionSpec
from kafka_consumer_scaler.control.credentials import connection_of, secrets_of
from kafka_consumer_scaler.control.pem import PEM_BYTES_MAX
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Oauth, Sasl, Tls
from kafka_consumer_scaler.kube.secrets import Secret
from tests.api.manifests import BY_IAM, BY_TOKEN, OAUTH, SCRAM

CA = {"caSecretRef": {"name": "kafka-ca"}}
BEGIN = "-----BEGIN CERTIFICATE-----\n"
PAIR = {"certificateSecretRef": {"name": "orders-tls"}}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Two self-signed certificates with their keys, and the first key encrypted."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("one", "two"):
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt")  # fmt: skip
    _openssl("pkcs8", "-topk8", "-in", f"{folder}/one.key", "-out", f"{folder}/locked.key", "-passout", "pass:word")
    return {path.name: path.read_text() for path in Path(folder).iterdir()}


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def made(secrets: Mapping[str, Mapping[str, str]], **more: Any) -> Connection | Unknown:
    """The connection; the Secrets are what the API server would have."""
    held = {
        name: Secret("shop", name, {key: base64.b64encode(value.encode()).decode() for key, value in values.items()})
        for name, values in secrets.items()
    }
    return connection_of(KafkaConnectionSpec.model_validate({"bootstrapServers": "kafka:9093", **more}), held)


def refusal(secrets: Mapping[str, Mapping[str, str]], **more: Any) -> str:
    found = made(secrets, **more)
    assert isinstance(found, Unknown)
    assert found.reason is Reason.SECRET_INVALID
    return found.why


def test_every_secret_that_is_named_is_needed_once() -> None:
    sasl = BY_TOKEN | {"oauth": OAUTH | {"caSecretRef": {"name": "kafka-ca"}}}
    spec = KafkaConnectionSpec.model_validate({"bootstrapServers": "kafka:9093", "tls": CA | PAIR, "sasl": sasl})
    assert secrets_of(spec) == ("kafka-ca", "orders-tls", "kafka-user")


def test_authorities_certificate_and_key_are_handed_on_as_they_are(pki: Mapping[str, str]) -> None:
    secrets = {"kafka-ca": {"ca.crt": pki["two.crt"]},
               "orders-tls": {"tls.crt": pki["one.crt"] + pki["two.crt"], "tls.key": pki["one.key"]}}
    assert made(secrets, tls=CA | PAIR) == Connection(
        "kafka:9093", Tls(pki["two.crt"], pki["one.crt"] + pki["two.crt"], pki["one.key"])
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_user_and_password_are_handed_on_without_the_line_break_of_echo(mechanism: str) -> None:
    sasl = {"mechanism": mechanism, "usernameSecretRef": {"name": "user", "key": "name"},
            "passwordSecretRef": {"name": "user", "key": "word"}}
    found = made({"user": {"name": "orders\n", "word": " p w=,\r\n"}}, tls={}, sasl=sasl)
    assert found == Connection("kafka:9093", Tls(), Sasl(Mechanism(mechanism), "orders", " p w=,"))


def test_a_client_at_an_identity_provider_is_handed_on_whole(pki: Mapping[str, str]) -> None:
    oauth = OAUTH | {"scope": "kafka", "caSecretRef": {"name": "kafka-ca", "key": "login.pem"},
                     "extensions": [{"name": "logicalCluster", "value": "lkc-1"}]}
    secrets = {"kafka-user": {"password": "word"}, "kafka-ca": {"login.pem": pki["one.crt"]}}
    found = made(secrets, tls={}, sasl=BY_TOKEN | {"oauth": oauth})
    assert found == Connection("kafka:9093", Tls(), Sasl(Mechanism.OAUTHBEARER, oauth=Oauth(
        OAUTH["tokenEndpoint"], "orders", "word", "kafka", pki["one.crt"], (("logicalCluster", "lkc-1"),)
    )))


def test_iam_of_aws_needs_a_region_and_no_secret() -> None:
    found = made({}, tls={}, sasl=BY_IAM)
    assert found == Connection("kafka:9093", Tls(), Sasl(Mechanism.AWS_MSK_IAM, aws_region="eu-central-1"))


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "is empty"), ("\n", "is empty"), ("a\x00b", "holds control characters"), ("a\nb", "holds control characters"),
     ("x" * 8193, "has more than 8192 characters")],
    ids=["empty", "a line break", "a NUL", "two lines", "too long"],
)  # fmt: skip
def test_a_password_that_is_none_is_refused_by_the_name_of_its_key(value: str, says: str) -> None:
    assert refusal({"kafka-user": {"password": value}}, sasl=SCRAM) == f"key password of Secret shop/kafka-user {says}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("planted", "holds no PEM certificate"),
        ("", "holds no PEM certificate"),
        (f"{BEGIN}planted\n-----END CERTIFICATE-----\n", "holds a certificate that cannot be read"),
        (BEGIN, "holds a certificate that cannot be read"),
        ("x" * (PEM_BYTES_MAX + 1), "is larger than 256 KiB"),
    ],
    ids=["words", "nothing", "junk in a frame", "half a frame", "too large"],
)
def test_an_authority_that_is_none_is_refused_by_the_name_of_its_key(text: str, says: str) -> None:
    assert refusal({"kafka-ca": {"ca.crt": text}}, tls=CA) == f"key ca.crt of Secret shop/kafka-ca {says}"


def test_a_private_key_in_the_place_of_an_authority_is_refused(pki: Mapping[str, str]) -> None:
    assert "holds no PEM certificate" in refusal({"kafka-ca": {"ca.crt": pki["one.key"]}}, tls=CA)


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("one.crt", "two.key", "key tls.key of Secret shop/orders-tls cannot be read or is not that of tls.crt"),
        ("one.crt", "locked.key", "key tls.key of Secret shop/orders-tls holds an encrypted private key"),
        ("one.crt", "one.crt", "key tls.key of Secret shop/orders-tls holds no PEM private key"),
        ("one.key", "one.key", "key tls.crt of Secret shop/orders-tls holds no PEM certificate"),
    ],
)
def test_a_key_must_be_that_of_its_certificate(pki: Mapping[str, str], certificate: str, key: str, says: str) -> None:
    assert refusal({"orders-tls": {"tls.crt": pki[certificate], "tls.key": pki[key]}}, tls=PAIR) == says


@pytest.mark.parametrize("encoded", ["/////w==", "no base64!", "abc"])
def test_what_is_no_text_is_refused_without_being_shown(encoded: str) -> None:
    found = Secret("shop", "kafka-user", {"password": encoded}).text("password")
    assert found == Unknown("key password of Secret shop/kafka-user is not text in UTF-8", Reason.SECRET_INVALID)


def test_no_file_is_made_of_a_key(pki: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.chdir(tmp_path)
    secrets = {"orders-tls": {"tls.crt": pki["one.crt"], "tls.key": pki["one.key"]}}
    assert isinstance(made(secrets, tls=PAIR), Connection)
    assert list(tmp_path.iterdir()) == []
