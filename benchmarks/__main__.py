"""Command line of the benchmarks: python -m benchmarks --help."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks import idle, requests
from tests import environment
from tests.environment import DEFAULT_STATE, Environment, EnvironmentFailed, Unsupported
from tests.environment.cache import locked
from tests.environment.progress import Progress
from tests.environment.tools import complain

BENCHMARKS = {"idle": idle.run, "requests": requests.run}
DESCRIPTION = """\
Measures the operator on a real cluster and broker, installed by its chart. Uses the environment of
`python -m tests.environment` and starts one if none is running. Everything else it makes is removed at the end.

  idle      CPU, memory and requests for 100 caught-up groups (7 minutes)
  requests  broker requests a poll for 1, 10 and 50 groups (6 minutes)
"""


def main(argv: list[str] | None = None) -> int:
    """Run the named benchmarks; answers 0 when all goals are met, 1 when one is missed or a run fails."""
    parser = _parser()
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        running = environment.running(options.state) or environment.up(folder=options.state)
        results = [_run(name, running) for name in options.names or BENCHMARKS]
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    except (EnvironmentFailed, Unsupported, OSError) as failure:
        complain("benchmarks", failure)
        return 1
    return 0 if all(results) else 1


def _run(name: str, running: Environment) -> bool:
    """Whether the goals are met. Two runs at once would meet in the same namespaces: the second waits."""
    progress = Progress()
    with locked(f"benchmarks-{running.state.identity}", progress):
        result = BENCHMARKS[name](running, progress)
    print(f"\n{result.text()}\nwritten: {result.write()}")
    return result.is_good


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="idle, requests (all)")
    parser.add_argument(
        "--state", type=Path, default=DEFAULT_STATE, help="folder of the environment to use (default %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
