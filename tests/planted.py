"""Values that no output may hold: secrets are planted, and all that the operator says is searched for them."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus


@dataclass
class Planted:
    """Secret values, each of its own, and where they came to light."""

    values: list[str] = field(default_factory=list)

    def new(self, template: str = "{}") -> str:
        """A value that occurs nowhere else, in the place of {}; only that part of the template is secret."""
        word = f"planted&{uuid.uuid4().hex}"
        self.values.append(word)
        return template.format(word)

    def found_in(self, text: str) -> list[str]:
        """The values that the text holds: as they are, in Base64, quoted for a URL or escaped."""
        return [value for value in self.values if any(form in text for form in _forms(value))]


def _forms(value: str) -> set[str]:
    """Base64 depends on what stands before: of each of the three alignments what is always the same."""
    aligned = (base64.b64encode(b"x" * shift + value.encode()).decode()[4 if shift else 0:-4] for shift in range(3))
    return {value, value[8:], quote(value), quote_plus(value), json.dumps(value)[1:-1], *aligned}
