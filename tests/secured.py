"""Connections to the environment's secured broker, and the ACLs that the documentation asks for."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Oauth, Sasl, Tls
from tests.environment import Environment
from tests.environment.model import BrokerSecurity
from tests.oidc import Provider
from tests.planted import SUITE

OPERATOR_NEEDS = (
    (ResourceType.GROUP, "*", AclOperation.DESCRIBE),
    (ResourceType.TOPIC, "*", AclOperation.DESCRIBE),
    (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE),
    (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE_CONFIGS),
)
"""What docs/guides/secured-brokers.md lets the operator do."""


KNOWN_SECONDS = 180.0


def allow(servers: str, user: str, *needs: tuple[ResourceType, str, AclOperation]) -> None:
    """Let a user do this from anywhere, and return when the broker knows it; doing it twice changes nothing."""
    literal, allowed = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    bindings = [AclBinding(kind, name, literal, f"User:{user}", "*", what, allowed) for kind, name, what in needs]
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.create_acls(bindings).values():
        done.result()
    everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None,
                                  AclOperation.ANY, AclPermissionType.ANY)
    until = time.monotonic() + KNOWN_SECONDS
    while not set(bindings) <= set(admin.describe_acls(everything).result()):
        assert time.monotonic() < until, f"the broker does not know what {user} may do"
        time.sleep(0.05)


@dataclass(frozen=True)
class SecuredBroker:
    """The environment's broker by its secured listeners; its operator has the documented ACLs."""

    security: BrokerSecurity

    @classmethod
    def of(cls, environment: Environment) -> SecuredBroker:
        """Raises Unsupported where there is none."""
        security = environment.security()
        allow(environment.kafka_bootstrap_servers, "operator", *OPERATOR_NEEDS)
        return cls(security)

    @property
    def tls(self) -> Tls:
        """Trust in the broker's authority, and no certificate of our own."""
        return Tls(self.security.ca_pem)

    def by_password(self, mechanism: Mechanism, user: str = "operator", password: str | None = None) -> Connection:
        """PLAIN or SCRAM."""
        known = self.security.users.get(user, "")
        secret = SUITE.plant(known if password is None else password, f"a password of {user}")
        sasl = Sasl(mechanism, user, secret)
        return Connection(self.security.sasl_servers, self.tls, sasl)

    def by_certificate(self) -> Connection:
        """Mutual TLS."""
        security = self.security
        mutual = replace(
            self.tls, certificate_pem=security.client_certificate_pem, private_key_pem=security.client_key_pem
        )
        return Connection(security.tls_servers, mutual)

    def by_token(self, provider: Provider, client: str = "operator", secret: str | None = None) -> Connection:
        """OAUTHBEARER by a provider."""
        known = provider.clients.get(client, "")
        secret = SUITE.plant(known if secret is None else secret, f"a client secret of {client}")
        oauth = Oauth(provider.token_endpoint, client, secret, ca_pem=self.security.ca_pem)
        return Connection(self.security.sasl_servers, self.tls, Sasl(Mechanism.OAUTHBEARER, oauth=oauth))
