"""The command `kafka-consumer-scaler`; exit codes: 0 done, 1 it failed, 2 bad usage, 3 `diagnose` found something."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kafka_consumer_scaler.cli import crd, diagnose, explain, replay, run, simulate

PLUGIN = "kubectl-kcs"
"""Under this name kubectl finds it, and runs it as `kubectl kcs`."""


def main(words: list[str] | None = None) -> int:
    """Parse the words of the command line, do what they say, return the exit code."""
    parser = argparse.ArgumentParser(prog=_program(), description=(
        "Scales Kafka consumers on Kubernetes by the lag of their group, and says why."))
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for verb in (run, explain, diagnose, simulate, replay, crd):
        verb.add_parser(verbs)
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


def _program() -> str:
    """What was typed to start it."""
    return "kubectl kcs" if Path(sys.argv[0]).stem == PLUGIN else "kafka-consumer-scaler"


if __name__ == "__main__":
    sys.exit(main())
