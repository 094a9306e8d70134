"""What the operator costs when nothing is to be done: 100 caught-up groups, looked at every 15 s."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.fleet import Fleet, fleet
from benchmarks.readings import Usage, api_requests, broker_requests, resident_mib, usage
from benchmarks.report import Goal, Result
from tests.environment import Environment, Unsupported
from tests.environment.progress import Progress

GROUPS = 100
INTERVAL_SECONDS = 15
SETTLE_SECONDS = 90
"""A minute after its first status a resource's is written once more, with its first rates."""
MINUTES = 4
CPU_PERCENT_BELOW, MEMORY_MIB_BELOW = 5.0, 150.0


@dataclass(frozen=True)
class Look:
    """All counters at one time; `broker` is None where the environment does not show it."""

    usage: Usage
    polls: int
    api: Counter[str]
    broker: Counter[str] | None


def run(environment: Environment, progress: Progress) -> Result:
    """Install, settle, measure for some minutes, remove."""
    with fleet(environment, INTERVAL_SECONDS) as served:
        with progress.step(f"{GROUPS} groups"):
            served.add(range(GROUPS))
            time.sleep(SETTLE_SECONDS)
        with progress.step(f"measuring for {MINUTES} minutes"):
            looks = _looks(served)
        return _result(looks, resident_mib(served), served.neighbours())


def _looks(served: Fleet) -> list[Look]:
    served.wait_between_polls()
    began = time.monotonic()
    looks = [_look(served)]
    for minute in range(1, MINUTES + 1):
        time.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        looks.append(_look(served))
    return looks


def _look(served: Fleet) -> Look:
    try:
        broker = broker_requests(served)
    except Unsupported:
        broker = None
    return Look(usage(served), served.polls(), api_requests(served.cluster), broker)


def _result(looks: Sequence[Look], resident: dict[str, float], neighbours: int) -> Result:
    first, last = looks[0], looks[-1]
    minutes = [after.usage.percent_of_a_core_since(before.usage) for before, after in pairwise(looks)]
    memory = max(look.usage.working_set_mib for look in looks)
    api = {name: count / (len(looks) - 1) for name, count in (last.api - first.api).items()}
    broker = {name: count / (last.polls - first.polls) for name, count in _asked(first, last).items()}
    goals = (
        Goal("CPU, median minute", median(minutes), CPU_PERCENT_BELOW, "% of a core"),
        Goal("memory, working set or both processes' resident", _most(memory, resident), MEMORY_MIB_BELOW, "MiB"),
    )
    figures: dict[str, Any] = {
        "groups": GROUPS, "interval_seconds": INTERVAL_SECONDS, "cpu_percent_by_minute": minutes,
        "working_set_mib_max": memory, "resident_mib": resident, "polls": last.polls - first.polls,
        "api_requests_per_minute": api, "broker_requests_per_poll": broker,
        "usage": [asdict(each.usage) for each in looks],
    }  # fmt: skip
    title = f"idle: {GROUPS} caught-up groups, every {INTERVAL_SECONDS} s, {len(minutes)} min"
    return Result("idle", title, _rows(minutes, memory, resident, api, broker), goals, neighbours, figures)


def _asked(first: Look, last: Look) -> Counter[str]:
    return Counter() if first.broker is None or last.broker is None else last.broker - first.broker


def _most(working_set_mib: float, resident: dict[str, float]) -> float:
    """The larger: a working set leaves out what others touched first, resident memory counts shared pages twice."""
    return max(working_set_mib, sum(resident.values()))


def _rows(
    minutes: Sequence[float], memory: float, resident: dict[str, float], api: dict[str, float], broker: dict[str, float]
) -> list[tuple[str, str]]:
    spread = f"{median(minutes):.2f}% of a core ({min(minutes):.2f} to {max(minutes):.2f})"
    return [
        ("what", "measured"),
        ("CPU of the pod, median minute (least to most)", spread),
        ("working set of the pod, largest", f"{memory:.0f} MiB"),
        *((f"resident memory, {name}", f"{mib:.0f} MiB") for name, mib in resident.items()),
        *((f"API requests a minute, {name}", f"{count:.1f}") for name, count in sorted(api.items())),
        *((f"broker requests a poll, {name}", f"{count:.2f}") for name, count in sorted(broker.items())),
    ]
