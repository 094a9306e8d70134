"""`kafka-consumer-scaler diagnose`: what is the matter with a consumer group, from anywhere, without Kubernetes."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka_consumer_scaler.api.addresses import HOST_AND_PORT
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.cli.connecting import NoConnection, connection_in
from kafka_consumer_scaler.cli.watching import UNBOUNDED, Clock, Poll, Watch, watched
from kafka_consumer_scaler.core.policy import IsolationLevel, Mode, OffsetReset, Policy
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.sample import GroupQuery

UNIT_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
DAY_SECONDS: Final = 24 * 3600
WEEK_SECONDS: Final = 7 * DAY_SECONDS
THREADS_MAX: Final = 1000
DEADLINE_SECONDS: Final = (10.0, 30.0)
"""Least and most time a poll may take; in between it is the interval. The first one also connects."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the words of the command line ask for."""

    connection: Connection
    query: GroupQuery
    policy: Policy
    seconds: int
    every: int
    as_json: bool

    @property
    def deadline_seconds(self) -> float:
        """The time that one poll may take."""
        return min(max(float(self.every), DEADLINE_SECONDS[0]), DEADLINE_SECONDS[1])


class WallClock:
    """Seconds since the epoch as read at the start, carried on by the loop's clock, which nobody sets."""

    def __init__(self) -> None:
        from kafka_consumer_scaler.control.clock import SteadyClock

        self._steady = SteadyClock()

    def now(self) -> float:
        """The time."""
        return self._steady.now()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and its flags."""
    parser = subparsers.add_parser("diagnose", help="say what is the matter with a consumer group", description=(
        "Watches a consumer group and says how far it is behind, why, and what would help; changes nothing. "
        "Exit codes: 0 nothing found and within the objective; 1 the work failed; 2 bad usage; 3 something was found, "
        "or the group is over its objective."))
    reached = parser.add_mutually_exclusive_group(required=True)
    reached.add_argument("--bootstrap-servers", type=_servers, metavar="HOST:PORT",
                         help="brokers to start from, several separated by commas; plain text, no authentication")
    reached.add_argument("--connection", metavar="FILE",
                         help="a KafkaConnection as YAML, or its spec, and the Secrets that it names")
    parser.add_argument("--secrets", metavar="FILE",
                        help="with --connection: its Secrets, if they are not in the same file")
    parser.add_argument("--group", type=_group, required=True, metavar="GROUP", help="the consumer group")
    parser.add_argument("--for", type=duration, dest="seconds", default="60s", metavar="TIME",
                        help="how long to watch it: 90, 90s, 2m, 1h (default: 60s; at least two polls)")
    parser.add_argument("--every", type=duration, default="5s", metavar="TIME",
                        help="how often to ask Kafka (default: 5s)")
    topics = parser.add_mutually_exclusive_group()
    topics.add_argument("--topic", type=_topic, action="append", dest="topics", metavar="TOPIC",
                        help="look at this topic only; repeatable (default: all that the group has offsets for)")
    topics.add_argument("--topic-pattern", type=_pattern, metavar="RE",
                        help="look at topics whose whole name matches this regular expression (RE2)")
    parser.add_argument("--lag-seconds", type=_seconds, default="60", metavar="SECONDS",
                        help="the objective: no record waits longer (default: 60)")
    parser.add_argument("--offset-reset", choices=[str(each) for each in OffsetReset], default="latest",
                        help="the consumers' auto.offset.reset (default: latest)")
    parser.add_argument("--isolation-level", choices=[str(each) for each in IsolationLevel], default="read_committed",
                        help="the consumers' isolation.level (default: read_committed)")
    parser.add_argument("--consumer-threads", type=_threads, default="1", metavar="N",
                        help="consumers in one replica (default: 1)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="(default: text)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Watch the group, print what was learned; the exit codes are those of the verb's help."""
    logging.getLogger("kafka_consumer_scaler").addHandler(logging.NullHandler())  # samples tell what went wrong
    if arguments.secrets is not None and arguments.connection is None:
        return _complain("--secrets belongs to --connection", 2)
    try:
        asked = _asked(arguments, _connection(arguments))
    except NoConnection as problem:
        return _complain(problem, 2)
    try:
        return reported(asked, asyncio.run(_watched_for_real(asked)))
    except KeyboardInterrupt:
        return _complain("interrupted", 1)
    except BrokenPipeError:  # the reader has seen enough; what is still buffered must not fail at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _complain(error, 1)


async def watch_group(asked: Asked, poll: Poll, clock: Clock, tell: Callable[[Watch], None]) -> Watch:
    """What was learned of the group; a ^C ends it early with what is known by then."""
    watch = Watch(asked.policy)
    try:
        await watched(watch, poll, clock, asked.seconds, asked.every, tell)
    except asyncio.CancelledError:
        watch.is_interrupted = True
    return watch


