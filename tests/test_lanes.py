"""Which process runs what, and what is installed before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests import lanes, prepare
from tests.environment import DEFAULT_STATE
from tests.lanes import LONG_SECONDS, ROOT, LaneScheduling, group, lane, seconds, state_folder
from tests.sizes import full


class Item:
    """A test as pytest has collected it: its file, its fixtures, its markers."""

    def __init__(self, file: str, fixtures: Iterable[str] = (), markers: Iterable[str] = ()) -> None:
        self.path, self.fixturenames, self._markers = ROOT / "tests" / file, list(fixtures), set(markers)

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self._markers else None


class Options:
    """What a scheduler asks of pytest's configuration."""

    def getvalue(self, name: str) -> list[str]:
        assert name == "tx"
        return ["2*popen"]


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether environments are built here."""
    return lambda is_local: monkeypatch.setattr(lanes, "has_own_environments", lambda: is_local)


MACHINE = ("machine",)


@pytest.mark.parametrize(("item", "expected"), [
    (Item("core/test_rates.py"), "pure"),
    (Item("kafka/test_client.py", ["tmp_path"]), "pure"),
    (Item("contracts/test_quotas.py", [*MACHINE, "with_broker"], ["cluster"]), "broker"),
    (Item("contracts/test_kube_lease.py", [*MACHINE, "with_api"], ["cluster"]), "API server"),
    (Item("cluster/test_leadership.py", [*MACHINE, "with_broker", "with_api"], ["cluster"]), "broker and API server"),
    (Item("cluster/test_scaling.py", [*MACHINE, "with_api", "with_node"], ["cluster"]), "pods"),
    (Item("fuzz/test_manifests.py", [*MACHINE, "with_api"]), "API server"),
    (Item("faults/test_faults.py", markers=["cluster"]), "faults"),
    (Item("faults/test_peace.py"), "pure"),
    (Item("cluster/test_environment.py", markers=["cluster"]), "machines"),
    (Item("environment/test_environment.py"), "pure"),
], ids=lambda each: each if isinstance(each, str) else each.path.name)
def test_the_lane_of_a_test_follows_from_what_it_needs(item: Any, expected: str) -> None:
    assert lane(item) == expected


def test_files_are_dealt_whole_and_a_shared_cluster_has_one_process(local: Callable[[bool], None]) -> None:
    real: Any = Item("contracts/test_quotas.py", [*MACHINE, "with_broker"])
    pure: Any = Item("core/test_rates.py")
    local(True)
    assert group(real) == "broker:tests/contracts/test_quotas.py"
    local(False)
    assert group(real) == "environment:all"
    assert group(pure) == "pure:tests/core/test_rates.py"


def test_the_first_process_has_the_environment_of_make_environment_and_others_their_own(
    local: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    local(True)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert state_folder() == DEFAULT_STATE
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw3")
    assert state_folder().name == ".environment-gw3"
    local(False)
    assert state_folder() == DEFAULT_STATE


def scheduling(**tests: int) -> LaneScheduling:
    """One that has so many tests to deal of each unit; `broker__a` is the unit `broker:a`."""
    options: Any = Options()
    dealt = LaneScheduling(options)
    for name, number in tests.items():
        dealt.workqueue[name.replace("__", ":")] = {str(index): False for index in range(number)}
    return dealt


def taken(dealt: LaneScheduling, node: str) -> str:
    """The unit that the process gets next."""
    unit = dealt._next(node)
    del dealt.workqueue[unit]
    return unit


def test_processes_begin_in_different_lanes_the_one_with_most_to_do_first() -> None:
    dealt = scheduling(broker__a=10, broker__b=10, api__a=30, pure__a=50)
    assert [taken(dealt, node) for node in ("gw0", "gw1", "gw2", "gw2")] == ["api:a", "broker:a", "broker:b", "pure:a"]


def test_a_lane_with_a_long_file_is_joined_before_one_with_as_much_in_short_files() -> None:
    dealt = scheduling(pods__a=90, pods__b=60, pods__c=10, api__a=25, api__b=25)
    assert [taken(dealt, node) for node in ("gw0", "gw1")] == ["pods:a", "pods:b"]


def test_a_process_keeps_to_its_lane_and_begins_with_the_longest_file() -> None:
    dealt = scheduling(broker__short=2, broker__long=20, api__a=15)
    assert [taken(dealt, "gw0") for _ in range(3)] == ["broker:long", "broker:short", "api:a"]


def test_estimates_are_of_files_that_exist() -> None:
    assert [file for file in LONG_SECONDS if not (ROOT / file).exists()] == []
    assert seconds("faults:tests/faults/test_faults.py", 2) == LONG_SECONDS["tests/faults/test_faults.py"]
    assert 0 < seconds("pure:tests/core/test_rates.py", 10) < seconds("broker:tests/contracts/test_quotas.py", 10)


@pytest.mark.parametrize(("paths", "expected"), [
    (["tests/core"], []),
    (["tests/core/test_rates.py::test_a_rate"], []),
    (["tests/docs/test_site.py"], [prepare.browser]),
    (["tests/contracts", "tests/core"], [prepare.environment]),
    (["tests/faults/test_faults.py"], [prepare.environment, prepare.faults]),
    (["tests"], [prepare.browser, prepare.prometheus, prepare.environment, prepare.faults, prepare.clients]),
])
def test_only_what_the_asked_tests_need_is_installed(paths: list[str], expected: list[object]) -> None:
    assert prepare.wanted([str(ROOT / path) for path in paths], is_check=False) == expected


def test_a_check_needs_no_environment() -> None:
    needs = prepare.wanted([str(ROOT / "tests")], is_check=True)
    assert needs == [prepare.browser, prepare.prometheus, prepare.clients]


def test_every_folder_that_needs_something_exists() -> None:
    assert [name for name in prepare.NEEDS if not Path(ROOT / "tests" / name).is_dir()] == []


@pytest.mark.parametrize(("variable", "size"), [("1", 9), ("", 3), ("0", 3)])
def test_heavy_tests_are_whole_when_they_are_asked_to_be(
    variable: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULL", variable)
    assert full(3, 9) == size
