"""Command line of the faults: python -m tests.faults --help."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.environment import EnvironmentFailed
from tests.environment.progress import Progress
from tests.faults import parts, report
from tests.faults.invariants import violations
from tests.faults.layout import Layout
from tests.faults.plan import KINDS, Episode, episodes
from tests.faults.play import Run
from tests.faults.programs import WorldFailed
from tests.faults.record import load
from tests.faults.spaces import bring_up_loopback, enter
from tests.faults.world import World

INSIDE = "KAFKA_CONSUMER_SCALER_FAULTS_INSIDE"
DESCRIPTION = """\
Injects faults into a real world of three brokers, an API server, consumers and load, and checks invariants over the
record of every decision and every write. Root on Linux; it runs in namespaces of its own, which end with it.
"""


def main(argv: list[str] | None = None) -> int:
    """Run it; answers the exit code: 0 all survived, 1 a law was broken, 2 bad usage, 3 the world itself failed."""
    options = _parser().parse_args(argv)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if options.judge is not None:
        return _judged(options.judge, "")
    try:
        built = parts.build(Progress())
        if not os.environ.get(INSIDE):
            return enter("tests.faults", sys.argv[1:] if argv is None else argv, {INSIDE: "1"})
        return _inside(options, built)
    except (EnvironmentFailed, WorldFailed) as failure:
        print(f"faults: the world failed: {failure}", file=sys.stderr)
        return 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=DESCRIPTION)
    parser.add_argument("--seed", type=int, default=1, help="of everything that is chosen at random (%(default)s)")
    parser.add_argument("--faults", type=int, default=30, metavar="M", help="to inject at least (%(default)s)")
    parser.add_argument("--only", type=_kinds, default=tuple(KINDS), metavar="KIND,...", help=", ".join(KINDS))
    parser.add_argument("--episode", type=int, metavar="N", help="play only this one of the run's episodes")
    parser.add_argument("--operators", type=int, default=2, choices=(1, 2), help="how many run (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("faults-output"), metavar="DIR",
                        help="of the record and the logs (%(default)s)")
    parser.add_argument("--judge", type=Path, metavar="DIR", help="judge the record of an earlier run, and inject none")
    return parser


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no kind {', '.join(unknown)}")
    return kinds


def _inside(options: argparse.Namespace, built: parts.Parts) -> int:
    bring_up_loopback()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    world = World(Layout(folder, built), tuple(f"operator-{letter}" for letter in "ab"[: options.operators]))
    run = Run(world, print)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        _play(run, _chosen(options), options.output)
        world.down()
        return _judged(_kept(run, folder, options.output), _command(options))
    except WorldFailed:
        _kept(run, folder, options.output)
        print(f"again: {_command(options)}", file=sys.stderr)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _play(run: Run, chosen: tuple[Episode, ...], output: Path) -> None:
    began, known = time.monotonic(), 0
    with Progress().step("starting the world"):
        run.world.up()
    for episode in chosen:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"{minutes:02d}:{seconds:02d} episode {episode.number}: {episode.faults} faults")
        run.play(episode)
        known = _told_anew(run, output, known)


def _told_anew(run: Run, output: Path, known: int) -> int:
    """Keep the record, say which laws were broken since the last time, and answer how many there are."""
    record = run.record()
    record.save(output)
    broken = report.complaints(record)
    for line in broken[known:]:
        print(f"  BROKEN {line}")
    return len(broken)


def _chosen(options: argparse.Namespace) -> tuple[Episode, ...]:
    kinds = [kind for kind in options.only if KINDS[kind].operators <= options.operators]
    found = episodes(options.seed, options.faults, kinds)
    return found if options.episode is None else tuple(one for one in found if one.number == options.episode)


def _kept(run: Run, folder: Path, output: Path) -> Path:
    """The record and the programs' logs, where the user wants them."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    shutil.copytree(folder / "logs", output / "logs")
    if (folder / "audit.log").exists():
        shutil.copy(folder / "audit.log", output)
    run.record().save(output)
    return output


def _command(options: argparse.Namespace) -> str:
    words = [f"python -m tests.faults --seed {options.seed} --faults {options.faults}"]
    words += [f"--only {','.join(options.only)}"] if options.only != tuple(KINDS) else []
    words += [f"--operators {options.operators}"] if options.operators != 2 else []
    words += [f"--episode {options.episode}"] if options.episode is not None else []
    return " ".join(words)


def _judged(folder: Path, command: str) -> int:
    record = load(folder)
    print(f"\n{report.table([record])}\n\n{report.figures([record])}")
    for line in report.complaints(record):
        print(line, file=sys.stderr)
    if violations(record):
        print(f"again: {command or '(as it was run)'}; the record is kept in {folder}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
