"""Which producers a namespace may have slowed down: the administrator's list. Pure; nothing is allowed by default."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.entities import Entity

FIELDS = ("namespaces", "clientIds", "users")


class BadAllowance(ValueError):
    """The list means nothing; the message is one line."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Namespaces that may slow these down. Each is a name, in which `*` stands for any characters."""

    namespaces: tuple[str, ...]
    client_ids: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    def admits(self, namespace: str, entity: Entity) -> bool:
        """Whether a resource of the namespace may slow the entity down."""
        names, name = (self.client_ids, entity.client_id) if entity.user is None else (self.users, entity.user)
        return _fits(self.namespaces, namespace) and _fits(names, name or "")


@dataclass(frozen=True, slots=True)
class Allowances:
    """All that is allowed; None for an operator that sets no quotas at all."""

    allowed: tuple[Allowance, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Allowances:
        """The list as JSON: `[{"namespaces": ["shop"], "clientIds": ["orders-*"], "users": []}]`; empty text is None.

        Raises BadAllowance.
        """
        if not text.strip():
            return cls()
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            raise BadAllowance("is no JSON") from None
        if not isinstance(entries, list):
            raise BadAllowance("is no list")
        return cls(tuple(_allowance(entry) for entry in entries))

    def refusal(self, namespace: str, entity: Entity) -> Unknown | None:
        """Why the namespace may not have it slowed down; None when it may."""
        if any(one.admits(namespace, entity) for one in self.allowed or ()):
            return None
        off = "quotas of producers are off" if self.allowed is None else f"namespace {namespace} may not slow down " \
            f"{entity}"
        said = f"{off}: the operator's administrator can allow it (producerQuotas in the chart)"
        return Unknown(said, Reason.QUOTA_NOT_PERMITTED)


def _allowance(entry: Any) -> Allowance:
    if not isinstance(entry, dict) or set(entry) - set(FIELDS):
        raise BadAllowance(f"has an entry that is no object of {', '.join(FIELDS)}")
    namespaces, client_ids, users = (_names(entry.get(name, [])) for name in FIELDS)
    if not namespaces:
        raise BadAllowance("has an entry without namespaces")
    return Allowance(namespaces, client_ids, users)


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise BadAllowance("has what is no list of names")
    return tuple(values)


def _fits(patterns: Sequence[str], name: str) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, each.split("*"))), name, re.DOTALL) for each in patterns)
