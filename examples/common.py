"""What batch_consumer.py, async_consumer.py and batch_producer.py share: the environment, the output, the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

Environment = Mapping[str, str]


def required(env: Environment, name: str) -> str:
    """Raises ValueError with one line that names the variable."""
    if not env.get(name):
        raise ValueError(f"{name} is not set")
    return env[name]


def number(env: Environment, name: str, default: float, least: float = 0) -> float:
    """A number up to 1,000,000. Raises ValueError with one line that names the variable."""
    text = env.get(name, str(default))
    with suppress(ValueError):
        if least <= float(text) <= 1e6:
            return float(text)
    raise ValueError(f"{name} must be a number between {least:g} and 1000000, not {text!r}")


def whole(env: Environment, name: str, default: int, least: int = 1) -> int:
    """A whole number up to 1,000,000. Raises ValueError with one line that names the variable."""
    found = number(env, name, default, least)
    if found % 1:
        raise ValueError(f"{name} must be a whole number, not {env[name]!r}")
    return int(found)


def consumer_settings(env: Environment) -> dict[str, Any]:
    """For librdkafka. Offsets are stored by the program, when the work on a record is done: that is at least once."""
    return {
        "bootstrap.servers": required(env, "KAFKA_BOOTSTRAP_SERVERS"),
        "group.id": required(env, "GROUP"),
        "client.id": env.get("HOSTNAME", "consumer"),
        "partition.assignment.strategy": env.get("ASSIGNOR", "cooperative-sticky"),
        "auto.offset.reset": env.get("OFFSET_RESET", "earliest"),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }


class Output:
    """A file that gets a line `partition offset key value` for each record, at once; nothing without a path."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if path else None

    def write(self, records: Iterable[Any]) -> None:
        if self._file is not None:
            lines = (b"%d %d %b %b\n" % (one.partition(), one.offset(), one.key() or b"-", (one.value() or b"").strip())
                     for one in records)
            os.write(self._file, b"".join(lines))


def usable(record: Any) -> bool:
    """Whether it is a record, not an error. Raises KafkaException for those that librdkafka does not recover from."""
    if record.error() is None:
        return True
    if record.error().fatal():
        raise KafkaException(record.error())
    say(f"error: {record.error().str()}")
    return False


def store(consumer: Any, topic: str, positions: Mapping[int, int]) -> None:
    """Make these offsets, by partition, those of the next commit."""
    for partition, offset in positions.items():
        try:
            consumer.store_offsets(offsets=[TopicPartition(topic, partition, offset)])
        except KafkaException as error:  # lost meanwhile: its new owner does the work again
            say(f"partition {partition} not stored: {error.args[0].str()}")


def commit(consumer: Any, *, asynchronous: bool = False) -> None:
    """Commit what is stored. What cannot be committed now goes with the next commit, or is done again."""
    try:
        consumer.commit(asynchronous=asynchronous)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:
            say(f"not committed: {error.args[0].str()}")


def say_partitions(verb: str, partitions: Iterable[Any]) -> None:
    say(f"{verb} {sorted(each.partition for each in partitions)}")


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main(program: str, make: Callable[[Environment], Callable[[], None]]) -> int:
    """Run what `make` makes of the environment; answers 0, 1 after a failure, 2 for a bad environment."""
    code = 2
    try:
        run = make(os.environ)
        code = 1
        run()
    except KafkaException as error:
        print(f"{program}: {error.args[0].str()}", file=sys.stderr)
        return code
    except (ValueError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return code
    return 0
