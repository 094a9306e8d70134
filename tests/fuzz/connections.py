"""Connections drawn from the generated CRDs, each mechanism with what it needs; and Secrets with anything in them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from kafka_consumer_scaler.api.crd import DEFINITIONS
from kafka_consumer_scaler.control.permissions import Pattern, Permissions
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kube.secrets import Secret
from tests.control.fakes import Outside, Vault, resolver
from tests.fuzz.schemas import SPEC, Schema, broken, right, schema_of
from tests.fuzz.values import json_values, mostly, texts
from tests.planted import SUITE

SPECS: Mapping[str, Schema] = {each.kind: schema_of(each.as_object(), "spec") for each in DEFINITIONS[1:]}
"""The kinds that hold a connection."""
KAFKA = SPEC["properties"]["kafka"]
PLANTED = SUITE.plant("planted-s3cret", "the value in drawn Secrets")
BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def reaching(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Servers with what may stand beside them, so that the rules between fields are kept."""
    every = {name: right(inner) for name, inner in schema["properties"].items()}
    needed = {name: every[name] for name in {"bootstrapServers", *schema.get("required", ())}}
    with_sasl = {**needed, "tls": every["tls"], "sasl": _authenticating(schema["properties"]["sasl"])}
    return st.fixed_dictionaries(with_sasl) | st.fixed_dictionaries(needed, optional={"tls": every["tls"]})


def _authenticating(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    every = {name: right(inner) for name, inner in schema["properties"].items()}
    ways = [*(({"mechanism": st.sampled_from(BY_PASSWORD)}, (user, "passwordSecretRef"))
              for user in ("username", "usernameSecretRef")),
            ({"mechanism": st.just("OAUTHBEARER")}, ("oauth",)), ({"mechanism": st.just("AWS_MSK_IAM")}, ("aws",))]
    return st.one_of([st.fixed_dictionaries(way | {name: every[name] for name in names}) for way, names in ways])


_refs = st.fixed_dictionaries({"connectionRef": right(KAFKA["properties"]["connectionRef"])})
kafkas = mostly(reaching(KAFKA), broken(KAFKA), _refs)
"""Of a KafkaConsumerScaler."""


def shared(kind: str) -> st.SearchStrategy[Any]:
    """Specs of a kind that holds a connection; many of them are for all namespaces."""
    drawn, for_all = reaching(SPECS[kind]), {"allowedNamespaces": ["*"]}
    usable = drawn.map(lambda spec: spec | (for_all if "allowedNamespaces" in spec else {}))
    return mostly(usable, drawn, broken(SPECS[kind]))


permissions = mostly(st.just(Permissions(allow_aws_iam=True)), st.builds(
    Permissions, st.sampled_from([(), (Pattern.parse("kafka"),)]),
    st.sampled_from([(), (Pattern.parse("10.0.0.0/8"), Pattern.parse("*.example.com:443"))]),
    allow_aws_iam=st.booleans()))


class AnyKey(dict[str, Any]):
    """Data in which every key has a value: that of "" where it has none of its own."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, self[""])


def secrets(pki: Mapping[str, str]) -> st.SearchStrategy[AnyKey | Unknown]:
    """What any Secret holds: mostly what it should, else text, bytes, what is no base64, or no text at all."""
    commented = f"# größer\n{pki['one.crt']}"
    pems = st.sampled_from([*pki.values(), commented, pki["one.crt"] + "\0", pki["one.crt"].replace("M", "ü")])
    words = st.sampled_from([PLANTED, f"{PLANTED}\n", "a" * 8193, ""]) | texts
    raw = (pems | words).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=20)
    junk = raw.map(lambda value: base64.b64encode(value).decode()) | json_values

    def good(*texts: str) -> st.SearchStrategy[Any]:
        return mostly(st.sampled_from([base64.b64encode(text.encode()).decode() for text in texts]), junk)

    held = {"ca.crt": good(pki["two.crt"], commented), "tls.crt": good(pki["one.crt"], commented),
            "tls.key": good(pki["one.key"]), "": good(PLANTED, commented, pki["two.crt"])}
    unread = st.just(Unknown("there is none", Reason.SECRET_NOT_FOUND))
    return mostly(st.fixed_dictionaries(held).map(AnyKey), unread)


@dataclass
class Everything(Vault):
    """A vault in which every Secret is the same, and every shared connection too."""

    held: AnyKey | Unknown = field(default_factory=lambda: Unknown("there is none"))
    connection: Mapping[str, Any] | Unknown = field(default_factory=lambda: Unknown("there is none"))

    async def secret(self, namespace: str, name: str) -> Secret | Unknown:
        return self.held if isinstance(self.held, Unknown) else Secret(namespace, name, self.held)

    async def namespaced(self, namespace: str, name: str) -> Mapping[str, Any] | Unknown:
        return self.connection


async def resolved(body: Mapping[str, Any], vault: Vault, allowed: Permissions) -> Connection | Unknown | None:
    """The connection of a readable resource; None when none was found in time."""
    registry = Registry(Outside())
    registry.put(body)
    (watched,) = registry.all()
    lookups = resolver(registry, vault, allowed, refresh_seconds=60)
    for _ in range(100):
        lookups.follow()
        if watched.connection is not None:
            break
        await asyncio.sleep(0)
    await lookups.stop()
    return watched.connection


def unfit(found: Connection | Unknown | None) -> list[str]:
    """What is wrong with an answer to how a cluster is reached."""
    if not isinstance(found, Connection):
        said = found.why if found else "it was not looked up"
        return [said] if PLANTED in said or "was not looked up" in said or not said.isprintable() else []
    problem, properties = found.problem(), found.as_librdkafka()
    wrong = {
        "the address is another": properties["bootstrap.servers"] != found.bootstrap_servers,
        "a secret is shown": PLANTED in repr(found) or PLANTED in problem,
        "the problem is no plain line": not problem.isprintable(),
        "it does not survive the pipe": Connection.from_json(found.as_json()) != found,
    }
    return [complaint for complaint, is_so in wrong.items() if is_so]
