"""What a connection says, with the Secrets that it names, as the Connection that Kafka's clients take. Pure.

A user, password or client secret loses one line break at its end: `echo` puts it there, and no broker's secret has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kafka_consumer_scaler.api.reaching import (
    CERTIFICATE_KEY,
    PRIVATE_KEY_KEY,
    CaSecretRef,
    KafkaConnectionSpec,
    OauthSpec,
    SaslSpec,
    SecretKeyRef,
    TlsSpec,
)
from kafka_consumer_scaler.control import pem
from kafka_consumer_scaler.control.ports import HeldSecret
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Oauth, Sasl, Tls

LONGEST = 8192
"""Characters of a user, password or client secret."""


class _Unusable(Exception):
    """The connection cannot be made."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.why)
        self.unknown = unknown


def secrets_of(spec: KafkaConnectionSpec) -> tuple[str, ...]:
    """The names of the Secrets that it needs, each once."""
    return tuple(dict.fromkeys(_names(spec)))


def connection_of(spec: KafkaConnectionSpec, secrets: Mapping[str, HeldSecret]) -> Connection | Unknown:
    """The connection, or what of its Secrets is missing or of no use; the message names Secret and key."""
    try:
        return _Maker(secrets).connection(spec)
    except _Unusable as problem:
        return problem.unknown


def _names(spec: KafkaConnectionSpec) -> Iterator[str]:
    tls, sasl = spec.tls, spec.sasl
    oauth = sasl.oauth if sasl else None
    refs = (
        *((tls.ca_secret_ref, tls.certificate_secret_ref) if tls else ()),
        *((sasl.username_secret_ref, sasl.password_secret_ref) if sasl else ()),
        *((oauth.client_secret_ref, oauth.ca_secret_ref) if oauth else ()),
    )
    yield from (ref.name for ref in refs if ref is not None)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Raises _Unusable where something is missing."""

    secrets: Mapping[str, HeldSecret]

    def connection(self, spec: KafkaConnectionSpec) -> Connection:
        tls = self._tls(spec.tls) if spec.tls else None
        return Connection(spec.bootstrap_servers, tls, self._sasl(spec.sasl) if spec.sasl else None)

    def _tls(self, spec: TlsSpec) -> Tls:
        certificate, key = self._pair(spec.certificate_secret_ref.name) if spec.certificate_secret_ref else ("", "")
        return Tls(self._authorities(spec.ca_secret_ref), certificate, key)

    def _sasl(self, spec: SaslSpec) -> Sasl:
        username = spec.username or ""
        if spec.username_secret_ref:
            username = self._word(spec.username_secret_ref)
        password = self._word(spec.password_secret_ref) if spec.password_secret_ref else ""
        oauth = self._oauth(spec.oauth) if spec.oauth else None
        return Sasl(Mechanism(spec.mechanism.value), username, password, oauth, spec.aws.region if spec.aws else "")

    def _oauth(self, spec: OauthSpec) -> Oauth:
        extensions = tuple((each.name, each.value) for each in spec.extensions)
        secret, authorities = self._word(spec.client_secret_ref), self._authorities(spec.ca_secret_ref)
        return Oauth(spec.token_endpoint, spec.client_id, secret, spec.scope or "", authorities, extensions)

    def _authorities(self, ref: CaSecretRef | None) -> str:
        if ref is None:
            return ""
        text = pem.in_ascii(self._text(ref.name, ref.key))
        self._refuse(pem.problem_of_certificates(text), ref.name, ref.key)
        return text

    def _pair(self, name: str) -> tuple[str, str]:
        certificate, key = pem.in_ascii(self._text(name, CERTIFICATE_KEY)), self._text(name, PRIVATE_KEY_KEY)
        self._refuse(pem.problem_of_certificates(certificate), name, CERTIFICATE_KEY)
        self._refuse(pem.problem_of_key(key), name, PRIVATE_KEY_KEY)
        if not pem.belong_together(certificate, key):
            self._refuse(f"cannot be read or is not that of {CERTIFICATE_KEY}", name, PRIVATE_KEY_KEY)
        return certificate, key

    def _word(self, ref: SecretKeyRef) -> str:
        word = self._text(ref.name, ref.key).removesuffix("\n").removesuffix("\r")
        self._refuse("" if word else "is empty", ref.name, ref.key)
        self._refuse("" if word.isprintable() else "holds control characters", ref.name, ref.key)
        self._refuse("" if len(word) <= LONGEST else f"has more than {LONGEST} characters", ref.name, ref.key)
        return word

    def _text(self, name: str, key: str) -> str:
        text = self.secrets[name].text(key)
        if isinstance(text, Unknown):
            raise _Unusable(text)
        return text

    def _refuse(self, problem: str, name: str, key: str) -> None:
        if problem:
            raise _Unusable(Unknown(f"key {key} of {self.secrets[name]} {problem}", Reason.SECRET_INVALID))
