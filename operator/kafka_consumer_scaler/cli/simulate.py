"""`kafka-consumer-scaler simulate`: this operator's decisions and those of others on a simulated consumer group."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kafka_consumer_scaler.api.manifest import scaler_in
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec
from kafka_consumer_scaler.core.policy import Policy

if TYPE_CHECKING:  # the simulation needs numpy and matplotlib, which the operator goes without
    from kafka_consumer_scaler.simulation.compare import Comparison
    from kafka_consumer_scaler.simulation.workload import Workload

RIVALS: Final = ("keda", "keda-default", "flink", "static", "oracle")
LIBRARIES: Final = ("numpy", "matplotlib")
REPORT: Final = "report.html"
EXTRA: Final = "pip install 'kafka-consumer-scaler[plots]'"


class BadInput(ValueError):
    """What was given cannot be used; one line."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and its flags."""
    parser = subparsers.add_parser(
        "simulate", help="compare it with other autoscalers on a simulated group", description=__doc__)
    load = parser.add_mutually_exclusive_group(required=True)
    load.add_argument("--trace", type=Path, metavar="CSV", help="arrival rates: seconds,records_per_second")
    load.add_argument("--family", action="append", dest="families", metavar="NAME",
                      help="a built-in family of workloads instead of a trace; repeatable; all: every one")
    parser.add_argument("--scaler", type=Path, metavar="YAML",
                        help="a KafkaConsumerScaler (default: all defaults, maxReplicas 12)")
    parser.add_argument("--plant", type=Path, metavar="YAML",
                        help="the simulated group (default: 12 even partitions, 100 records/s a consumer)")
    parser.add_argument("--against", default=",".join(RIVALS), metavar="LIST", help="(default: %(default)s)")
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="(default: 1)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="where summary.json, report.html and pictures go")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate, write, print the table; 2 for bad usage or input, 1 when the work fails."""
    try:
        _simulate(arguments)
    except BadInput as error:
        return _complain(error, 2)
    except ImportError as error:
        if error.name not in LIBRARIES:
            raise
        return _complain(f"needs {error.name}: {EXTRA}", 1)
    except OSError as error:
        return _complain(error, 1)
    return 0


def _simulate(arguments: argparse.Namespace) -> None:
    for name in LIBRARIES:
        import_module(name)
    policy = _policy(arguments.scaler)
    against = _against(arguments.against)
    workloads = _workloads(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    compared = list(_compared(workloads, policy, against, arguments.output))
    _report(compared, arguments)


def _report(compared: Sequence[Comparison], arguments: argparse.Namespace) -> None:
    from kafka_consumer_scaler.cli.simulate_html import simulate_page
    from kafka_consumer_scaler.simulation import report

    if arguments.families:
        values, table = report.summary_of_families(compared), report.table_of_families(compared)
        (arguments.output / "table.md").write_text(f"{table}\n")
    else:
        values, table = report.summary(compared[0]), report.table(compared[0])
    report.write_summary(values, arguments.output / "summary.json")
    (arguments.output / REPORT).write_text(simulate_page(compared, arguments.output), encoding="utf-8")
    print(table)


def _compared(workloads: Sequence[Workload], policy: Policy | None, against: Sequence[str],
              folder: Path) -> Iterator[Comparison]:
    """Each workload compared and drawn, in their order; several at once where there are processors for it."""
    work = partial(_compare_and_draw, policy=policy, against=against, folder=folder)
    if len(workloads) == 1:
        yield work(workloads[0])
        return
    with ProcessPoolExecutor(min(len(workloads), os.cpu_count() or 1)) as pool:
        yield from pool.map(work, workloads)


def _compare_and_draw(workload: Workload, policy: Policy | None, against: Sequence[str], folder: Path) -> Comparison:
    from kafka_consumer_scaler.simulation.compare import compare, policy_for
    from kafka_consumer_scaler.simulation.plots import draw

    compared = compare(workload, policy or policy_for(workload), against)
    draw(compared, folder / f"{workload.name}.png")
    return compared


def _seed(word: str) -> int:
    seed = int(word)
    if seed < 0:
        raise ValueError(word)
    return seed


_seed.__name__ = "seed"  # argparse: "invalid seed value: '-1'"


def _policy(file: Path | None) -> Policy | None:
    """The user's policy; None leaves the default, with the workload's least replicas."""
    if file is None:
        return None
    try:
        return scaler_in(file.read_bytes()).policy()
    except OSError as error:
        raise BadInput(f"--scaler {file}: {error.strerror}") from None
    except InvalidSpec as error:
        raise BadInput(f"--scaler {file}: {error}") from None


def _against(listed: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    if unknown := [name for name in names if name not in RIVALS]:
        raise BadInput(f"--against: there is no {', '.join(unknown)}; there are {', '.join(RIVALS)}")
    return names


def _workloads(arguments: argparse.Namespace) -> list[Workload]:
    if not arguments.families:
        return [_of_trace(arguments)]
    if arguments.plant:
        raise BadInput("--plant goes with --trace: a family brings its own")
    from kafka_consumer_scaler.simulation.workload import FAMILIES, workload

    names = list(FAMILIES) if "all" in arguments.families else list(dict.fromkeys(arguments.families))
    if unknown := [name for name in names if name not in FAMILIES]:
        raise BadInput(f"--family: there is no {', '.join(unknown)}; there are {', '.join(FAMILIES)}, all")
    return [workload(name, arguments.seed) for name in names]


def _of_trace(arguments: argparse.Namespace) -> Workload:
    from kafka_consumer_scaler.simulation.spec import PlantSpec, load_plant
    from kafka_consumer_scaler.simulation.workload import Workload, trace

    try:
        plant = load_plant(arguments.plant) if arguments.plant else PlantSpec()
        arrival = trace(arguments.trace)
    except (ValueError, OSError) as error:
        raise BadInput(" ".join(str(error).split())) from None
    return Workload(arguments.trace.stem, arguments.seed, arrival, plant)


def _complain(error: object, code: int) -> int:
    print(f"kafka-consumer-scaler simulate: {error}", file=sys.stderr)
    return code
