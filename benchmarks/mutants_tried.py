"""The conftest.py of a mutation run: the tests are collected once, and each mutant is tried in a fork of that process.

A session of its own for each mutant would collect all tests again, and runs them in any order: a story takes as long
as a hundred tests. Here a mutant meets only the tests that reach its function, by what they cost for what they have
killed. All mutants meet the cheapest tests, a fiftieth of the time, before the first that survives meets the rest.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings
from mutmut.state import state

RESULTS = Path("tried.txt")
"""A line for each try: the mutant, what became of it, in which step, and the test that killed it."""
DEAD = -1
MEASURED = Path("measured.json")
"""What each test costs and which functions it reaches, kept for a run that goes on."""
SHARES = (0.02, 0.2, 1.0)
"""Of the time of all tests that reach a mutant: what it must survive to meet more of them."""
LEAST_SECONDS = 0.0005
"""What a test costs at least."""
TIMES_AS_LONG, SECONDS_MORE = 10, 5
"""CPU seconds that a mutant may take: ten times what its tests take, and five more."""
UNDER_TEST = "MUTANT_UNDER_TEST"
SHARE = "MUTANTS_SHARE"
"""Which share of the mutants to try; all of them without it."""

settings.register_profile("same", max_examples=100, deadline=None, derandomize=True, database=None)
settings.load_profile("same")


@dataclass
class Tests:
    """What each test costs, CPU seconds, and which reach a function; what has killed mutants of it."""

    cost: dict[str, float] = field(default_factory=dict)
    reach: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, mutant: str) -> list[str]:
        """Those that reach it, the best to try first in front."""
        function = function_of(mutant)
        return sorted(self.reach[function], key=lambda name: self.cost[name] / (1 + self.kills[function, name]))

    def part(self, mutant: str, step: int) -> list[str]:
        """Those that it meets in this step: what the share adds to the one before."""
        cost = {name: self.cost[name] for name in self.reach[function_of(mutant)]}
        before = within(cost, SHARES[step - 1]) if step else set()
        return [name for name in self.of(mutant) if name in within(cost, SHARES[step]) - before]

    def seconds(self, names: Sequence[str]) -> float:
        return sum(self.cost[name] for name in names)


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Measures each test, tries each mutant that was not tried yet, and says nothing of the tests themselves."""
    if session.config.option.collectonly:
        return True
    items = {item.nodeid: item for item in session.items}
    tests, tried = _measured(items), dict(_tried())
    mutants = sorted(_mutants(), key=lambda each: tests.seconds(list(tests.reach[function_of(each)])))
    gc.freeze()
    for step in range(len(SHARES)):
        for mutant in mutants:
            if tried.get(mutant, 0) == step:
                names = tests.part(mutant, step)
                tried[mutant] = _try(mutant, [items[name] for name in names], tests, step + 1)
    return True


def function_of(mutant: str) -> str:
    """`kafka_consumer_scaler.core.cycle.x_decide` of `kafka_consumer_scaler.core.cycle.x_decide__mutmut_3`."""
    return mutant.split("__mutmut_")[0]


def within(cost: Mapping[str, float], share: float) -> set[str]:
    """The cheapest that together take no more than the share of all: of 1, 1, 2 and 16 s at 0.2, the first three."""
    left, kept = share * sum(cost.values()), set[str]()
    for name in sorted(cost, key=lambda each: cost[each]):
        left -= cost[name]
        if left < -1e-9 and kept:
            break
        kept.add(name)
    return kept


def _measured(items: Mapping[str, pytest.Item]) -> Tests:
    """Which functions each test reaches, and what it costs; it must pass."""
    tests = Tests()
    known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    for name, item in items.items():
        tests.cost[name], reached = known.get(name) or _run_once(item)
        known[name] = tests.cost[name], reached
        for function in reached:
            tests.reach[function].add(name)
    MEASURED.write_text(json.dumps(known))
    return tests


def _run_once(item: pytest.Item) -> tuple[float, list[str]]:
    """CPU seconds, and the functions that were reached."""
    state()._stats.clear()
    os.environ[UNDER_TEST] = "stats"
    started = time.process_time()
    if not _passes(item):
        pytest.exit(f"{item.nodeid} fails without a mutant", 1)
    return max(LEAST_SECONDS, time.process_time() - started), sorted(state()._stats)


def _passes(item: pytest.Item) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def _mutants() -> Iterator[str]:
    share = float(os.environ.get(SHARE, "1"))
    for meta in sorted(Path("src").rglob("*.py.meta")):
        yield from (name for name in json.loads(meta.read_text())["exit_code_by_key"] if is_in_sample(name, share))


def is_in_sample(mutant: str, share: float) -> bool:
    """Whether the mutant is one of the share, 0 to 1; the same ones each time, as long as their code is the same."""
    return zlib.crc32(mutant.encode()) < share * 2**32


def _tried() -> Iterator[tuple[str, int]]:
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        name, status, step, *_ = line.split(" ")
        yield name, int(step) if status == "survived" else DEAD


def _try(mutant: str, items: Sequence[pytest.Item], tests: Tests, step: int) -> int:
    """The step that it meets next, or DEAD; a mutant that takes far too long is."""
    seconds = TIMES_AS_LONG * tests.seconds([item.nodeid for item in items]) + SECONDS_MORE
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _tried_in_child(mutant, items, writer, int(seconds))
    os.close(writer)
    with os.fdopen(reader) as said:
        killer = said.read()
    _, ended = os.waitpid(child, 0)
    status = "killed" if killer else "survived" if ended == 0 else "timeout"
    tests.kills[function_of(mutant), killer] += 1
    with RESULTS.open("a") as file:
        file.write(f"{mutant} {status} {step} {killer}\n")
    return step if status == "survived" else DEAD


def _tried_in_child(mutant: str, items: Sequence[pytest.Item], writer: int, seconds: int) -> NoReturn:
    gc.disable()
    os.environ[UNDER_TEST] = mutant
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 5))
    for item in items:
        try:
            passes = _passes(item)
        except BaseException:
            passes = False
        if not passes:
            os.write(writer, item.nodeid.encode())
            break
    os._exit(0)
