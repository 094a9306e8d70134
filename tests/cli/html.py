"""A page of HTML taken apart: its elements, its words, and whatever it asks for from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input", "rect", "line"}
ADDRESSES = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"}


class PageOf(HTMLParser):
    """Parsed when made; an element that is not closed in order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "tr":
            self._cells: list[str] = []
        if tag == "td":
            self._cells.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "tr" and self._cells:
            self.rows.append([cell.strip() for cell in self._cells])

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        self.words.append((inside, data))
        if "td" in self._open:
            self._cells[-1] += data

    def texts(self, tag: str) -> list[str]:
        """The words directly in elements of that name."""
        return [text for inside, text in self.words if inside == tag]

    def values(self, tag: str, name: str) -> list[str]:
        """The values of one attribute of all elements of that name."""
        return [attributes[name] for each, attributes in self.elements if each == tag and name in attributes]

    @property
    def text(self) -> str:
        """All words that are shown, each run of blanks as one."""
        return " ".join(" ".join(text for inside, text in self.words if inside != "style").split())

    def remote(self) -> list[str]:
        """Scripts, handlers of events, and addresses that are not the data itself."""
        scripts = [tag for tag, _ in self.elements if tag in {"script", "link", "iframe", "object", "embed", "base"}]
        handlers = [name for _, attributes in self.elements for name in attributes if name.startswith("on")]
        addresses = [value for _, attributes in self.elements for name, value in attributes.items()
                     if name in ADDRESSES and not value.startswith("data:")]
        styles = [text for inside, text in self.words if inside == "style" and re.search(r"url\(|@import|//", text)]
        return scripts + handlers + addresses + styles
