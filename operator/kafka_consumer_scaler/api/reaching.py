"""How a Kafka cluster is reached: `spec.kafka` of a KafkaConsumerScaler, and the specs of the kinds that share it.

Every field is typed. There is none for a file's path or for a property of the client, and no reference has a namespace:
Secrets are those of the resource's own namespace, by name and key. A secret never travels in the clear: PLAIN,
OAUTHBEARER and AWS_MSK_IAM are refused without TLS.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kafka_consumer_scaler.api.addresses import BootstrapServers, TokenEndpoint
from kafka_consumer_scaler.api.parts import Part, text
from kafka_consumer_scaler.api.rules import Rule, TextRule, schema_of

CA_KEY: Final = "ca.crt"
CERTIFICATE_KEY: Final = "tls.crt"
PRIVATE_KEY_KEY: Final = "tls.key"
ALL_NAMESPACES: Final = "*"


class SaslMechanism(StrEnum):
    """How to authenticate by SASL."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"
    AWS_MSK_IAM = "AWS_MSK_IAM"


class ConnectionKind(StrEnum):
    """Where a shared connection is kept."""

    KAFKA_CONNECTION = "KafkaConnection"
    CLUSTER_KAFKA_CONNECTION = "ClusterKafkaConnection"


_BY_PASSWORD: Final = (SaslMechanism.PLAIN, SaslMechanism.SCRAM_SHA_256, SaslMechanism.SCRAM_SHA_512)
_SAFE_IN_THE_CLEAR: Final = (SaslMechanism.SCRAM_SHA_256, SaslMechanism.SCRAM_SHA_512)

_SUBDOMAIN: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_SECRET = TextRule(_SUBDOMAIN, "name must be a Secret's name: lower case letters, digits, '-' or '.'")
_CONNECTION = TextRule(_SUBDOMAIN, "name must be the connection's name: lower case letters, digits, '-' or '.'")
_KEY = TextRule("[A-Za-z0-9._-]+", "key must be a key of a Secret: letters, digits, '.', '_' or '-'")
_PRINTABLE = TextRule(
    r"[\x00-\x1f\x7f-\x9f]", "a user, client id or scope must not contain control characters", forbidden=True
)
_REGION = TextRule("[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2}", "region must be a region of AWS, such as eu-central-1")
_EXTENSION = TextRule("[A-Za-z]{1,64}", "an extension's name is made of letters")
_NOT_AUTH = TextRule("(?i)^auth$", "an extension must not be named auth: the token goes there", forbidden=True)
_EXTENSION_VALUE = TextRule(
    "[!-+.-~-]+", "an extension's value is made of printable ASCII characters without space and comma"
)
_NAMESPACE = TextRule(
    r"\*|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", "a namespace's name is made of lower case letters, digits and '-'; * is all"
)

_EXACTLY_ONE = Rule(
    "has(self.bootstrapServers) != has(self.connectionRef)",
    "exactly one of bootstrapServers and connectionRef must be set",
)
_BESIDE_SERVERS = Rule(
    "!has(self.connectionRef) || !(has(self.tls) || has(self.sasl))",
    "tls and sasl belong to bootstrapServers: with connectionRef the connection has them",
    "connectionRef",
)
_NEEDS_TLS = Rule(
    "!has(self.sasl) || has(self.tls) || self.sasl.mechanism.startsWith('SCRAM-')",
    "sasl.mechanism PLAIN, OAUTHBEARER or AWS_MSK_IAM sends a secret and needs tls: set tls, {} for the system's CAs",
    "sasl.mechanism",
)
_PASSWORD = Rule(
    "self.mechanism in ['OAUTHBEARER', 'AWS_MSK_IAM']"
    " ? !(has(self.username) || has(self.usernameSecretRef) || has(self.passwordSecretRef))"
    " : has(self.passwordSecretRef) && has(self.username) != has(self.usernameSecretRef)",
    "sasl: PLAIN and SCRAM need passwordSecretRef and one of username and usernameSecretRef; others take none",
    "mechanism",
)
_OAUTH = Rule(
    "has(self.oauth) == (self.mechanism == 'OAUTHBEARER')",
    "sasl: OAUTHBEARER needs oauth; other mechanisms do not take it",
    "mechanism",
)
_AWS = Rule(
    "has(self.aws) == (self.mechanism == 'AWS_MSK_IAM')",
    "sasl: AWS_MSK_IAM needs aws; other mechanisms do not take it",
    "mechanism",
)

