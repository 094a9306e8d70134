"""The run as a picture: arrival and drain, lag and its age, replicas, and each decision with its sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from tests.demo import scene
from tests.demo.show import clock
from tests.demo.timeline import Change, Row, changes

mpl.use("Agg")
from matplotlib import pyplot

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
"""Of the palette of Okabe and Ito, told apart by everybody; lines differ in style too."""
TEXT_COLUMNS = 150


def draw(rows: Sequence[Row], file: Path, title: str) -> None:
    """Write the PNG; needs at least two rows."""
    changed = changes(rows)
    sentences = _sentences(changed)
    below = 0.3 + 0.17 * sentences.count("\n")
    figure, panels = pyplot.subplots(4, 1, sharex=True, figsize=(11, 9.0 + below), layout="constrained")
    at = [row.seconds for row in rows]
    _rates(panels[0], at, rows)
    _lag(panels[1], at, rows)
    _age(panels[2], at, rows)
    _replicas(panels[3], at, rows)
    for panel in panels:
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.25)
        _mark(panel, changed)
    panels[0].set_title(title, loc="left", pad=24)
    panels[-1].set_xlabel("seconds since the load began\n\n" + sentences, loc="left", fontsize=8.5)
    panels[-1].set_xlim(at[0], at[-1])
    figure.align_ylabels(panels)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def _rates(panel: Any, at: Sequence[float], rows: Sequence[Row]) -> None:
    panel.plot(at, [row.arrival for row in rows], color=VERMILION, linestyle="--", label="arrival")
    panel.plot(at, [row.drain for row in rows], color=BLUE, label="drain (committed)")
    panel.set_ylabel("records/s")
    panel.legend(loc="upper right")


def _lag(panel: Any, at: Sequence[float], rows: Sequence[Row]) -> None:
    panel.fill_between(at, [row.lag for row in rows], color=BLUE, alpha=0.2, linewidth=0)
    panel.plot(at, [row.lag for row in rows], color=BLUE, linewidth=1.2)
    panel.set_ylabel("lag, records")


def _age(panel: Any, at: Sequence[float], rows: Sequence[Row]) -> None:
    panel.plot(at, [row.lag_seconds for row in rows], color=BLUE, linewidth=1.2, label="age of the oldest record")
    panel.axhline(scene.LAG_SECONDS, color=VERMILION, linestyle="--", linewidth=1, label="objective")
    panel.set_ylabel("lag, seconds")
    panel.legend(loc="center right")


def _replicas(panel: Any, at: Sequence[float], rows: Sequence[Row]) -> None:
    spec, ready = [row.replicas_spec for row in rows], [row.replicas_ready for row in rows]
    panel.step(at, spec, where="post", color=VERMILION, linestyle="--", label="asked for")
    panel.step(at, ready, where="post", color=GREEN, linewidth=2, alpha=0.8, label="ready")
    panel.set_ylabel("replicas")
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.set_ylim(top=max(*spec, *ready) + 1)
    panel.legend(loc="upper right")


def _mark(panel: Any, changed: Sequence[Change]) -> None:
    """A line at each change; the top panel has its number and what changed."""
    first = panel.get_subplotspec().is_first_row()
    for number, change in enumerate(changed, 1):
        panel.axvline(change.seconds, color=GREY, linestyle=":", linewidth=1)
        if first:
            label = f"{number}: {change.before}→{change.after}"
            panel.annotate(label, (change.seconds, 1.02), xycoords=("data", "axes fraction"), fontsize=9, color=GREY)


def _sentences(changed: Sequence[Change]) -> str:
    """The decisions' sentences, numbered as the marks are."""
    lines = (f"{number}:  {clock(change.seconds)}  {change.sentence}" for number, change in enumerate(changed, 1))
    return "\n".join(textwrap.fill(line, TEXT_COLUMNS, subsequent_indent="      ") for line in lines)
