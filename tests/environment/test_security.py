"""What is made for the secured listeners, without starting them."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.environment import Unsupported, pki, security
from tests.environment.model import Environment, State


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pki.make_authority(tmp_path / "pki")
    security.make(tmp_path / "pki", "10.213.0.2")
    return tmp_path / "pki"


def test_a_callers_broker_has_no_secured_listeners_known_here(tmp_path: Path) -> None:
    environment = Environment("caller", tmp_path, "host:9092", "pods:9094", tmp_path, tmp_path, State(tmp_path))
    with pytest.raises(Unsupported, match="caller environment has no secured listeners"):
        environment.security()


def test_what_is_described_is_what_the_broker_is_told(folder: Path) -> None:
    told, settings = security.described(folder, "10.213.0.2"), security.broker_settings(folder)
    for name, password in told.users.items():
        assert f'user_{name}="{password}"' in settings["listener.name.sasl.plain.sasl.jaas.config"]
        assert f"[name={name},password={password}]" in security.format_options(folder)
    assert f"SASL://{told.sasl_servers}" in security.listeners("10.213.0.2")
    assert f"TLS://{told.tls_servers}" in security.listeners("10.213.0.2")
    assert told.host_address == "10.213.0.1"


def test_secrets_are_for_their_owner_alone(folder: Path) -> None:
    secret = ("kafka.pem", "kafka-users.json", "operator.key", "tokens.key")
    assert {(folder / name).stat().st_mode & 0o777 for name in secret} == {0o600}
    told = security.described(folder, "10.213.0.2")
    assert not [word for word in (*told.users.values(), told.client_key_pem) if word in repr(told)]


def test_the_broker_is_named_by_its_address_and_by_one_other_name(folder: Path) -> None:
    call = ["openssl", "x509", "-in", str(folder / "kafka.crt"), "-noout", "-ext", "subjectAltName"]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[1].strip() == "IP Address:10.213.0.2, DNS:localhost"


def test_the_operators_certificate_fits_its_key(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(folder / "operator.crt", folder / "operator.key")


def test_the_published_key_is_the_signing_key(folder: Path) -> None:
    from joserfc.jwk import RSAKey

    [published] = json.loads((folder / "jwks.json").read_text())["keys"]
    signing = RSAKey.import_key((folder / "tokens.key").read_text()).as_dict(private=False)
    assert {name: published[name] for name in ("kty", "n", "e")} == {name: signing[name] for name in ("kty", "n", "e")}
