"""A part of a page of the docs that a benchmark makes anew, between its two marks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Section:
    """The part of a page between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

    page: Path
    name: str

    def read(self) -> str:
        """What stands between the marks. Raises ValueError when the page has none."""
        return self._parts()[1]

    def write(self, generated: str) -> None:
        """Put the text between the marks. Raises ValueError when the page has none, and leaves it alone."""
        before, _, after = self._parts()
        self.page.write_text(f"{before}\n\n{generated}\n\n{after}")

    def _parts(self) -> tuple[str, str, str]:
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        before, found, rest = self.page.read_text().partition(begin)
        between, found_too, after = rest.partition(end)
        if not (found and found_too):
            raise ValueError(f"{self.page}: no {begin} and {end}")
        return before + begin, between, end + after
