"""Whatever the polling child sends, and however it ends: answers are Unknown, and another child takes its place."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import polling_process
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.protocol import BODY_BYTES_MAX, frame, sample_as_json, samples_from_json
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from tests.fuzz.answers import samples
from tests.fuzz.values import json_values
from tests.fuzz.worlds import Lines, unfit_texts
from tests.waiting import until

QUERIES = [GroupQuery("orders"), GroupQuery("refunds")]
CONNECTION = Connection("kafka:9092")
EXAMPLES = 12
"""Each starts two processes."""
CHILD = """
import os, sys, time
head = os.read(0, 4)
if not head:
    sys.exit()
length = int.from_bytes(head, "big")
while length > 0:
    length -= len(os.read(0, length))
os.write(1, open(sys.argv[1], "rb").read())
time.sleep(float(sys.argv[2]))
"""
"""Waits for one question, gives the bytes of a file as its answer, and ends after a while; or at once, unasked."""

answers = (
    st.binary(max_size=40)
    | st.binary(max_size=40).map(lambda body: len(body).to_bytes(4, "big") + body)
    | json_values.map(lambda value: frame({"id": 1, "answer": value}))
    | st.lists(json_values, min_size=2, max_size=2).map(lambda two: frame({"id": 1, "answer": two}))
    | json_values.map(lambda value: frame({"id": value, "answer": []}))
    | st.sampled_from([
        (2**32 - 1).to_bytes(4, "big"), (BODY_BYTES_MAX + 1).to_bytes(4, "big") + b"{", b"\\0\\0\\0\\0", frame({}),
        (100_000).to_bytes(4, "big") + b"[" * 100_000, frame({"id": 1}), frame({"id": 1, "answer": None}),
        frame({"id": 1, "answer": [{"partitions": {"orders": [["0", "9", None, 0]]}, "group": {}}] * 2})])
)


def is_unknown(sample: GroupSample) -> bool:
    return isinstance(sample.partitions, Unknown) and sample.partitions.reason is Reason.POLLING_PROCESS_DIED


async def polled(file: Path, linger: float) -> tuple[list[GroupSample], int]:
    """The answer to one poll, and how often a child was started again soon after it."""
    process = PollingProcess([sys.executable, "-S", "-c", CHILD, str(file), str(linger)], hang_seconds=0.1)
    await process.start()
    try:
        found = await process.poll(CONNECTION, QUERIES, 0.3)
        await until(lambda: process.restarts > 0)
        return found, process.restarts
    finally:
        await process.stop()


def test_junk_from_the_child_is_unknown_and_the_child_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling_process, "FIRST_PAUSE_SECONDS", 0.01)
    file = tmp_path / "answer"

    @given(answers, st.sampled_from([0.0, 60.0]))
    @settings(max_examples=EXAMPLES)
    def junk(answer: bytes, linger: float) -> None:
        file.write_bytes(answer)
        with Lines() as said:
            found, restarts = asyncio.run(polled(file, linger))
        assert [is_unknown(sample) for sample in found] == [True, True]
        assert restarts >= 1
        assert unfit_texts(said.lines) == []

    junk()


@given(samples)
def test_a_sample_survives_its_way_through_the_pipe(sample: GroupSample) -> None:
    """NaN is unlike itself, so what is sent is compared too."""
    sent = json.dumps(sample_as_json(sample), sort_keys=True)
    (found,) = samples_from_json([json.loads(sent)], 1)
    assert found == sample or ("NaN" in sent and json.dumps(sample_as_json(found), sort_keys=True) == sent)


@given(json_values | st.lists(json_values, max_size=3))
def test_what_is_no_list_of_samples_is_one_kind_of_error(values: Any) -> None:
    told = "two samples"
    try:
        assert len(samples_from_json(values, 2)) == 2
    except ValueError as error:
        told = str(error)
    assert told != ""
