"""How long nobody leads: from the signal to the leader until the standby may write, with processes on this machine."""

from __future__ import annotations

import signal
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.cluster import Cluster
from benchmarks.report import Goal, Result
from tests.cluster.operators import Operator, leader_of, leads_after, operators
from tests.environment import Environment
from tests.environment.progress import Progress

RUNS = 5
WITHIN_SECONDS = 120.0
ORDERLY_BELOW, CRASH_BELOW = 10.0, 18.0
CRD = Path(__file__).parents[1] / "deploy" / "crd.yaml"
SIGNALS: Mapping[str, signal.Signals] = {
    "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL, "SIGSTOP": signal.SIGSTOP,
}  # fmt: skip


def run(environment: Environment, progress: Progress) -> Result:
    """Some takeovers for each signal, one pair of operators after the other in a namespace of its own."""
    cluster = Cluster(environment)
    namespace = f"takeover-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    cluster.kubectl("create", "namespace", namespace)
    try:
        return _result({name: _runs(environment, progress, namespace, name) for name in SIGNALS})
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _runs(environment: Environment, progress: Progress, namespace: str, name: str) -> list[float]:
    with progress.step(f"{RUNS} takeovers after {name}"):
        return [_once(environment, namespace, SIGNALS[name]) for _ in range(RUNS)]


def _once(environment: Environment, namespace: str, number: signal.Signals) -> float:
    with tempfile.TemporaryDirectory() as folder, operators(
        environment, namespace, Path(folder), "one", "two"
    ) as running:
        leader = leader_of(running, WITHIN_SECONDS)
        (standby,) = (each for each in running if each is not leader)
        _is_ready(standby)
        return leads_after(standby, leader.send(number), WITHIN_SECONDS)


def _is_ready(standby: Operator) -> None:
    while standby.get("/readyz")[0] != 200:
        pass


def _result(seconds: Mapping[str, Sequence[float]]) -> Result:
    rows = [["signal", "takeovers", "median, s", "worst, s"]]
    rows += [[name, str(len(took)), f"{median(took):.1f}", f"{max(took):.1f}"] for name, took in seconds.items()]
    goals = [Goal(f"worst takeover after {name}", max(took), ORDERLY_BELOW if name == "SIGTERM" else CRASH_BELOW, "s")
             for name, took in seconds.items()]
    return Result("takeover", "Seconds from the signal until the standby leads", rows, goals, 0,
                  {"seconds": {name: list(took) for name, took in seconds.items()}})
