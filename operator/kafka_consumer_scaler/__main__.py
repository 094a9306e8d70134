"""The command `kafka-consumer-scaler`; exit codes: 0 done, 1 the work failed, 2 bad usage."""

from __future__ import annotations

import argparse
import sys

from kafka_consumer_scaler.cli import crd, run


def main(words: list[str] | None = None) -> int:
    """Parse the words of the command line, do what they say, return the exit code."""
    parser = argparse.ArgumentParser(prog="kafka-consumer-scaler", description=(
        "Scales Kafka consumers on Kubernetes by the lag of their group, and says why."))
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for verb in (run, crd):
        verb.add_parser(verbs)
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
