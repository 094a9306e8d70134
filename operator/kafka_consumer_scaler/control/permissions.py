"""What resources may make the operator do: which addresses, how many connections, whose identity.

Pure. A rule that is not set permits. What is refused is NOT_PERMITTED, with the rule that the administrator can change.

| pattern | admits |
|---|---|
| `kafka.shop` | that host, on any port |
| `kafka.shop:9092` | that host on that port |
| `*.kafka.shop` | every host below, not `kafka.shop` itself |
| `10.0.0.0/8`, `2001:db8::/32` | every address in it; a host given by name is not looked up, so never a name |
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

from kafka_consumer_scaler.api.reaching import KafkaConnectionSpec, SaslMechanism
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown

_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")
_URL = re.compile(r"https://(?P<host>\[[^\]]*\]|[^:/?]*)(?::(?P<port>[0-9]+))?", re.IGNORECASE)
_WITH_PORT = re.compile(r"(?P<host>[^:]+|\[[^\]]+\]):(?P<port>[0-9]{1,5})")

Asked = TypeVar("Asked", bound=Hashable)
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class BadPattern(ValueError):
    """The pattern means nothing; the message is one line."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Addresses that are admitted: those of a network, or a host by name, each on one port or on any (0)."""

    network: Network | None
    name: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern. Raises BadPattern."""
        with_port = _WITH_PORT.fullmatch(text)
        host, port = (with_port["host"], int(with_port["port"])) if with_port else (text, 0)
        network = _network(host.strip("[]"))
        if network is None and not _is_name(host):
            raise BadPattern(f"{text!r} is no host, host:port, *.suffix or network such as 10.0.0.0/8")
        return cls(network, "" if network else host.lower(), port)

    def admits(self, host: str, port: int) -> bool:
        """Whether the host, in lower case and without brackets, is admitted on the port."""
        if self.port not in (0, port):
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name


@dataclass(frozen=True, slots=True)
class Permissions:
    """The administrator's rules.

    Args:
        brokers: what bootstrap servers may be; empty means anything.
        identity_providers: what token endpoints may be; empty means anything.
        connections_per_namespace: how many different connections the resources of one namespace may use.
        allow_aws_iam: whether resources may use the operator's own AWS identity.
    """

    brokers: tuple[Pattern, ...] = ()
    identity_providers: tuple[Pattern, ...] = ()
    connections_per_namespace: int = 20
    allow_aws_iam: bool = False

    def refusal(self, spec: KafkaConnectionSpec, *, of_administrator: bool) -> Unknown | None:
        """Why the connection may not be used; None when it may.

        The addresses of a ClusterKafkaConnection are the administrator's own, so no list binds them; the operator's
        AWS identity is lent to nobody before the operator itself was told so.
        """
        sasl = spec.sasl
        if sasl and sasl.mechanism is SaslMechanism.AWS_MSK_IAM and not self.allow_aws_iam:
            return _refused("sasl.mechanism AWS_MSK_IAM would use the operator's own AWS identity", "allowAwsIam")
        if of_administrator:
            return None
        for host, port in servers_of(spec.bootstrap_servers):
            if not _admitted(self.brokers, host, port):
                return _refused(f"the broker {host}:{port} is not in the list of allowed brokers", "allowedBrokers")
        if sasl and sasl.oauth:
            host, port = endpoint_of(sasl.oauth.token_endpoint)
            if not _admitted(self.identity_providers, host, port):
                said = f"the identity provider {host}:{port} is not in the list of allowed ones"
                return _refused(said, "allowedIdentityProviders")
        return None

    def over_the_cap(self, asked: Mapping[Asked, tuple[str, tuple[float, str]]]) -> dict[Asked, Unknown]:
        """The connections that are too many for their namespace; those of the oldest resources are not.

        Args:
            asked: for each connection its namespace, and the seniority of the oldest resource that asks for it.
        """
        namespaces: dict[str, list[Asked]] = {}
        for one in sorted(asked, key=lambda one: asked[one][1]):
            namespaces.setdefault(asked[one][0], []).append(one)
        cap = self.connections_per_namespace
        return {one: _over(cap, namespace) for namespace, ones in namespaces.items() for one in ones[cap:]}


def parse_all(patterns: Iterable[str]) -> tuple[Pattern, ...]:
    """Every pattern, read. Raises BadPattern."""
    return tuple(map(Pattern.parse, patterns))


def servers_of(bootstrap_servers: str) -> list[tuple[str, int]]:
    """Host and port of each server, the host in lower case without brackets and final dot."""
    pairs = (server.rpartition(":") for server in bootstrap_servers.split(","))
    return [(_plain(host), int(port)) for host, _, port in pairs]


def endpoint_of(url: str) -> tuple[str, int]:
    """Host and port of an https URL; the host may be anything in brackets that looks like an IPv6 address."""
    found = _URL.match(url)
    return (_plain(found["host"]), int(found["port"] or 443)) if found else ("", 443)


def _admitted(patterns: tuple[Pattern, ...], host: str, port: int) -> bool:
    return not patterns or any(pattern.admits(host, port) for pattern in patterns)


def _refused(what: str, value: str) -> Unknown:
    return Unknown(f"{what}: the operator's administrator can allow it ({value} in the chart)", Reason.NOT_PERMITTED)


def _over(cap: int, namespace: str) -> Unknown:
    said = f"the resources of namespace {namespace} use more than {cap} different Kafka connections, this is not among "
    return _refused(f"{said}the first {cap}", "connectionsPerNamespace")


def _plain(host: str) -> str:
    return host.lower().removesuffix(".").strip("[]")


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    """An IPv4 address mapped into IPv6 counts as what it is."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_name(text: str) -> bool:
    """A name's last label is no number, so `10.0.0.0/33` and `10.0.0` are none."""
    return bool(_NAME.fullmatch(text)) and not text.rpartition(".")[2].isdigit()
