"""The pictures of docs/explain.md: `python -m tests.docs.explain_picture` makes them anew.

Each is what `explain --html` writes of an example, or the beginning of it; a browser on the PATH draws it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kafka_consumer_scaler.cli.html import explain_page
from tests.docs.explained import example, held_example
from tests.docs.pages import ROOT

PICTURE: Final = ROOT / "docs" / "pictures" / "explain.png"
LOOP_PICTURE: Final = ROOT / "docs" / "pictures" / "explain-loop.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
NO_BROWSER = "no browser is installed (Debian: apt-get install chromium)"
WIDTH, HEIGHT, MARGIN = 1060, 6000, 24
"""Pixels; the height is more than any page has, and what is empty below the page is cut off."""
SECONDS = 120.0


def main() -> int:
    """Draw them; answers the exit code: 3 without a browser."""
    found = browser()
    if found is None:
        print(f"explain_picture: {NO_BROWSER}", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder:
        draw(found, explain_page(*example()), Path(folder), PICTURE)
        draw(found, loop_page(), Path(folder), LOOP_PICTURE)
    print(*(picture.relative_to(ROOT) for picture in (PICTURE, LOOP_PICTURE)), sep="\n")
    return 0


def loop_page() -> str:
    """The report of the group whose producers are held back, down to both sides of the loop."""
    page = explain_page(*held_example())
    return page[:page.index("<h2>Replicas</h2>")] + "</main></body></html>"


def browser() -> str | None:
    """The program that draws; None when there is none on the PATH."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def draw(program: str, page: str, folder: Path, picture: Path) -> None:
    """Write the page as a picture. Raises CalledProcessError."""
    file, drawn = folder / "page.html", folder / "page.png"
    file.write_text(page)
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
               "--disable-background-networking", f"--user-data-dir={folder}/profile",
               f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={drawn}", f"file://{file}")
    subprocess.run([program, *options], check=True, capture_output=True, timeout=SECONDS)
    with Image.open(drawn) as whole:
        Image.fromarray(cut(np.asarray(whole.convert("RGB")))).quantize(256).save(picture, optimize=True)


def cut(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows down to the last one with anything in it, and a margin."""
    written = np.flatnonzero((pixels != pixels[-1, -1]).any(axis=(1, 2)))
    return np.ascontiguousarray(pixels[: written[-1] + 1 + MARGIN])


if __name__ == "__main__":
    sys.exit(main())
