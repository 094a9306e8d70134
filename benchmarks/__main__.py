"""Command line of the benchmarks: python -m benchmarks --help."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from benchmarks import backpressure, consumers, findings, idle, loop, proof, reality, requests, soak, takeover
from benchmarks.proof_runs import RunsMissing
from benchmarks.wild import command as wild
from tests import environment
from tests.environment import DEFAULT_STATE, Environment, EnvironmentFailed, Unsupported
from tests.environment.cache import locked
from tests.environment.progress import Progress
from tests.environment.tools import complain

ON_A_CLUSTER: Mapping[str, Callable[[Environment, Progress], Measured]] = {
    "idle": idle.run, "requests": requests.run, "reality": reality.run, "consumers": consumers.run,
    "takeover": takeover.run, "soak": soak.run,
}  # fmt: skip
BENCHMARKS = (*ON_A_CLUSTER, "backpressure", "proof", "findings", "loop", "wild")
ASKED_FOR = ("soak", "backpressure", "wild")
"""Run by name only: the first takes hours, the second needs root, the third plays what its options say."""
DESCRIPTION = """\
Measures the operator on a real cluster and broker, installed by its chart. Uses the environment of
`python -m tests.environment` and starts one if none is running. Everything else it makes is removed at the end.

  idle      CPU, memory and requests for 100 caught-up groups (7 minutes)
  requests  broker requests a poll for 1, 10 and 50 groups (6 minutes)
  reality   one load on real consumers, and what the simulator says of it (11 minutes)
  consumers the capacity that the operator learns of each example consumer (2 minutes)
  takeover  how long nobody leads after the leader's end, crash and stop (7 minutes)
  soak      memory of 200 groups polled every second (2 hours, only when named)

in a world of its own of three brokers, as root on Linux:

  backpressure  producers that want twice what a group sustains: quotas, paced, HTTP (18 minutes, only when named)

and its decisions in the simulator, without any environment:

  proof     against KEDA, Flink's autoscaler, fixed replicas and an oracle, on every family of workloads
  findings  which causes are named, how soon, and which are named that are none, on every family and trouble
  loop      loads that no number of replicas holds, with producers held to the safe rate and without
  wild      groups as they run in production: `--case NAME` simulates a reported one, `--world SEED` a generated
            one, `--worlds N` checks N worlds against all laws, `--rivals N` compares scalers (only when named)
"""


class Measured(Protocol):
    """What a benchmark answers."""

    @property
    def is_good(self) -> bool:
        """Whether all goals are met."""

    def text(self) -> str:
        """What is printed."""

    def write(self) -> Path:
        """Write the JSON and answer its path."""


def main(argv: list[str] | None = None) -> int:
    """Run the named benchmarks; answers 0 when all goals are met, 1 when one is missed or a run fails."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        if options.names == ["wild"]:
            return wild.run(options)
        results = [_told(_run(name, options)) for name in options.names or _usual()]
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    except (EnvironmentFailed, Unsupported, RunsMissing, OSError) as failure:
        complain("benchmarks", failure)
        return 1
    return 0 if all(results) else 1


def _usual() -> list[str]:
    return [name for name in BENCHMARKS if name not in ASKED_FOR]


def _run(name: str, options: argparse.Namespace) -> Measured:
    """One benchmark. Two on a cluster at once would meet in the same namespaces: the second waits."""
    if name == "reality" and options.recorded:
        return reality.again()
    if name == "backpressure":
        return backpressure.again() if options.recorded else backpressure.run()
    if name == "findings":
        return findings.run(options.seeds)
    if name == "loop":
        return loop.run()
    if name not in ON_A_CLUSTER:
        return proof.run(options.seeds, options.ours_only)
    running: Environment = environment.running(options.state) or environment.up(folder=options.state)
    progress = Progress()
    with locked(f"benchmarks-{running.state.identity}", progress):
        return ON_A_CLUSTER[name](running, progress)


def _told(result: Measured) -> bool:
    """Whether the goals are met, once the result is printed and written."""
    print(f"\n{result.text()}\nwritten: {result.write()}")
    return result.is_good


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    if "wild" in options.names and options.names != ["wild"]:
        parser.error("wild is played alone")
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (all)")
    parser.add_argument(
        "--state", type=Path, default=DEFAULT_STATE, help="folder of the environment to use (default %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=proof.SEEDS, metavar="N",
        help="proof, findings: seeds of each family (default %(default)s; with fewer the docs are left as they are)",
    )
    parser.add_argument("--ours-only", action="store_true", help="proof: take the rivals' runs of an earlier proof")
    parser.add_argument("--recorded", action="store_true",
                        help="reality, backpressure: take the last real run, leave the docs")
    wild.add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
