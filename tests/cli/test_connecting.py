"""`diagnose --connection FILE`: what kubectl prints is a connection, and what is wrong is told without any value."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.cli.connecting import BYTES_MAX, FiledSecret, NoConnection, connection_in
from kafka_consumer_scaler.cli.diagnose import reported
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Sasl, Tls
from tests.cli.test_diagnose import asked, silent, watch
from tests.docs.pages import page
from tests.environment import pki
from tests.fuzz.values import json_values
from tests.planted import Planted

SPEC: dict[str, Any] = {
    "bootstrapServers": "kafka:9093",
    "tls": {},
    "sasl": {"mechanism": "PLAIN", "username": "orders",
             "passwordSecretRef": {"name": "kafka-user", "key": "password"}},
}
READ = Connection("kafka:9093", Tls(), Sasl(Mechanism.PLAIN, "orders", "s3cret: #1"))


def connection(spec: Any = SPEC, kind: str = "KafkaConnection") -> dict[str, Any]:
    return {"apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "shop", "namespace": "shop", "generation": 1}, "spec": spec}


def secret(data: Any = None, string_data: Any = None, name: str = "kafka-user") -> dict[str, Any]:
    held = {"data": data, "stringData": string_data}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop"}, "type": "Opaque",
            **{field: values for field, values in held.items() if values is not None}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


KEPT = secret({"password": encoded("s3cret: #1")})


class Files:
    """YAML files of one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, *documents: Any) -> str:
        return self.text(name, yaml.safe_dump_all(documents))

    def text(self, name: str, text: str | bytes) -> str:
        path = self._folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("documents", [
    pytest.param([{"apiVersion": "v1", "kind": "List", "items": [connection(), KEPT]}], id="as kubectl prints two"),
    pytest.param([connection(), KEPT], id="two documents"),
    pytest.param([KEPT, {"kind": "ConfigMap", "data": {}}, None, "words", connection()], id="others beside them"),
    pytest.param([SPEC, KEPT], id="the spec alone"),
    pytest.param([SPEC | {"allowedNamespaces": ["*"]}, KEPT], id="the spec of a ClusterKafkaConnection"),
    pytest.param([connection(SPEC | {"allowedNamespaces": ["a"]}, "ClusterKafkaConnection"), KEPT], id="of all"),
    pytest.param([SPEC, secret(string_data={"password": "s3cret: #1"})], id="written by hand"),
    pytest.param([SPEC, secret({"password": encoded("old")}, {"password": "s3cret: #1"})], id="stringData wins"),
    pytest.param([SPEC, secret(string_data={"password": "s3cret: #1\n"})], id="a line break of echo"),
])  # fmt: skip
def test_a_connection_is_read_with_the_secrets_beside_it(documents: list[Any], files: Files) -> None:
    assert connection_in(files.write("connection.yaml", *documents)) == READ


def test_what_the_page_shows_is_a_connection(files: Files) -> None:
    [shown] = page("docs/diagnose.md").blocks("yaml")
    read = connection_in(files.text("connection.yaml", shown))
    assert read == Connection("kafka.example.com:9093", Tls(), Sasl(Mechanism.SCRAM_SHA_512, "orders", "..."))


def test_secrets_may_be_in_a_file_of_their_own(files: Files) -> None:
    names = files.write("connection.yaml", connection()), files.write("secrets.yaml", KEPT)
    assert connection_in(*names) == READ


def test_one_file_may_be_both(files: Files) -> None:
    name = files.write("both.yaml", connection(), KEPT)
    assert connection_in(name, name) == READ


def test_a_connection_without_secrets_needs_none(files: Files) -> None:
    assert connection_in(files.write("c.yaml", {"bootstrapServers": "kafka:9092"})) == Connection("kafka:9092")


@pytest.mark.parametrize("password", ["0123", "1e3", "yes", "null", "2026-11-25", "0x10"])
def test_a_password_that_looks_like_something_else_is_taken_to_the_letter(password: str, files: Files) -> None:
    held = f"kind: Secret\nmetadata: {{name: kafka-user}}\nstringData:\n  password: {password}"
    read = connection_in(files.text("c.yaml", f"{yaml.safe_dump(SPEC)}---\n{held}"))
    assert read.sasl is not None
    assert read.sasl.password == password


