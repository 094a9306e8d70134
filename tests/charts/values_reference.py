"""docs/reference/values.md from the chart's schema (words, types) and values.yaml (defaults).

`python -m tests.charts.values_reference` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.charts.rendering import CHART, REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "values.md"
HEAD = """# Values of the Helm chart

Generated from `values.schema.json` and `values.yaml` of the chart; a value that is not listed here is refused.

| value | default | meaning |
|---|---|---|
"""


@dataclass(frozen=True)
class Value:
    """One value of the chart, by its dotted path."""

    path: str
    schema: Mapping[str, Any]
    default: Any

    @property
    def row(self) -> str:
        default = json.dumps(self.default).replace("|", "\\|")
        return f"| `{self.path}` | `{default}` | {self.schema['description']}{self._choices} |\n"

    @property
    def _choices(self) -> str:
        return f" One of {', '.join(f'`{choice}`' for choice in self.schema['enum'])}." if "enum" in self.schema else ""


def schema() -> dict[str, Any]:
    """The chart's schema without `global`, which Helm adds to every chart's values."""
    whole: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    del whole["properties"]["global"]
    return whole


def defaults() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def values(node: Mapping[str, Any], default: Mapping[str, Any], prefix: str = "") -> Iterator[Value]:
    """Every value that the schema declares, leaves only, in its order."""
    for name, child in node["properties"].items():
        if "properties" in child:
            yield from values(child, default[name], f"{prefix}{name}.")
        else:
            yield Value(f"{prefix}{name}", child, default[name])


def comments() -> dict[str, str]:
    """The comment above each of the two upper levels' keys in values.yaml, by dotted path."""
    found, parent, lines = {}, "", list[str]()
    for line in (CHART / "values.yaml").read_text().splitlines():
        if comment := re.match(r" *# (.*)", line):
            lines.append(comment[1])
        elif key := re.match(r"( {2})?(\w+):", line):
            parent = parent if key[1] else key[2]
            found[f"{parent}.{key[2]}" if key[1] else parent] = " ".join(lines)
            lines = []
        else:
            lines = []
    return found


def page() -> str:
    return HEAD + "".join(value.row for value in values(schema(), defaults()))


if __name__ == "__main__":
    PAGE.write_text(page())
