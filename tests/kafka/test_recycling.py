"""When a process that has grown is replaced: worked numbers of the law."""

from __future__ import annotations

import os

import pytest

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.recycling import MIB, Growth, Recycling, resident_bytes

LAW = Recycling()
START = 1000.0


def looked(*looks: tuple[float, int | Unknown], rested: float = 0.0) -> tuple[Growth, bool]:
    """What is known after looks at a process's memory, of an age in minutes and a size in MiB, and what follows."""
    growth = Growth(START, rested)
    for minutes, size in looks:
        now = START + 60 * minutes
        growth = growth.with_look(size if isinstance(size, Unknown) else size * MIB, now, LAW)
    return growth, growth.is_leak(now, LAW)


@pytest.mark.parametrize(("baseline", "limit"), [(40, 144), (32, 128), (200, 464), (0, 64)])
def test_it_may_have_twice_its_baseline_and_64_mib_more(baseline: int, limit: int) -> None:
    assert LAW.limit_bytes(baseline * MIB) == limit * MIB
    assert looked((10, baseline), (11, limit))[1] is False
    assert looked((10, baseline), (11, limit + 1))[1] is True


def test_its_memory_after_ten_minutes_is_the_baseline_whatever_it_was_before() -> None:
    growth, is_leak = looked((1, 20), (9, 35), (10, 40), (11, 60), (12, 130))
    assert (growth.baseline_bytes, is_leak) == (40 * MIB, False)
    assert str(growth) == "from 40 MiB to 130 MiB"


def test_it_is_not_replaced_before_it_has_settled() -> None:
    assert looked((1, 20), (9, 5000))[1] is False


def test_it_is_replaced_at_most_once_an_hour() -> None:
    an_hour = START + LAW.rest_seconds
    assert looked((10, 40), (59, 500), rested=an_hour)[1] is False
    assert looked((10, 40), (60, 500), rested=an_hour)[1] is True


def test_memory_that_is_not_told_is_no_leak() -> None:
    nothing = Unknown("no /proc")
    assert looked((10, nothing), (11, nothing))[1] is False
    assert looked((10, 40), (11, nothing))[1] is False
    growth, is_leak = looked((10, nothing), (11, 40), (12, 500))
    assert (growth.baseline_bytes, is_leak) == (40 * MIB, True)


def test_the_memory_of_a_process_that_is_gone_is_unknown() -> None:
    assert isinstance(resident_bytes(2**31 - 1), Unknown)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells a process's memory")
def test_memory_that_is_used_is_told() -> None:
    before = resident_bytes(os.getpid())
    kept = b"x" * (50 * MIB)
    after = resident_bytes(os.getpid())
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after - before > 45 * MIB
    del kept