def test_certificates_are_read_and_checked(files: Files, tmp_path: Path) -> None:
    pki.make_authority(tmp_path / "pki")
    authority = (tmp_path / "pki" / "ca.crt").read_text()
    spec = {"bootstrapServers": "kafka:9093", "tls": {"caSecretRef": {"name": "ca"}}}
    trusted = secret(string_data={"ca.crt": authority}, name="ca")
    assert connection_in(files.write("ca.yaml", spec, trusted)) == Connection("kafka:9093", Tls(authority))
    mutual = {"bootstrapServers": "kafka:9093", "tls": {"certificateSecretRef": {"name": "client"}}}
    pair = secret({"tls.crt": encoded(authority), "tls.key": encoded("no key")}, name="client")
    with pytest.raises(NoConnection, match=r"key tls\.key of Secret client of .*pair\.yaml"):
        connection_in(files.write("pair.yaml", mutual, pair))


IN_THE_CLEAR = {name: value for name, value in SPEC.items() if name != "tls"}
BAD = [
    pytest.param([], "one KafkaConnection or ClusterKafkaConnection is needed, and there are 0", id="none"),
    pytest.param([connection(), SPEC, KEPT], "and there are 2", id="two"),
    pytest.param([connection() | {"apiVersion": "v1"}], "apiVersion: it is not kafka-consumer", id="version"),
    pytest.param([connection(None)], "spec: Field required", id="no spec"),
    pytest.param([{**SPEC, "bootstrapServers": "kafka"}, KEPT], "spec.bootstrapServers: ", id="no port"),
    pytest.param([{**SPEC, "tls": {"insecure": True}}, KEPT], "spec.tls.insecure: unknown field", id="a field"),
    pytest.param([IN_THE_CLEAR, KEPT], "sends a secret and needs tls", id="in the clear"),
    pytest.param([connection()], "there is no Secret kafka-user in it, and no --secrets is given", id="no Secret"),
    pytest.param([SPEC, secret({"user": ""})], "Secret kafka-user of {file} has no key password", id="no key"),
    pytest.param([SPEC, secret()], "has no key password", id="an empty Secret"),
    pytest.param([SPEC, secret({"password": ""})], "key password of Secret kafka-user of {file} is empty", id="empty"),
    pytest.param([SPEC, secret({"password": "?"})], "is not text of UTF-8 in Base64", id="no Base64"),
    pytest.param([SPEC, secret({"password": "//79"})], "is not text of UTF-8 in Base64", id="no UTF-8"),
    pytest.param([SPEC, secret({"password": ["a"]})], "password of Secret kafka-user of {file} is not", id="a list"),
    pytest.param([SPEC, secret(string_data={"password": "a\0b"})], "holds control characters", id="NUL"),
    pytest.param([SPEC, KEPT, KEPT], "there is another Secret kafka-user in", id="a Secret twice"),
]


