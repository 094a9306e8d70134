"""`python -m benchmarks wild`: plays a case or a drawn world, and judges drawn worlds by the laws."""

from __future__ import annotations

import argparse
import sys

from benchmarks.wild.table import table
from kafka_consumer_scaler.simulation.wild.cases import CASES, case
from kafka_consumer_scaler.simulation.wild.play import play


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `wild`."""
    options = parser.add_argument_group("wild")
    options.add_argument("--case", metavar="CASE", help=f"play a reported group: {', '.join(CASES)}")
    options.add_argument("--seed", type=int, default=0, metavar="N",
                         help="vary the case's numbers; 0 is as it was reported")
    options.add_argument("--verbose", action="store_true", help="print every poll with its whole message")


def run(options: argparse.Namespace) -> int:
    """Play what the options say; answers 0, 1 when a law is broken, 2 on bad usage."""
    if options.case is not None:
        return _case(options)
    print(f"benchmarks wild: --case NAME is needed; there are {', '.join(CASES)}", file=sys.stderr)
    return 2


def _case(options: argparse.Namespace) -> int:
    try:
        world = case(options.case, options.seed)
    except ValueError as error:
        print(f"benchmarks wild: {error}", file=sys.stderr)
        return 2
    print(table(play(world), options.verbose))
    return 0
