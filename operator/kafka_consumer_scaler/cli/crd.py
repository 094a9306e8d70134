"""`kafka-consumer-scaler crd`: print the CustomResourceDefinitions."""

from __future__ import annotations

import argparse
import sys

from kafka_consumer_scaler.api.crd import as_helm_template, as_yaml
from kafka_consumer_scaler.api.reference import reference_page


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser("crd", help="print the CustomResourceDefinitions", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--helm", action="store_true", help="print them as the chart's template")
    form.add_argument("--markdown", action="store_true", help="print the reference page of the resources instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the form that was asked for; 0."""
    form = as_helm_template if arguments.helm else reference_page if arguments.markdown else as_yaml
    sys.stdout.write(form())
    return 0
