"""The comparison as a page's section and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks import reality_scene as scene
from benchmarks.reality_figures import Comparison, Figures
from tests.demo.timeline import Row

BLUE, VERMILION, GREY, ORANGE = "#0072B2", "#D55E00", "#555555", "#E69F00"
"""Of the palette of Okabe and Ito."""
SETTINGS: Final = {"font.size": 10.0, "axes.spines.top": False, "axes.spines.right": False}


def page(one: Comparison) -> str:
    """The generated section: what was played, the figures, and what the simulated group was given."""
    return "\n".join([
        f"Played on {one.real.day} ({one.real.machine}): {scene.told()}, on {scene.PARTITIONS} partitions.", "",
        "![arrival, age of the oldest record and replicas, real and simulated](pictures/reality.png)", "",
        *_table(figure_rows(one)), "",
        "The simulated group was given:", "",
        *_table(parameter_rows(one)),
    ])


def text(one: Comparison) -> str:
    """The same for a terminal, with the goals and every look that was decided otherwise."""
    title = f"reality: {scene.told()} ({one.real.machine})"
    tables = [*_table(figure_rows(one)), "", *_table(parameter_rows(one)), ""]
    return "\n".join([title, "", *tables, *one.otherwise, *map(str, one.goals())])


def figure_rows(one: Comparison) -> list[tuple[str, ...]]:
    """The heading, then a row for each figure: real, simulated, and the difference of the median."""
    real, seeds = one.figures, one.simulated
    plain: list[tuple[str, str, Callable[[Figures], float]]] = [
        ("replica-seconds", ",.0f", lambda each: each.replica_seconds),
        ("oldest record, seconds", ".1f", lambda each: each.age_seconds_max),
        ("largest lag, records", ",.0f", lambda each: each.lag_max),
        ("seconds over the objective", ".0f", lambda each: each.seconds_over),
    ]
    return [
        ("", "real", f"simulated, {len(seeds)} seeds: median (least to most)", "difference"),
        *((name, *_cells(get(real), [get(each) for each in seeds], form)) for name, form, get in plain),
        ("replicas", _route(real.counts), _routes(seeds), f"{one.alike} of {len(seeds)} seeds are as the real run"),
        *_time_rows(one),
    ]


def parameter_rows(one: Comparison) -> list[tuple[str, ...]]:
    """The heading, then what the plant was given and whence it is known."""
    plant, found = one.measured.plant(), one.measured
    starts = f"{min(found.pod_starts):.1f} to {max(found.pod_starts):.1f} s"
    return [
        ("what", "value", "known from"),
        ("partitions, assignor", f"{plant.partitions}, {plant.assignor}", "the manifests"),
        ("commits", f"every {plant.commit_seconds:g} s", "the manifests"),
        ("policy", "the default manifest, `maxReplicas: 12`", "the manifests"),
        ("the operator's looks", f"{len(found.looks_at)}, from {found.looks_at[0]:.0f} s on", "the run: its recording"),
        ("capacity", f"{plant.capacity:g} records/s", f"the run: the first consumer while behind; "
         f"{1 / scene.WORK_SECONDS:g} by its manifest"),
        ("start of a pod", starts, f"the run: {len(found.pod_starts)} new consumers"),
        ("rebalance", f"{plant.rebalance_seconds:g} s", f"the run: from a new consumer's first line to its partitions "
         f"({min(found.joins):.1f} to {max(found.joins):.1f} s)"),
    ]


def draw(one: Comparison, file: Path) -> None:
    """Write the PNG: arrival, age of the oldest record, replicas; real, and simulated under all seeds."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(11, 8.5), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 3))
        _arrival(panels[0], one)
        _ages(panels[1], one)
        _replicas(panels[2], one)
        for panel in panels:
            panel.set_ylim(bottom=0)
            panel.set_xlim(0, len(scene.arrival()))
            panel.grid(alpha=0.25)
        panels[0].set_title("One load, played for real and simulated", loc="left")
        panels[-1].set_xlabel("seconds since the load began")
        figure.savefig(file, dpi=100, format="png", metadata={"Software": None})


def _arrival(panel: Any, one: Comparison) -> None:
    arrival = scene.arrival()
    panel.fill_between(range(len(arrival)), arrival, step="post", color="#DDDDDD", linewidth=0, label="simulated")
    panel.plot(*_line(one.rows[3:], lambda each: each.arrival), color=BLUE, linewidth=1.2, label="real, over 3 s")
    panel.set_ylabel("arrival, records/s")
    panel.legend(loc="upper right", frameon=False)


