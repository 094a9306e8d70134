"""What brokers tell of themselves, and that one which tells nothing leaves nothing behind."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from kafka_consumer_scaler.core.snapshot import TopicPartition
from kafka_consumer_scaler.kafka import brokers
from kafka_consumer_scaler.kafka.brokers import Told, ask, compacted_of, retention_of, sizes_of
from kafka_consumer_scaler.kafka.connection import Connection
from tests.ports import refusing
from tests.waiting import eventually

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


@contextmanager
def silent_broker() -> Iterator[int]:
    """One that takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def foreign_broker() -> Iterator[int]:
    """One that speaks another language, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        speaker = threading.Thread(target=answer_with_garbage, args=(server,))
        speaker.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        speaker.join()


def answer_with_garbage(server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the end
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):  # the client has left
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def replica(partition: int, size: int, *, future: bool = False) -> dict[str, Any]:
    return {"partition_index": partition, "partition_size": size, "offset_lag": 0, "is_future_key": future}


def directory(*replicas: dict[str, Any]) -> dict[str, Any]:
    return {"error_code": 0, "log_dir": "/data", "topics": [{"name": "orders", "partitions": list(replicas)}]}


def test_a_replica_that_is_being_copied_is_left_out() -> None:
    directories = [directory(replica(0, 500)), directory(replica(0, 100, future=True), replica(1, 7))]
    assert list(sizes_of(directories)) == [(P0, 500), (P1, 7)]


def test_a_topic_is_compacted_whose_policy_says_so_and_one_that_tells_none_is_absent() -> None:
    policies = {"a": "delete", "b": "compact", "c": "compact,delete"}
    told = {topic: {"cleanup.policy": {"value": policy}} for topic, policy in policies.items()}
    assert compacted_of({**told, "d": {}}) == {"a": False, "b": True, "c": True}


def test_the_retention_is_told_in_minutes_or_not_at_all() -> None:
    assert retention_of({"offsets.retention.minutes": {"value": "10080"}}) == 7 * 86_400
    assert retention_of({"offsets.retention.minutes": {"value": None}}) is None
    assert retention_of({}) is None


@pytest.mark.parametrize("broker", [refusing, silent_broker, foreign_broker])
def test_a_broker_that_does_not_answer_costs_its_time_and_no_more(
    broker: Callable[[], AbstractContextManager[int]], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """kafka-python by itself would wait for 30 s."""
    monkeypatch.setattr(brokers, "REQUEST_SECONDS", 0.5)
    caplog.set_level(logging.DEBUG)
    with broker() as port:
        before, began = set(threading.enumerate()), time.monotonic()
        assert ask(Connection(f"127.0.0.1:{port}"), [P0], retention=True) == Told()
        assert time.monotonic() - began < 25
        eventually(lambda: set(threading.enumerate()) <= before)
    [said] = caplog.records
    assert (said.name, said.levelno) == ("kafka_consumer_scaler.kafka", logging.DEBUG)
    assert f"127.0.0.1:{port}" in said.getMessage()


def test_an_address_that_is_none_is_an_answer_that_tells_nothing() -> None:
    assert ask(Connection("::::"), [P0], retention=True) == Told()