@pytest.mark.parametrize(("documents", "told"), BAD)
def test_what_is_wrong_is_told_in_one_line_that_names_file_and_field(
    documents: list[Any], told: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    file = files.write("connection.yaml", *documents)
    assert main(["diagnose", "--group", "orders", "--connection", file]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"kafka-consumer-scaler diagnose: {file}: ")
    assert told.format(file=file) in shown.err
    assert (shown.err.count("\n"), shown.out) == (1, "")


def test_a_secret_that_neither_file_has_is_told_with_both(files: Files) -> None:
    names = files.write("connection.yaml", connection()), files.write("secrets.yaml", secret(name="other"))
    with pytest.raises(NoConnection, match=r"\.yaml: there is no Secret kafka-user in it, nor in .*secrets\.yaml"):
        connection_in(*names)


def test_a_file_that_is_not_there_is_named(files: Files, tmp_path: Path) -> None:
    with pytest.raises(NoConnection, match=r"nowhere.yaml: No such file or directory"):
        connection_in(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(NoConnection, match=r"nowhere.yaml: No such file or directory"):
        connection_in(files.write("c.yaml", SPEC), str(tmp_path / "nowhere.yaml"))
    with pytest.raises(NoConnection, match="Is a directory"):
        connection_in(str(tmp_path))


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(NoConnection, match=f"/dev/zero: it has more than {BYTES_MAX} bytes"):
        connection_in("/dev/zero")


@pytest.mark.parametrize(("words", "told"), [
    (["--bootstrap-servers", "kafka:9092", "--connection", "c.yaml"], "not allowed with"),
    (["--bootstrap-servers", "kafka:9092", "--secrets", "s.yaml"], "--secrets belongs to --connection"),
    ([], "one of the arguments --bootstrap-servers --connection is required"),
])  # fmt: skip
def test_options_that_do_not_go_together_are_bad_usage(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: Any = main(["diagnose", "--group", "orders", *words])
    except SystemExit as ended:
        code = ended.code
    shown = capsys.readouterr()
    assert (code, told in shown.err.splitlines()[-1]) == (2, True)


SPOILT = [
    "kind: Secret\nmetadata: {{name: kafka-user}}\nstringData: {{password: {}",
    "stringData:\n\tpassword: {}",
    "password: *{}",
    "password: !{} x",
    "password: !!int '{}'",
    "? [[{}]]\n: 1",
    "'{}': \x01",
    "sasl: {{mechanism: {}}}",
    "bootstrapServers: '{}'",
    "tls: {}",
    "- {}",
    "kind: [{}]",
    "kind: {{a: {}}}",
    "kind: KafkaConnection\napiVersion: {}",
    "kind: KafkaConnection\nspec: {}",
    "kind: List\nitems: {}",
    "bootstrapServers: k:1\ntls: {{caSecretRef: {{name: '{}'}}}}",
    "bootstrapServers: k:1\nsasl: {{mechanism: SCRAM-SHA-256, username: a, passwordSecretRef: {}}}",
]


@pytest.mark.parametrize("template", SPOILT)
def test_no_message_quotes_a_spoilt_file(template: str, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    planted = Planted()
    file = files.text("connection.yaml", planted.new(template))
    assert main(["diagnose", "--group", "orders", "--connection", file]) == 2
    shown = capsys.readouterr()
    assert planted.found_in(shown.out + shown.err) == []
    assert shown.err.startswith(f"kafka-consumer-scaler diagnose: {file}: ")
    assert shown.err.count("\n") == 1


def test_a_place_that_is_not_yaml_is_named(files: Files) -> None:
    with pytest.raises(NoConnection, match=r"connection\.yaml: it is not YAML at line 2, column 1"):
        connection_in(files.text("connection.yaml", "tls:\n\tx: y"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(json_values, max_size=3), held=json_values, spec=st.just(SPEC) | json_values)
def test_junk_of_any_kind_is_a_connection_or_none(documents: list[Any], held: Any, spec: Any, files: Files) -> None:
    try:
        text = yaml.safe_dump_all([*documents, connection(spec), secret(held, held)])
    except (yaml.YAMLError, ValueError):
        return
    try:
        assert isinstance(connection_in(files.text("junk.yaml", text.encode(errors="replace"))), Connection)
    except NoConnection:
        return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_connection(junk: bytes, files: Files) -> None:
    with pytest.raises(NoConnection, match=r"junk\.yaml: "):
        connection_in(files.text("junk.yaml", junk))


def test_what_was_learned_shows_no_secret(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    planted = Planted()
    file = files.write("connection.yaml", SPEC, secret(string_data={"password": planted.new()}))
    read = connection_in(file)
    wanted = replace(asked(), connection=read)
    assert reported(wanted, watch(silent("refused", Reason.AUTHENTICATION_FAILED), wanted)) == 1
    shown = capsys.readouterr()
    held = FiledSecret("kafka-user", file, {"password": planted.values[0]}, {"password": encoded(planted.values[0])})
    assert planted.found_in(shown.out + shown.err + repr(read) + str(read) + repr(held) + str(held)) == []


@pytest.mark.parametrize("reason", [Reason.AUTHENTICATION_FAILED, Reason.TLS_FAILED, Reason.SECRET_INVALID,
                                    Reason.IDENTITY_PROVIDER_UNREACHABLE])
def test_a_refusal_is_not_asked_for_again(reason: Reason) -> None:
    assert watch(silent("refused", reason), asked()).polls == 1
