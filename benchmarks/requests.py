"""How the requests to the brokers grow with the groups of a cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.fleet import Fleet, fleet
from benchmarks.readings import BROKER_APIS, broker_requests
from benchmarks.report import Goal, Result
from tests.environment import Environment
from tests.environment.progress import Progress

SIZES = (1, 10, 50)
INTERVAL_SECONDS = 5
SETTLE_SECONDS = 10
MEASURE_SECONDS = 60
"""A minute holds exactly one look at the topics' partitions, which is what a poll asks least often."""
AT_MOST_ONE = 1.25
"""One request; one more a minute for high watermarks, one in five minutes for log starts; and room for one in ten."""


@dataclass(frozen=True)
class Requests:
    """Average requests to the brokers in one poll of so many groups, by API."""

    groups: int
    polls: int
    per_poll: dict[str, float]

    def per_group(self, api: str) -> float:
        return self.per_poll[api] / self.groups


def run(environment: Environment, progress: Progress) -> Result:
    """Install, measure with ever more groups, remove. Raises Unsupported where the brokers' counts are not shown."""
    environment.broker_request_counts()
    measured = []
    with fleet(environment, INTERVAL_SECONDS) as served:
        for before, groups in pairwise((0, *SIZES)):
            with progress.step(f"groups: {groups}"):
                served.add(range(before, groups))
                time.sleep(SETTLE_SECONDS)
                measured.append(_measure(served, groups))
        return _result(measured, served.neighbours())


def _measure(served: Fleet, groups: int) -> Requests:
    served.wait_between_polls()
    polls, asked = served.polls(), broker_requests(served)
    time.sleep(MEASURE_SECONDS)
    polls, asked = served.polls() - polls, broker_requests(served) - asked
    return Requests(groups, polls, {api: asked[api] / polls for api in BROKER_APIS})


def _result(measured: list[Requests], neighbours: int) -> Result:
    goals = [
        *(Goal(f"ListOffsets a poll of {each.groups}", each.per_poll["ListOffsets"], AT_MOST_ONE, "requests")
          for each in measured),
        *(Goal(f"OffsetFetch a poll and group of {each.groups}", each.per_group("OffsetFetch"), AT_MOST_ONE, "requests")
          for each in measured),
    ]  # fmt: skip
    shown = [api for api in BROKER_APIS if any(each.per_poll[api] for each in measured)]
    rows = [
        ("requests a poll", *(f"groups: {each.groups}" for each in measured)),
        *((api, *(f"{each.per_poll[api]:.2f}" for each in measured)) for api in shown),
    ]
    figures = {
        "interval_seconds": INTERVAL_SECONDS,
        "sizes": [{"groups": each.groups, "polls": each.polls, "per_poll": each.per_poll} for each in measured],
    }
    title = f"requests: broker requests a poll, every {INTERVAL_SECONDS} s"
    return Result("requests", title, rows, goals, neighbours, figures)
