"""`kafka-consumer-scaler explain`: what a KafkaConsumerScaler sees, what it decided, and why."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kafka_consumer_scaler.api.rules import one_line

if TYPE_CHECKING:  # what asks and draws takes a second to load, which the other verbs go without
    from kafka_consumer_scaler.cli.asking import Question

NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
WATCH_SECONDS: Final = 5.0
WATCH_SECONDS_MIN: Final = 0.5


class BadUsage(ValueError):
    """The words of the command line make no sense together; one line."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and its flags."""
    parser = subparsers.add_parser("explain", help="say what a KafkaConsumerScaler sees, decided, and why",
                                   description=(
        "Reads a KafkaConsumerScaler, its target's replicas and its events from the API server, and explains: the "
        "backlog, the decision and its reasons, the limits, what was found, and what to do. It changes nothing."))
    parser.add_argument("resource", metavar="[NAMESPACE/]NAME", help="the KafkaConsumerScaler")
    parser.add_argument("-n", "--namespace", metavar="NAME", help="its namespace (default: that of the context)")
    parser.add_argument("--kubeconfig", metavar="PATH",
                        help="kubeconfig to use (default: KUBECONFIG, else ~/.kube/config)")
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: the current one)")
    parser.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text", help="(default: text)")
    parser.add_argument("--watch", nargs="?", type=_pause, const=WATCH_SECONDS, metavar="SECONDS",
                        help="ask again every so many seconds, until Ctrl-C (default: 5)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report to this file too")
    parser.set_defaults(run=run, program=parser.prog)


def run(arguments: argparse.Namespace) -> int:
    """Explain once, or until Ctrl-C; 1 when there is no answer, 2 for words that make no sense."""
    from kafka_consumer_scaler.cli.asking import CouldNot

    try:
        asyncio.run(_explain(_question(arguments), arguments))
    except BadUsage as error:
        return _complain(arguments, error, 2)
    except BrokenPipeError:  # the reader has seen enough; what is still buffered must not fail at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CouldNot, OSError) as error:
        return _complain(arguments, error, 1)
    except KeyboardInterrupt:
        return 0 if arguments.watch else 1
    return 0


async def _explain(question: Question, arguments: argparse.Namespace) -> None:
    from kafka_consumer_scaler.cli.asking import desk
    from kafka_consumer_scaler.cli.explain_output import Output, watch

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    output = Output(arguments.output, arguments.html, sys.stdout)
    async with desk(question) as asked:
        if arguments.watch:
            await watch(asked, output, arguments.watch)
        else:
            output.show(await asked.ask())


def _question(arguments: argparse.Namespace) -> Question:
    from kafka_consumer_scaler.cli.asking import Question

    before, slash, name = arguments.resource.rpartition("/")
    namespace = before if slash else arguments.namespace
    if arguments.namespace not in (None, namespace):
        raise BadUsage(f"{arguments.resource} is not in the namespace {arguments.namespace} of --namespace")
    for word in (name, *([] if namespace is None else [namespace])):
        if not NAME.fullmatch(word):
            raise BadUsage(f"{word!r} is not a name; wanted: NAMESPACE/NAME, or NAME")
    return Question(namespace, name, arguments.kubeconfig, arguments.context)


def _pause(word: str) -> float:
    seconds = float(word)
    if not WATCH_SECONDS_MIN <= seconds <= 3600:
        raise ValueError(word)
    return seconds


_pause.__name__ = "seconds"  # argparse: "invalid seconds value: '0'"


def _complain(arguments: argparse.Namespace, problem: object, code: int) -> int:
    print(f"{arguments.program}: {one_line(str(problem))}", file=sys.stderr)
    return code