def reported(asked: Asked, watch: Watch) -> int:
    """Print the diagnosis to stdout, or why there is none to stderr; the exit code."""
    problem = _failure(asked, watch)
    if problem is not None:
        return _complain(problem, 1)
    from kafka_consumer_scaler.cli.diagnosis import diagnosis, print_diagnosis

    found = diagnosis(asked.query.group, asked.connection.bootstrap_servers, watch)
    if asked.as_json:
        print(json.dumps(found, allow_nan=False, indent=2))
    else:
        print_diagnosis(found)
    sys.stdout.flush()
    if found["withinObjective"] is None and not found["findings"]:
        return _complain(f"whether the objective is kept is not known: {found['unknown'].get('lagSeconds', '')}", 1)
    return 0 if found["withinObjective"] and not found["findings"] else 3


def _failure(asked: Asked, watch: Watch) -> str | None:
    """Why nothing can be said; None when something can."""
    group = asked.query.group
    if watch.verdict is None:
        why = watch.problem.why if watch.problem else "interrupted before Kafka had answered"
        named = asked.query.topics or asked.query.topic_pattern
        return why if named else why.replace("no topics are declared", "no --topic was given")
    if watch.is_missing:
        return f"group {group} does not exist"
    if isinstance(watch.verdict.situation, Unknown):
        return f"group {group} cannot be judged: {watch.verdict.situation.why}"
    return None


async def _watched_for_real(asked: Asked) -> Watch:
    process = PollingProcess()
    await process.start()

    async def poll() -> Any:
        [sample] = await process.poll(asked.connection, [asked.query], asked.deadline_seconds)
        return sample

    try:
        with progress(asked) as tell:
            return await watch_group(asked, poll, WallClock(), tell)
    finally:
        await process.stop()


@contextmanager
def progress(asked: Asked) -> Iterator[Callable[[Watch], None]]:
    """A bar on a terminal's stderr; nothing where stderr goes elsewhere."""
    if not sys.stderr.isatty():
        yield lambda watch: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    words = TextColumn(f"watching {one_line(asked.query.group, 60)}", markup=False)
    left = TextColumn("{task.completed:.0f} of {task.total:.0f} s, ^C for what is known so far", markup=False)
    with Progress(words, BarColumn(), left, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=float(asked.seconds))
        yield lambda watch: bars.update(bar, completed=min(watch.seconds, float(asked.seconds)))


def _connection(arguments: argparse.Namespace) -> Connection:
    if arguments.connection is None:
        return Connection(arguments.bootstrap_servers)
    return connection_in(arguments.connection, arguments.secrets)


def _asked(arguments: argparse.Namespace, connection: Connection) -> Asked:
    topics = tuple(dict.fromkeys(arguments.topics or ()))
    reset, level = OffsetReset(arguments.offset_reset), IsolationLevel(arguments.isolation_level)
    pattern = arguments.topic_pattern
    policy = Policy(
        max_replicas=UNBOUNDED, lag_seconds=arguments.lag_seconds, polling_interval_seconds=arguments.every,
        consumer_threads=arguments.consumer_threads, topics=topics, topic_pattern=pattern, offset_reset=reset,
        isolation_level=level, mode=Mode.ADVISORY,
    )
    query = GroupQuery(arguments.group, topics, pattern, reset, level)
    return Asked(connection, query, policy, arguments.seconds, arguments.every, arguments.output == "json")


def duration(word: str) -> int:
    """Seconds: `90`, `90s`, `2m` or `1h`, from a second to a day."""
    found = re.fullmatch(r"([0-9]{1,6})([smh]?)", word, re.ASCII)
    seconds = int(found[1]) * UNIT_SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= DAY_SECONDS:
        raise argparse.ArgumentTypeError(f"{one_line(word)!r} is no time from 1s to 24h, such as 90, 90s, 2m or 1h")
    return seconds


def _seconds(word: str) -> float:
    seconds = float(word)
    if not 1 <= seconds <= WEEK_SECONDS:
        raise argparse.ArgumentTypeError(f"{one_line(word)} is not from 1 to {WEEK_SECONDS}")
    return seconds


_seconds.__name__ = "number of seconds"  # argparse: "invalid number of seconds value: 'x'"


def _threads(word: str) -> int:
    threads = int(word)
    if not 1 <= threads <= THREADS_MAX:
        raise argparse.ArgumentTypeError(f"{one_line(word)} is not from 1 to {THREADS_MAX}")
    return threads


_threads.__name__ = "number"


def _servers(word: str) -> str:
    if not re.fullmatch(HOST_AND_PORT.pattern, word):
        what = "is no comma-separated list of host:port without spaces and scheme, such as kafka:9092"
        raise argparse.ArgumentTypeError(f"{one_line(word)} {what}")
    return word


def _group(word: str) -> str:
    if not word.strip():
        raise argparse.ArgumentTypeError("a group has a name")
    return word


def _topic(word: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", word):
        raise argparse.ArgumentTypeError(f"{one_line(word)!r} is no name of a topic")
    return word


def _pattern(word: str) -> str:
    from kafka_consumer_scaler.core.reasons import Reason
    from kafka_consumer_scaler.kafka.readings import matching

    said = matching(word, ())
    if isinstance(said, Unknown) and said.reason is Reason.INVALID_SPEC:
        raise argparse.ArgumentTypeError(one_line(said.why.removeprefix("topicPattern ")))
    return word


def _complain(problem: object, code: int) -> int:
    print(f"kafka-consumer-scaler diagnose: {one_line(str(problem))}", file=sys.stderr)
    return code
