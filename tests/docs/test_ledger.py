"""The loads of docs/ledger.md, on which the simulator found a bug, stay within what the page says."""

from __future__ import annotations

import re

import pytest

from kafka_consumer_scaler.core.commits import commit_interval_seconds
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.snapshot import Reading, Sample, TopicPartition
from kafka_consumer_scaler.simulation.compare import play, policy_for
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.workload import FAMILIES, workload
from tests.docs.pages import ROOT, page
from tests.docs.situations import group

PAGE = page("docs/ledger.md")
RUNS = PAGE.table("runs")[1:]


@pytest.mark.parametrize("row", RUNS, ids=lambda row: f"{row[1]}-{row[2]}")
def test_a_load_that_showed_a_bug_stays_within_its_bounds(row: list[str]) -> None:
    load = workload(row[1], int(row[2]))
    policy = policy_for(load)
    run = play(load, policy, KafkaConsumerScaler(policy))
    score = run.score
    found = (score.lag_seconds_max, score.seconds_over_objective, score.scale_changes, score.replica_seconds,
             run.record.replicas[-1])
    assert [(is_now, most) for is_now, most in zip(found, row[3:], strict=True)
            if most != "-" and is_now > float(most)] == []


class Counted(dict[TopicPartition, Reading]):
    """Readings that count how often one is looked up."""

    lookups = 0

    def get(self, key: TopicPartition, default: object = None) -> Reading | None:  # type: ignore[override]
        Counted.lookups += 1
        return super().get(key)


def lookups(partitions: int) -> int:
    """Readings looked up for the commit interval of a group that commits every 10 s."""
    tps = [TopicPartition("orders", number) for number in range(partitions)]
    samples = tuple(Sample(float(at), Counted({tp: Reading(10 * at, at - at % 10) for tp in tps}), group(1, tuple(tps)))
                    for at in range(0, 300, 5))
    Counted.lookups = 0
    assert commit_interval_seconds(History(samples=samples, latest=samples[-1])) == 10
    return Counted.lookups


def test_the_commit_interval_asks_twenty_partitions_however_many_there_are() -> None:
    """The first and the last sample are compared in columns; twenty partitions are looked up in those between."""
    assert lookups(200) == lookups(20)
    assert lookups(20) > 20 * 59


def test_every_load_and_every_test_that_the_ledger_names_exists() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE.text)
    assert [name for name in named if f"def {name}(" not in tests] == []
    bugs: list[tuple[str, str]] = re.findall(r"^\| ([a-z]{1,2}) \|(.*)\|$", PAGE.text.split("<!--")[0], re.MULTILINE)
    assert [bug for bug, rest in bugs if not re.search(r"`test_\w+`", rest)] == []
    assert [bug for bug, _ in bugs] == sorted({bug for bug, _ in bugs}, key=lambda bug: (len(bug), bug))
    assert {row[0] for row in RUNS} <= {bug for bug, _ in bugs}
    assert {row[1] for row in RUNS} <= set(FAMILIES)
