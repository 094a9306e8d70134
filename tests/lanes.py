"""Lanes: which process runs a test, by what the test needs.

Each test process has an environment of its own, and starts only the services that its tests ask for. So a test may stop
a broker, replace a definition or count requests without a neighbour. Files are dealt to processes. A process keeps to
one lane as long as the lane has files, because a lane's first test pays for the start of what the lane needs.
"""

from __future__ import annotations

import functools
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadgroup import LoadGroupScheduling

from tests.environment import DEFAULT_STATE, choice
from tests.environment.model import State

ROOT = Path(__file__).parents[1]
PROCESSES_PER_CORE = 2
"""Tests on real parts wait more than they compute."""
NEEDS = "real"
"""The marker of tests that need more than this interpreter: what `make check` leaves out."""
SHARED = "environment"
"""The one lane of all real tests on somebody's own cluster, or on kind: there is one environment, and no second."""
LONG_SECONDS = {
    "tests/cluster/test_decisions.py": 310,
    "tests/cluster/test_scaling.py": 280,
    "tests/cluster/test_leadership.py": 240,
    "tests/cluster/test_findings.py": 210,
    "tests/cluster/test_backpressure.py": 210,
    "tests/cluster/test_api_server_faults.py": 180,
    "tests/worlds/test_worlds.py": 180,
    "tests/faults/test_faults.py": 170,
    "tests/contracts/test_example_consumers.py": 130,
    "tests/cluster/test_environment.py": 120,
    "tests/cluster/test_install.py": 100,
    "tests/simulation/test_wild.py": 60,
    "tests/cluster/test_manifests.py": 60,
}
"""What the longest files take, in docs/test-durations.md. Others are estimated by their number of tests."""
SECONDS_OF_A_TEST, SECONDS_OF_A_PURE_TEST = 2.0, 0.1


def lane(item: pytest.Item) -> str:
    """The lane by the folder, and by the fixtures that the test takes."""
    folder = item.path.relative_to(ROOT).parts[1]
    fixtures = set(getattr(item, "fixturenames", ()))
    is_marked = item.get_closest_marker("cluster") is not None
    if folder == "faults" and is_marked:
        return "faults"
    if item.path.name == "test_environment.py" and is_marked:
        return "machines"
    if "machine" not in fixtures and not is_marked:
        return "pure"
    if "with_node" in fixtures:
        return "pods"
    if "with_api" in fixtures:
        return "broker and API server" if "with_broker" in fixtures else "API server"
    return "broker"


def group(item: pytest.Item) -> str:
    """`LANE:FILE`, the unit that is dealt to a process."""
    own = lane(item)
    if own != "pure" and not has_own_environments():
        return f"{SHARED}:all"
    return f"{own}:{item.path.relative_to(ROOT)}"


@functools.cache
def has_own_environments() -> bool:
    """Whether environments are built from local parts, so that each process may have one."""
    return choice.choose(State(DEFAULT_STATE)) == "local"


def state_folder() -> Path:
    """The state folder of this process's environment: the first process has the one of `make environment`."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    if worker == "gw0" or not has_own_environments():
        return DEFAULT_STATE
    return DEFAULT_STATE.with_name(f"{DEFAULT_STATE.name}-{worker}")


class LaneScheduling(LoadGroupScheduling):  # type: ignore[misc]
    """Deals the longest file of a process's lane; a process whose lane is empty joins the one with most left to do."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._lanes: dict[Any, str] = {}

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(self._next(node), last=False)
        super()._assign_work_unit(node)

    def _next(self, node: Any) -> str:
        lanes: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for scope, tests in self.workqueue.items():
            lanes[lane_of(scope)][scope] = seconds(scope, len(tests))
        if self._lanes.get(node) not in lanes:
            busy = Counter(lane for other, lane in self._lanes.items() if other is not node)
            self._lanes[node] = max(lanes, key=lambda each: _seconds_left(lanes[each], 1 + busy[each]))
        units = lanes[self._lanes[node]]
        return max(units, key=lambda scope: units[scope])


def _seconds_left(units: Mapping[str, int], processes: int) -> float:
    """What a lane takes with so many processes: no less than its longest file."""
    return max(sum(units.values()) / processes, *units.values())


def lane_of(scope: str) -> str:
    """The lane of a unit: of `broker:tests/contracts/test_quotas.py`, `broker`."""
    return scope.partition(":")[0]


def seconds(scope: str, tests: int) -> int:
    """An estimate of what a unit takes, at least 1."""
    own, _, file = scope.partition(":")
    each = SECONDS_OF_A_PURE_TEST if own == "pure" else SECONDS_OF_A_TEST
    return LONG_SECONDS.get(file, round(tests * each) + 1)