SecretName = Annotated[str, text(253, _SECRET), AfterValidator(_SECRET.require)]
SecretKey = Annotated[str, text(253, _KEY), AfterValidator(_KEY.require)]
Printable = Annotated[str, text(255, _PRINTABLE), AfterValidator(_PRINTABLE.require)]


def _extension_name(name: str) -> str:
    return _NOT_AUTH.require(_EXTENSION.require(name))


class SecretKeyRef(Part):
    """One key of a Secret in the resource's own namespace."""

    name: SecretName
    """Name of the Secret."""
    key: SecretKey
    """Key in the Secret."""


class CaSecretRef(Part):
    """A key with trusted certificates (PEM) of a Secret in the resource's own namespace."""

    name: SecretName
    """Name of the Secret."""
    key: SecretKey = CA_KEY
    """Key in the Secret."""


class CertificateSecretRef(Part):
    """A Secret of type kubernetes.io/tls in the resource's own namespace."""

    name: SecretName
    """Name of the Secret, with the keys `tls.crt` and `tls.key`."""


class TlsSpec(Part):
    """Encryption; certificates and host names are always verified. `{}` trusts the CAs of the operator's image."""

    ca_secret_ref: CaSecretRef | None = None
    """Certificates (PEM) that are trusted instead of those of the operator's image."""
    certificate_secret_ref: CertificateSecretRef | None = None
    """The client's certificate and key, for brokers that ask for one. The key must not be encrypted."""


