"""Whether memory stays: 200 groups, looked at every second for two hours, with records that come and are consumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

from matplotlib.figure import Figure

from benchmarks.cluster import BenchmarkFailed
from benchmarks.fleet import Fleet, fleet
from benchmarks.readings import resident_mib, usage
from benchmarks.report import RESULTS, Goal, Result
from tests.environment import Environment
from tests.environment.progress import Progress

GROUPS, INTERVAL_SECONDS = 200, 1
PROCESSES = 2
MINUTES = 120
LOAD_SECONDS = 10.0
WARM_UP_MINUTES, COMPARED_MINUTES = 15, 15
GROWTH_PERCENT_BELOW = 5.0
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "soak.png"


@dataclass(frozen=True)
class Look:
    """What one minute showed; memory in MiB, `minutes` since the start, CPU in seconds since the container's start."""

    minutes: float
    operator: float
    child: float
    working_set: float
    cpu_seconds: float
    polls: int

    @property
    def resident(self) -> float:
        return self.operator + self.child


def run(environment: Environment, progress: Progress, minutes: int = MINUTES) -> Result:
    """Install, load, look once a minute, remove."""
    with fleet(environment, INTERVAL_SECONDS) as served:
        with progress.step(f"{GROUPS} groups"):
            served.add(range(GROUPS))
        with progress.step(f"soaking for {minutes} minutes"), _load(served) as rounds:
            looks = list(_looks(served, minutes))
        return _result(looks, rounds(), served.neighbours())


@contextmanager
def _load(served: Fleet) -> Iterator[Callable[[], int]]:
    """Records in every partition, and each group's commit of them, every 10 s; answers how often that was."""
    ended, done, problems = Event(), [0], list[Exception]()

    def play() -> None:
        try:
            while not ended.wait(LOAD_SECONDS):
                served.groups.advance(range(GROUPS), done[0] + 1)
                done[0] += 1
        except (BenchmarkFailed, OSError) as problem:
            problems.append(problem)

    player = Thread(target=play, name="load")
    player.start()
    try:
        yield lambda: done[0]
    finally:
        ended.set()
        player.join()
    if problems:
        raise problems[0]


def _looks(served: Fleet, minutes: int) -> Iterator[Look]:
    began = time.monotonic()
    for minute in range(minutes + 1):
        time.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        resident, used = resident_mib(served), usage(served)
        if len(resident) < PROCESSES:  # a polling process that died is started again within seconds
            print(f"  {minute} min: {', '.join(resident)} alone", flush=True)
            continue
        look = Look((time.monotonic() - began) / 60, resident["operator"], resident["polling process"],
                    used.working_set_mib, used.cpu_seconds, served.polls())
        print(f"  {look.minutes:5.1f} min: operator {look.operator:.1f}, child {look.child:.1f}, working set "
              f"{look.working_set:.1f} MiB, {look.polls} polls", flush=True)
        yield look


def growth_percent(looks: Sequence[Look], value: Callable[[Look], float]) -> float:
    """How much more the last quarter of an hour has than the one after the warm-up, by their medians."""
    first = [value(each) for each in looks if 0 <= each.minutes - WARM_UP_MINUTES < COMPARED_MINUTES]
    last = [value(each) for each in looks if each.minutes > looks[-1].minutes - COMPARED_MINUTES]
    if not first:
        raise BenchmarkFailed(f"a soak takes over {WARM_UP_MINUTES} minutes")
    return 100 * (median(last) / median(first) - 1)


def _result(looks: Sequence[Look], rounds: int, neighbours: int) -> Result:
    values: dict[str, Callable[[Look], float]] = {
        "operator": lambda each: each.operator, "polling process": lambda each: each.child,
        "both": lambda each: each.resident, "working set": lambda each: each.working_set,
    }  # fmt: skip
    first, last = looks[0], looks[-1]
    heading = ("MiB", "after a minute", "after the warm-up", "at the end", "most", "growth since the warm-up")
    rows: list[Sequence[str]] = [heading]
    warm = next((each for each in looks if each.minutes >= WARM_UP_MINUTES), last)
    rows += [
        (name, *(f"{get(each):.1f}" for each in (looks[1], warm, last)), f"{max(map(get, looks)):.1f}",
         f"{growth_percent(looks, get):+.1f}%")
        for name, get in values.items()
    ]  # fmt: skip
    cpu = 100 * (last.cpu_seconds - first.cpu_seconds) / (60 * (last.minutes - first.minutes))
    goals = [Goal("growth of resident memory, both processes", growth_percent(looks, values["both"]),
                  GROWTH_PERCENT_BELOW, "%")]
    figures: dict[str, Any] = {
        "groups": GROUPS, "interval_seconds": INTERVAL_SECONDS, "minutes": last.minutes, "load_rounds": rounds,
        "polls": last.polls - first.polls, "cpu_percent": cpu, "looks": [asdict(each) for each in looks],
    }  # fmt: skip
    title = (f"soak: {GROUPS} groups, every {INTERVAL_SECONDS} s, {last.minutes:.0f} min, "
             f"{last.polls - first.polls} polls of all groups, {cpu:.0f}% of a core")
    RESULTS.mkdir(exist_ok=True)
    draw(looks, PICTURE)
    return Result("soak", title, rows, goals, neighbours, figures)


def draw(looks: Sequence[Look], file: Path) -> None:
    """Write the PNG: resident memory of both processes and the working set, minute by minute."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    panel = figure.subplots()
    at = [each.minutes for each in looks]
    panel.plot(at, [each.operator for each in looks], color="#0072B2", label="operator, resident")
    panel.plot(at, [each.child for each in looks], color="#D55E00", label="polling process, resident")
    panel.plot(at, [each.working_set for each in looks], color="#555555", linestyle=":", label="pod, working set")
    panel.set_ylim(bottom=0)
    panel.set_xlim(0, at[-1])
    panel.set_xlabel("minutes")
    panel.set_ylabel("MiB")
    panel.set_title(f"Memory: {GROUPS} resources, polled every {INTERVAL_SECONDS} s", loc="left")
    panel.grid(alpha=0.25)
    panel.legend(loc="lower right", frameon=False)
    figure.savefig(file, dpi=100, format="png", metadata={"Software": None})
