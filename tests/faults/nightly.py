"""Many short runs, one after the other: python -m tests.faults.nightly --help.

Each has a seed and a world of its own, so a world that fails costs one run, which is played once more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.faults import report
from tests.faults.record import Record, load

FAULTS_IN_A_RUN = 20
WORLD_FAILED = 3
TRIES = 2


def main() -> int:
    """Play them all; answers 0 when all was survived, 1 when a law was broken, 3 when too many worlds failed."""
    options = _options()
    played = {number: _played(number, faults, options) for number, faults in ((1, options.alone), (2, options.pairs))}
    for number, records in played.items():
        if records:
            print(f"\n{number} operator{'s' * (number > 1)}: {report.figures(records)}")
    everything = [record for records in played.values() for record in records]
    print(f"\n{report.table(everything)}")
    if sum(len(record.faults) for record in everything) < options.alone + options.pairs:
        return WORLD_FAILED
    return 1 if any(map(report.complaints, everything)) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.nightly", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next")
    parser.add_argument("--alone", type=int, default=140, help="faults with one operator, at least (%(default)s)")
    parser.add_argument("--pairs", type=int, default=60, help="faults with two and a lease, at least (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("faults-output"), metavar="DIR")
    return parser.parse_args()


def _played(operators: int, faults: int, options: argparse.Namespace) -> list[Record]:
    """Runs until there were so many faults; those whose worlds failed, and twice, are left out."""
    records: list[Record] = []
    seeds = iter(range(options.seed, options.seed + 2 * faults // FAULTS_IN_A_RUN + 1))
    while sum(len(record.faults) for record in records) < faults and (seed := next(seeds, None)) is not None:
        folder = options.output / f"operators-{operators}-seed-{seed}"
        if any(_run(operators, seed, folder) != WORLD_FAILED for _ in range(TRIES)):
            records.append(load(folder))
    return records


def _run(operators: int, seed: int, folder: Path) -> int:
    words = ["--seed", str(seed), "--faults", str(FAULTS_IN_A_RUN), "--operators", str(operators)]
    print(f"\n$ python -m tests.faults {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "tests.faults", *words, "--output", str(folder)]).returncode


if __name__ == "__main__":
    sys.exit(main())
