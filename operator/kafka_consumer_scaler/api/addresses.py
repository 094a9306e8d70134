"""What an address may look like: `host:port` of a broker, https URL of an identity provider, and nothing else.

A host is a name whose last label starts with a letter, a dotted IPv4 address, or an IPv6 address in brackets. That
leaves out other protocols (`file://`) and the other spellings of an IPv4 address that resolvers accept: 2852039166,
0xa9fea9fe and 0251.0376.0251.0376 are all 169.254.169.254. Link-local addresses, where clouds serve their instance
metadata, are refused, also when mapped into IPv6. What a name resolves to is not known here: that is for a
NetworkPolicy, and for the operator's list of allowed addresses.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from kafka_consumer_scaler.api.rules import TextRule, schema_of

_LABEL_END = "(?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_NAME = rf"(?:[A-Za-z0-9_]{_LABEL_END}\.)*[A-Za-z]{_LABEL_END}\.?"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_IPV6 = r"\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]"
_PORT = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9][0-9]|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST = f"(?:{_NAME}|{_IPV4}|{_IPV6})"
_SERVER = f"{_HOST}:{_PORT}"
_LINK_LOCAL = r"(?:169\.254\.|\[fe[89ab][0-9a-f]:|\[[0-9a-f:]*:(?:169\.254\.|a9fe:[0-9a-f]+\])|\[fd00:ec2:)"

NO_URL = TextRule("://", "bootstrapServers must be host:port pairs, not URLs: leave out the scheme", forbidden=True)
HOST_AND_PORT = TextRule(
    f"{_SERVER}(?:,{_SERVER})*",
    "bootstrapServers must be a comma-separated list of host:port without spaces, such as kafka:9092",
)
NOT_LINK_LOCAL = TextRule(
    f"(?i)(?:^|,){_LINK_LOCAL}",
    "bootstrapServers must not name link-local or cloud metadata addresses such as 169.254.169.254",
    forbidden=True,
)
HTTPS_URL = TextRule(
    rf"https://{_HOST}(?::{_PORT})?(?:[/?][A-Za-z0-9._~!$&()*+,;=:@%/?-]*)?",
    "tokenEndpoint must be an https URL without user and fragment, such as https://login.example.com/oauth2/token",
)
NO_METADATA = TextRule(
    rf"(?i)^https://(?:{_LINK_LOCAL}|metadata(?:\.google\.internal)?\.?(?:[:/?]|$))",
    "tokenEndpoint must not name link-local or cloud metadata addresses such as 169.254.169.254",
    forbidden=True,
)


def _checked_servers(servers: str) -> str:
    for rule in (NO_URL, HOST_AND_PORT, NOT_LINK_LOCAL):
        rule.require(servers)
    return servers


def _checked_url(url: str) -> str:
    for rule in (HTTPS_URL, NO_METADATA):
        rule.require(url)
    return url


BootstrapServers = Annotated[
    str,
    Field(min_length=1, max_length=1024, json_schema_extra=schema_of(NO_URL, HOST_AND_PORT, NOT_LINK_LOCAL)),
    AfterValidator(_checked_servers),
]
TokenEndpoint = Annotated[
    str,
    Field(min_length=1, max_length=1024, json_schema_extra=schema_of(HTTPS_URL, NO_METADATA)),
    AfterValidator(_checked_url),
]
