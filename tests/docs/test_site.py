"""The documentation as a site: every page is in the navigation, every link leads somewhere, nothing is remote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs import concept_pictures
from tests.docs.pages import ROOT, page
from tests.docs.site_hooks import expanded, with_links

DOCS = ROOT / "docs"


@dataclass
class Parsed(HTMLParser):
    """What one page of the site refers to, and what can be referred to in it."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a":
            self.links += [given["href"]] if "href" in given else []
        else:
            self.loaded += [given[name] for name in ("href", "src") if name in given]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {"PATH": os.environ["PATH"], "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def parsed(site: Path) -> dict[Path, Parsed]:
    found = {path: Parsed() for path in site.rglob("*.html") if path.name != "404.html"}
    for path, one in found.items():
        one.feed(path.read_text())
    return found


def listed(nav: Any) -> Iterator[str]:
    """The pages of a navigation, in its order."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(part)


def test_every_page_is_in_the_navigation_once() -> None:
    without_tags = re.sub(r"!!python\S*|!ENV", "", (ROOT / "mkdocs.yml").read_text())
    nav = Counter(listed(expanded(yaml.safe_load(without_tags)["nav"], DOCS)))
    assert nav == dict.fromkeys((path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")), 1)


def test_every_link_anchor_and_picture_of_the_site_is_there(parsed: dict[Path, Parsed]) -> None:
    lost = []
    for path, one in parsed.items():
        for link in one.links + one.loaded:
            target, _, anchor = link.partition("#")
            file = (path.parent / target).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            is_ours = ":" not in link
            if is_ours and (not file.exists() or (anchor and file in parsed and anchor not in parsed[file].anchors)):
                lost.append(f"{path.name}: {link}")
    assert lost == []
    assert sum(len(one.links) for one in parsed.values()) > 1000


def test_nothing_is_loaded_from_elsewhere(site: Path, parsed: dict[Path, Parsed]) -> None:
    loaded = {address for one in parsed.values() for address in one.loaded}
    assert any(address.endswith(".js") for address in loaded)
    assert [address for address in loaded if re.match(r"(\w+:)?//", address)] == []
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:\w+:)?//[^)]*\)|@import", styles) == []
    assert [path for path in parsed if 'class="mermaid"' in path.read_text()] == [], "its script would be fetched"


def test_a_link_out_of_the_documentation_leads_to_the_repository_or_is_words() -> None:
    text = "[a](../README.md) [b](../../x/y.py#z) [c](../other.md)\n```\n[d](../README.md)\n```\n"
    assert with_links(text, "guides/one.md", "https://host/x/blob/main/") == (
        "[a](../README.md) [b](https://host/x/blob/main/x/y.py#z) [c](../other.md)\n```\n[d](../README.md)\n```\n")
    assert with_links("[a](../README.md#use)", "one.md", "") == "a"


def test_a_folder_in_the_navigation_stands_for_its_pages_and_an_empty_one_for_none(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("a.md", "README.md", "z.txt"):
        (tmp_path / "b" / name).write_text("")
    assert expanded([{"B": "b/*"}, {"C": "c/*"}, "d.md"], tmp_path) == [{"B": ["b/README.md", "b/a.md"]}, "d.md"]


def test_the_pictures_of_the_concepts_are_those_that_are_drawn(tmp_path: Path) -> None:
    shown = {Path(link).name for link in page("docs/concepts.md").links() if link.startswith("pictures/")}
    assert shown == set(concept_pictures.PICTURES)
    concept_pictures.draw(tmp_path)
    assert all((tmp_path / name).stat().st_size > 10_000 for name in shown)


def test_what_the_concepts_say_of_the_simulated_run_is_so() -> None:
    text, run = page("docs/concepts.md").text, concept_pictures.played()
    (at, before, after), *later = run.scales
    assert (before, after) == (1, 6)
    assert f"{at - 300:.0f} s after the step" in text
    assert "so six are asked for" in text
    assert f"The oldest record of the run is {run.lag_seconds.max():.0f} s old" in text
    assert later[0][1:] == (6, 4)
    assert "When the age is\ndown again, 4 remain" in text
    assert (later[1][0] - 900) / 60 == 5.5
    assert "five and a half minutes\nlater" in text
