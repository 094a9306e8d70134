"""A real Kubernetes cluster and a real Kafka broker for the tests, the demo and the benchmarks.

`up()` answers with the running environment and starts one only if there is none; `down()` takes away all it started.
Only the standard library is used, so that it runs before anything is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import caller, choice, host, kind, local
from .cache import locked
from .model import DEFAULT_STATE, WHOLE, Environment, EnvironmentFailed, Service, State, Unsupported
from .progress import Progress

__all__ = ["DEFAULT_STATE", "WHOLE", "Environment", "EnvironmentFailed", "Service", "Unsupported", "down", "down_all",
           "running", "up"]  # fmt: skip


def up(
    report: Callable[[str], None] = print, folder: Path = DEFAULT_STATE, services: tuple[Service, ...] = WHOLE
) -> Environment:
    """The environment of this state folder: found, healed, replaced or started.

    The caller's, when KUBECONFIG and KAFKA_BOOTSTRAP_SERVERS are set; else on Docker, when it answers; else local.
    A local one starts with these services alone; `Environment.ensure` adds others.
    Raises EnvironmentFailed with the last log lines of the part that failed.
    """
    state, progress = _state(folder), Progress(report)
    with locked(f"state-{state.identity}", progress):
        way = choice.choose(state)
        if way == "local":
            return local.up(state, progress, services)
        return caller.up(state, progress) if way == "caller" else kind.up(state, progress)


def down(report: Callable[[str], None] = print, folder: Path = DEFAULT_STATE) -> None:
    """Stop and remove all that `up` started for this state folder, also when its start was cut off."""
    state, progress = _state(folder), Progress(report)
    with locked(f"state-{state.identity}", progress), progress.step("removing the environment"):
        host.destroy(state)
        kind.down(state)


def down_all(report: Callable[[str], None] = print) -> None:
    """`down` for the default state folder and for those that test processes have beside it."""
    for folder in (DEFAULT_STATE, *DEFAULT_STATE.parent.glob(f"{DEFAULT_STATE.name}-*")):
        down(report, folder)


def running(folder: Path = DEFAULT_STATE) -> Environment | None:
    """The running environment, or None; the caller's counts as running."""
    state = _state(folder)
    if choice.is_callers(state):
        return caller.up(state, Progress(lambda _: None))
    return local.running(state) or kind.running(state)


def _state(folder: Path) -> State:
    return State(folder.resolve())
