"""Rules of the resource: each is checked by the API server (CEL) and again here, with one and the same message.

The API server guards what users write; the second check guards against objects that an older CRD let through, and
manifests that the command line reads from files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its CEL expression over the object it stands on, what users read, and the field to blame."""

    cel: str
    message: str
    field: str = ""

    def as_schema(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        schema = {"rule": self.cel, "message": self.message}
        return schema | {"fieldPath": f".{self.field}"} if self.field else schema

    def require(self, holds: bool) -> None:
        """Refuse the value unless the rule holds."""
        if not holds:
            raise PydanticCustomError("rule", "{message}", {"message": self.message})


@dataclass(frozen=True, slots=True)
class TextRule:
    """A text must match a regular expression from end to end, or must not contain a match.

    The expression is in the syntax that RE2 (the API server) and Python share; it may not contain a quote.
    """

    pattern: str
    message: str
    forbidden: bool = False

    def as_schema(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        cel = f"!self.matches(r'{self.pattern}')" if self.forbidden else f"self.matches(r'^(?:{self.pattern})$')"
        return {"rule": cel, "message": self.message}

    def holds(self, text: str) -> bool:
        """Whether the text satisfies the rule."""
        find = re.search if self.forbidden else re.fullmatch
        return bool(find(self.pattern, text)) != self.forbidden

    def require(self, text: str) -> str:
        """The text itself, or a refusal."""
        if not self.holds(text):
            raise PydanticCustomError("rule", "{message}", {"message": self.message})
        return text


def schema_of(*rules: Rule | TextRule) -> dict[str, Any]:
    """What the JSON schema of a value carries for its rules."""
    return {"x-kubernetes-validations": [rule.as_schema() for rule in rules]}


def one_line(text: str, longest: int = 1024) -> str:
    """The text on one line of at most `longest` characters: control and other unprintable characters are escaped."""
    escaped = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return escaped if len(escaped) <= longest else escaped[: longest - 1] + "…"
