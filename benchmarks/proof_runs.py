"""The runs of the proof: every family of workloads, many seeds, every policy; rivals' runs are kept between proofs."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

import kafka_consumer_scaler
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation import compare
from kafka_consumer_scaler.simulation.compare import FLINK, KEDA, LAG_THRESHOLDS, ORACLE, OURS, STATIC, Run, play
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.score import Score
from kafka_consumer_scaler.simulation.workload import FAMILIES, Workload, workload

PACKAGE: Final = Path(kafka_consumer_scaler.__file__).parent
PROCESSES: Final = 2
TELL_EVERY_SECONDS: Final = 5.0
FLINK_SHRUNK: Final = "flink-shrunk"
KEDA_GRID: Final = tuple(f"keda:{threshold}" for threshold in LAG_THRESHOLDS)
RIVALS: Final = (*KEDA_GRID, FLINK, FLINK_SHRUNK, STATIC, ORACLE)
MODULES: Final = {KEDA: "keda", FLINK: "flink", FLINK_SHRUNK: "flink", STATIC: "fixed", ORACLE: "oracle"}
ROOM: Final = f"{PACKAGE.name}.simulation"

Say = Callable[[str], None]


class RunsMissing(RuntimeError):
    """Only our own runs were asked for, and the rivals' are not there."""


@dataclass
class Scores:
    """What was measured on one workload: its length in seconds, and the score of each policy."""

    seconds: int
    by_policy: dict[str, Score] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "scores": {name: one.as_json() for name, one in self.by_policy.items()}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Scores:
        return cls(stored["seconds"], {name: Score(**one) for name, one in stored["scores"].items()})


Case = tuple[str, int]
"""A family and a seed."""
Measured = dict[Case, Scores]


def measure(seeds: int, ours_only: bool, file: Path, say: Say = print) -> Measured:
    """Run what `file` has not, and always ours; the rivals' runs are kept there, also of an interrupted proof.

    Raises:
        RunsMissing: `ours_only`, and rivals' runs of these sources are not all there.
    """
    sources = fingerprints()  # of now: what is edited while the proof runs is not what was run
    kept = load_kept(file)
    cases = [(family, seed) for seed in range(1, seeds + 1) for family in FAMILIES]
    todo = {case: _missing(kept.get(case)) for case in cases}
    if not any(todo.values()):
        return _measured(todo, kept, say)
    if ours_only:
        raise RunsMissing(f"rivals' runs of these sources are missing: python -m benchmarks proof --seeds {seeds}")
    try:
        return _measured(todo, kept, say)
    finally:
        save_kept(kept, sources, file)


def _measured(todo: Mapping[Case, Sequence[str]], kept: Measured, say: Say) -> Measured:
    """Run all cases; rivals' new scores go to `kept` too."""
    measured: Measured = {}
    began = told = time.monotonic()
    for case, scores in _run_all(todo):
        rivals = kept.setdefault(case, Scores(scores.seconds)).by_policy
        rivals.update({name: one for name, one in scores.by_policy.items() if name != OURS})
        measured[case] = Scores(scores.seconds, {OURS: scores.by_policy[OURS], **rivals})
        now = time.monotonic()
        if now - told >= TELL_EVERY_SECONDS or len(measured) == len(todo):
            told = now
            say(f"proof: {len(measured)} of {len(todo)} workloads, {now - began:.0f} s")
    return measured


def _missing(kept: Scores | None) -> list[str]:
    return [name for name in RIVALS if kept is None or name not in kept.by_policy]


def _run_all(todo: Mapping[Case, Sequence[str]]) -> Iterator[tuple[Case, Scores]]:
    with ProcessPoolExecutor(PROCESSES) as pool:
        futures = {pool.submit(_run_case, case, [OURS, *missing]): case for case, missing in todo.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            _cancel(futures)


def _cancel(futures: Mapping[Future[Scores], Case]) -> None:
    for future in futures:
        future.cancel()


def _run_case(case: Case, names: Sequence[str]) -> Scores:
    load = workload(*case)
    policy = compare.policy_for(load)
    return Scores(len(load.arrival), {name: run_one(name, load, policy).score for name in names})


def run_one(name: str, load: Workload, policy: Policy) -> Run:
    """One policy by its name in the proof; `keda:500` is KEDA with a threshold of 500."""
    kind, _, number = name.partition(":")
    if kind == OURS:
        return play(load, policy, KafkaConsumerScaler(policy))
    if number:
        return play(load, policy, compare.keda(policy, int(number)))
    if kind == FLINK_SHRUNK:
        return play(load, policy, compare.flink_shrunk(policy))
    return compare.contest(kind, load, policy)[1]


def load_kept(file: Path) -> Measured:
    """The kept runs of the rivals whose sources are as they were."""
    try:
        stored = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    valid = {name for name, sources in fingerprints().items() if stored["sources"].get(name) == sources}
    kept: Measured = {}
    for key, one in stored["cases"].items():
        family, _, seed = key.rpartition("/")
        scores = Scores.from_json(one)
        rivals = {name: score for name, score in scores.by_policy.items() if name in valid}
        kept[family, int(seed)] = Scores(scores.seconds, rivals)
    return kept


def save_kept(kept: Measured, sources: Mapping[str, str], file: Path) -> None:
    """Keep the rivals' runs and the `fingerprints` of the sources that made them, in one move."""
    cases = {f"{family}/{seed}": one.as_json() for (family, seed), one in sorted(kept.items())}
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({"sources": dict(sources), "cases": cases}) + "\n")
    new.replace(file)


def fingerprints() -> dict[str, str]:
    """For each rival a hash of all that its runs depend on.

    It is made of the sources of the plant, the workloads and the rival, of the objective, and of numpy's version, whose
    random numbers make the workloads. Of the core rivals use plain values only, so that tuning ours keeps their runs.
    """
    return {name: _fingerprint(name) for name in RIVALS}


def _fingerprint(rival: str) -> str:
    module = MODULES[rival.partition(":")[0]]
    policy = Policy(max_replicas=compare.MAX_REPLICAS)
    found = hashlib.sha256(repr((np.__version__, rival, policy.lag_seconds)).encode())
    files = {Path(compare.__file__), *_closure(("run", "score", "workload", module))}
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()


@cache
def _closure(roots: tuple[str, ...]) -> frozenset[Path]:
    """The files of these modules of the simulation, and of all of it that they import."""
    found, waiting = set[Path](), [f"{ROOM}.{root}" for root in roots]
    while waiting:
        file = (PACKAGE.parent / waiting.pop().replace(".", "/")).with_suffix(".py")
        if file.is_file() and file not in found:
            found.add(file)
            waiting += _imports(file)
    return frozenset(found)


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(ROOM):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