def _ages(panel: Any, one: Comparison) -> None:
    objective = scene.policy().lag_seconds
    seen = [(each.seconds, each.age_seconds) for each in one.real.told if each.age_seconds is not None]
    panel.plot(*_line(one.rows, lambda each: each.lag_seconds), color=BLUE, linewidth=1.8, label="real")
    if seen:
        panel.plot(*zip(*seen, strict=True), color=GREY, linestyle=":", linewidth=1.2, label="real, by the status")
    _band(panel, one, lambda each: each.lag_seconds)
    at, middle = _line(_typical(one), lambda each: each.lag_seconds)
    panel.plot(at, middle, color=VERMILION, linestyle="--", linewidth=1.2, label="simulated, a typical seed")
    panel.axhline(objective, color=ORANGE, linewidth=1.6, label=f"objective {objective:g} s")
    panel.set_ylabel("age of the oldest record\nnot committed, seconds")
    panel.set_ylim(0, 1.3 * max([objective, *(each.lag_seconds for each in one.rows)]))
    panel.legend(loc="upper right", frameon=False, ncols=3)


def _replicas(panel: Any, one: Comparison) -> None:
    typical = _typical(one)
    for rows, colour, style, name in ((one.rows, BLUE, "-", "real"), (typical, VERMILION, "--", "simulated")):
        at, wanted = _line(rows, lambda each: each.replicas_spec)
        _, ready = _line(rows, lambda each: each.replicas_ready)
        panel.step(at, wanted, where="post", color=colour, linestyle=style, linewidth=1.8, label=f"{name}, asked for")
        panel.step(at, ready, where="post", color=colour, linestyle=":", linewidth=1.4, label=f"{name}, ready")
    _band(panel, one, lambda each: each.replicas_spec)
    panel.set_ylabel("replicas")
    panel.set_ylim(0, 1.3 * max(each.replicas_spec for rows in (one.rows, *one.simulated_rows) for each in rows))
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.legend(loc="upper right", frameon=False, ncols=3)


def _band(panel: Any, one: Comparison, value: Callable[[Row], float]) -> None:
    """From the least to the most of all seeds, second by second."""
    values = np.array([[value(each) for each in rows] for rows in one.simulated_rows])
    at = [each.seconds for each in one.simulated_rows[0]]
    panel.fill_between(at, values.min(axis=0), values.max(axis=0), step="post", color=VERMILION, alpha=0.2,
                       linewidth=0, label=f"simulated, {len(values)} seeds")  # fmt: skip


def _line(rows: Sequence[Row], value: Callable[[Row], float]) -> tuple[list[float], list[float]]:
    return [each.seconds for each in rows], [value(each) for each in rows]


def _typical(one: Comparison) -> Sequence[Row]:
    """The seed of the middle replica-seconds, and of those the one of the middle age."""
    ranked = sorted(
        zip(one.simulated, one.simulated_rows, strict=True),
        key=lambda pair: (pair[0].replica_seconds, pair[0].age_seconds_max),
    )
    return ranked[len(ranked) // 2][1]


def _cells(real: float, seeds: Sequence[float], form: str) -> tuple[str, str, str]:
    middle = median(seeds)
    spread = f"{middle:{form}} ({min(seeds):{form}} to {max(seeds):{form}})"
    difference = f"{100 * (middle - real) / real:+.1f}%" if real else f"{middle - real:+.0f}"
    return f"{real:{form}}", spread, difference


def _time_rows(one: Comparison) -> list[tuple[str, str, str, str]]:
    """When each change came; of the seeds with the real run's numbers of replicas."""
    alike = [each for each in one.simulated if each.counts == one.figures.counts]
    rows = []
    for number, (at, after) in enumerate(one.figures.path[1:], start=1):
        before = one.figures.counts[number - 1]
        times = [each.path[number][0] for each in alike]
        told = f"{median(times):.0f} s ({min(times):.0f} to {max(times):.0f})" if times else "-"
        difference = f"{round(median(times) - at):+d} s" if times else "-"
        rows.append((f"{before} to {after} replicas at", f"{at:.0f} s", told, difference))
    return rows


def _route(counts: Sequence[int]) -> str:
    return " → ".join(map(str, counts))


def _routes(seeds: Sequence[Figures]) -> str:
    """Each sequence of replicas with the number of its seeds, the most frequent first."""
    routes = [_route(each.counts) for each in seeds]
    ranked = sorted(set(routes), key=lambda route: (-routes.count(route), route))
    return "; ".join(f"{route} ({routes.count(route)})" for route in ranked)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    heading, *others = rows
    return [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *others)]
