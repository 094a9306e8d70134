"""`python -m benchmarks wild`: simulate cases and generated worlds, check laws, and compare scalers."""

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
    """Add the options of `wild`."""
    options = parser.add_argument_group("wild")
    options.add_argument("--case", metavar="CASE", help=f"simulate a reported case: {', '.join(CASES)}")
    options.add_argument("--seed", type=int, default=0, metavar="N",
                         help="seed that varies the numbers of the case; 0 for the reported numbers")
    options.add_argument("--verbose", action="store_true", help="print every poll with its full message")
    options.add_argument("--world", type=int, metavar="SEED",
                         help="simulate the world of a seed and check it against all laws")
    options.add_argument("--without", default="", metavar="TRAIT,TRAIT", help="remove traits from the world")
    options.add_argument("--worlds", type=int, metavar="N",
                         help="check N worlds against the laws and list the violations")
    options.add_argument("--first", type=int, default=1, metavar="SEED",
                         help="seed of the first of N worlds (default %(default)s)")
    options.add_argument("--shrink", action="store_true",
                         help="reduce each violation to the fewest traits that still break the law")
    options.add_argument("--rivals", type=int, metavar="N",
                         help="compare with the best fixed replicas, KEDA and an oracle on N worlds, by trait")
    options.add_argument("--write", action="store_true", help="also write the table of --rivals to docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Run the command. Returns 0, 1 if a law is broken, or 2 for invalid options."""
    if options.case is not None:
        return _case(options)
    if options.world is not None:
        return _world(options)
    if options.worlds is not None:
        judged = judge(range(options.first, options.first + options.worlds), options.shrink)
        print(judged.text())
        return 1 if judged.broken else 0
    if options.rivals is not None:
        return _rivals(options)
    print("benchmarks wild: specify --case, --world, --worlds or --rivals", file=sys.stderr)
    return 2


def _rivals(options: argparse.Namespace) -> int:
    seeds = range(options.first, options.first + options.rivals)
    rows = rivals.by_trait(seeds, say=lambda line: print(line, file=sys.stderr))
    print(rivals.table(rows))
    if options.write:
        rivals.SECTION.write(rivals.page(rows, options.first))
        print(f"written: {rivals.SECTION.page}", file=sys.stderr)
    return 0


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
        print(f"benchmarks wild: unknown trait {', '.join(sorted(unknown))}; known traits: "
              f"{', '.join(TRAITS)}", file=sys.stderr)
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
