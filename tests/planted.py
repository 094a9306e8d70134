"""Values that no output may hold: secrets are planted, and all that the operator says is searched for them.

A test searches what it knows of by `found_in`. What the whole suite planted and got to read is searched at the end of
the session, by tests/spilled.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

MARK = "planted&"
GROUP = r"@[^]@]*$"
LEAST_LENGTH = 12
"""A shorter value may occur by chance, and is not searched for at the end."""


@dataclass
class Suite:
    """Every secret value that was planted, with the name that may be told; and what was said, by test and source."""

    values: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)

    def plant(self, value: str, name: str) -> str:
        """The value, searched for from now on: a key of several lines by each of them."""
        for line in (each for each in value.splitlines() if not each.startswith("-----")):
            if len(line) >= LEAST_LENGTH:
                self.values.setdefault(line, name)
        return value

    def say(self, source: str, text: str) -> str:
        """The text, searched at the end of the session."""
        if text:
            self.said.append((f"{current_test()}, {source}", text))
        return text


SUITE = Suite()


@dataclass
class Planted:
    """Secret values, each of its own, and where they came to light."""

    values: list[str] = field(default_factory=list)

    def new(self, template: str = "{}") -> str:
        """A value that occurs nowhere else, in the place of {}; only that part of the template is secret."""
        word = SUITE.plant(f"{MARK}{uuid.uuid4().hex}", f"a value planted by {current_test()}")
        self.values.append(word)
        return template.format(word)

    def found_in(self, text: str) -> list[str]:
        """The values that the text holds: as they are, in Base64, quoted for a URL or escaped."""
        return [value for value in self.values if any(form in text for form in forms(value))]


def forms(value: str) -> set[str]:
    """Base64 depends on what stands before: of each of the three alignments what is always the same."""
    aligned = (base64.b64encode(b"x" * shift + value.encode()).decode()[4 if shift else 0:-4] for shift in range(3))
    return {value, value.removeprefix(MARK), quote(value), quote_plus(value), json.dumps(value)[1:-1], *aligned}


def current_test() -> str:
    """`tests/cluster/test_run.py::test_it_ends`; pytest adds the phase, and xdist the group."""
    return re.sub(GROUP, "", os.environ.get("PYTEST_CURRENT_TEST", "outside of a test").rsplit(" (", 1)[0])
