"""`python -m benchmarks wild`: plays a case or a drawn world, and judges drawn worlds by the laws."""

from __future__ import annotations

import argparse
import sys

from benchmarks.wild import rivals
from benchmarks.wild.judge import judge
from benchmarks.wild.laws import broken
from benchmarks.wild.shrink import command, shrink
from benchmarks.wild.table import described, table
from benchmarks.wild.worlds import TRAITS, draw
from kafka_consumer_scaler.simulation.wild.cases import CASES, case
from kafka_consumer_scaler.simulation.wild.play import play


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `wild`."""
    options = parser.add_argument_group("wild")
    options.add_argument("--case", metavar="CASE", help=f"play a reported group: {', '.join(CASES)}")
    options.add_argument("--seed", type=int, default=0, metavar="N",
                         help="vary the case's numbers; 0 is as it was reported")
    options.add_argument("--verbose", action="store_true", help="print every poll with its whole message")
    options.add_argument("--world", type=int, metavar="SEED", help="play the world of a seed and judge it by all laws")
    options.add_argument("--without", default="", metavar="TRAIT,TRAIT", help="leave traits of the world out")
    options.add_argument("--worlds", type=int, metavar="N", help="judge N worlds, and say which laws were broken")
    options.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them (default %(default)s)")
    options.add_argument("--shrink", action="store_true", help="look for the fewest traits that break the same law")
    options.add_argument("--rivals", type=int, metavar="N",
                         help="play N worlds, beside fixed replicas and KEDA, and print a table by trait")


def run(options: argparse.Namespace) -> int:
    """Play what the options say; answers 0, 1 when a law is broken, 2 on bad usage."""
    if options.case is not None:
        return _case(options)
    if options.world is not None:
        return _world(options)
    if options.worlds is not None:
        judged = judge(range(options.first, options.first + options.worlds), options.shrink)
        print(judged.text())
        return 1 if judged.broken else 0
    if options.rivals is not None:
        print(rivals.table(rivals.by_trait(range(options.first, options.first + options.rivals))))
        return 0
    print("benchmarks wild: one of --case, --world, --worlds and --rivals is needed", file=sys.stderr)
    return 2


def _case(options: argparse.Namespace) -> int:
    try:
        world = case(options.case, options.seed)
    except ValueError as error:
        print(f"benchmarks wild: {error}", file=sys.stderr)
        return 2
    print(table(play(world), options.verbose))
    return 0


def _world(options: argparse.Namespace) -> int:
    without = frozenset(filter(None, options.without.split(",")))
    if unknown := without - TRAITS.keys():
        print(f"benchmarks wild: there is no trait {', '.join(sorted(unknown))}; there are {', '.join(TRAITS)}",
              file=sys.stderr)
        return 2
    drawn = draw(options.world, without)
    played = play(drawn.world)
    print(f"traits: {', '.join(drawn.traits) or 'none'}\n{described(drawn.world)}\n{table(played, options.verbose)}")
    found = broken(played)
    for one in found:
        print(f"{one.law} broken at {one.at:.0f} s: {one.why}")
        if options.shrink:
            smallest, again = shrink(options.world, one, without)
            print(f"    {', '.join(smallest.traits) or 'no trait'}: {again.why}\n    {command(smallest)}")
    return 1 if found else 0