class SaslExtension(Part):
    """A SASL extension, such as Confluent Cloud's `logicalCluster`."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=64, json_schema_extra=schema_of(_EXTENSION, _NOT_AUTH)),
        AfterValidator(_extension_name),
    ]
    """Name of the extension."""
    value: Annotated[str, text(255, _EXTENSION_VALUE), AfterValidator(_EXTENSION_VALUE.require)]
    """Its value."""


class OauthSpec(Part):
    """Tokens by OIDC's client credentials grant."""

    token_endpoint: TokenEndpoint
    """The identity provider's token endpoint, an https URL."""
    client_id: Printable
    """Client id at the identity provider."""
    client_secret_ref: SecretKeyRef
    """Where the client's secret is."""
    scope: Printable | None = None
    """Scope to ask for."""
    ca_secret_ref: CaSecretRef | None = None
    """Certificates (PEM) that are trusted at the token endpoint instead of those of the operator's image."""
    extensions: Annotated[tuple[SaslExtension, ...], Field(max_length=16)] = Field(
        default=(),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """SASL extensions to send with the token."""

    @model_validator(mode="after")
    def _names_each_extension_once(self) -> Self:
        names = [each.name for each in self.extensions]
        if len(set(names)) < len(names):
            raise PydanticCustomError("rule", "extensions must not name an extension twice")
        return self


class AwsSpec(Part):
    """Amazon MSK by IAM, with the operator's own identity; its administrator must allow that."""

    region: Annotated[str, text(32, _REGION), AfterValidator(_REGION.require)]
    """AWS region of the brokers."""


class SaslSpec(Part):
    """Authentication. Which fields are needed depends on the mechanism."""

    model_config = ConfigDict(json_schema_extra=schema_of(_PASSWORD, _OAUTH, _AWS))

    mechanism: SaslMechanism
    """How to authenticate."""
    username: Printable | None = None
    """User for PLAIN and SCRAM."""
    username_secret_ref: SecretKeyRef | None = None
    """Where the user is, instead of `username`."""
    password_secret_ref: SecretKeyRef | None = None
    """Where the password for PLAIN and SCRAM is."""
    oauth: OauthSpec | None = None
    """Tokens for OAUTHBEARER."""
    aws: AwsSpec | None = None
    """Amazon MSK by IAM, for AWS_MSK_IAM."""

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        users = [each for each in (self.username, self.username_secret_ref) if each is not None]
        if self.mechanism in _BY_PASSWORD:
            _PASSWORD.require(self.password_secret_ref is not None and len(users) == 1)
        else:
            _PASSWORD.require(self.password_secret_ref is None and not users)
        _OAUTH.require((self.oauth is not None) == (self.mechanism is SaslMechanism.OAUTHBEARER))
        _AWS.require((self.aws is not None) == (self.mechanism is SaslMechanism.AWS_MSK_IAM))
        return self


class _Reached(Part):
    """What all forms share."""

    bootstrap_servers: BootstrapServers | None = None
    """Comma-separated host:port list of brokers to start from, such as `kafka-0:9092,kafka-1:9092`."""
    tls: TlsSpec | None = None
    """Encryption. Without it the connection is plain text."""
    sasl: SaslSpec | None = None
    """Authentication. Without it there is none but a client certificate's."""

    @model_validator(mode="after")
    def _sends_no_secret_in_the_clear(self) -> Self:
        _NEEDS_TLS.require(self.sasl is None or self.tls is not None or self.sasl.mechanism in _SAFE_IN_THE_CLEAR)
        return self


class KafkaConnectionSpec(_Reached):
    """Where a Kafka cluster is and how to be admitted."""

    model_config = ConfigDict(json_schema_extra=schema_of(_NEEDS_TLS))

    bootstrap_servers: BootstrapServers
    """Comma-separated host:port list of brokers to start from, such as `kafka-0:9092,kafka-1:9092`."""


class ClusterKafkaConnectionSpec(KafkaConnectionSpec):
    """Where a Kafka cluster is, how to be admitted, and who may use it. Secrets are in the operator's own namespace."""

    allowed_namespaces: Annotated[
        tuple[Annotated[str, text(63, _NAMESPACE), AfterValidator(_NAMESPACE.require)], ...],
        Field(min_length=1, max_length=1024, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """Namespaces whose KafkaConsumerScalers may use it; `*` is all of them."""

    def allows(self, namespace: str) -> bool:
        """Whether resources of the namespace may use it."""
        return bool({namespace, ALL_NAMESPACES} & set(self.allowed_namespaces))


class ConnectionRef(Part):
    """A connection that several resources share."""

    kind: ConnectionKind = ConnectionKind.KAFKA_CONNECTION
    """KafkaConnection of the resource's own namespace, or ClusterKafkaConnection, which an administrator keeps."""
    name: Annotated[str, text(253, _CONNECTION), AfterValidator(_CONNECTION.require)]
    """Name of the connection."""


class Kafka(_Reached):
    """The Kafka cluster that holds the consumer group: its servers, or the connection that knows them."""

    model_config = ConfigDict(json_schema_extra=schema_of(_EXACTLY_ONE, _BESIDE_SERVERS, _NEEDS_TLS))

    connection_ref: ConnectionRef | None = None
    """A shared connection, instead of `bootstrapServers`, `tls` and `sasl`."""

    @model_validator(mode="after")
    def _says_one_way(self) -> Self:
        _EXACTLY_ONE.require((self.bootstrap_servers is None) != (self.connection_ref is None))
        _BESIDE_SERVERS.require(self.connection_ref is None or (self.tls is None and self.sasl is None))
        return self

    def as_connection(self) -> KafkaConnectionSpec | None:
        """The connection that is written down here; None when another resource has it."""
        if self.bootstrap_servers is None:
            return None
        return KafkaConnectionSpec.model_construct(
            bootstrap_servers=self.bootstrap_servers, tls=self.tls, sasl=self.sasl
        )
