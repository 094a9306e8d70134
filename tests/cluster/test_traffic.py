"""The traffic that other tests rely on."""

from __future__ import annotations

from collections import Counter

from tests.cluster.traffic import Flow


def test_each_partition_gets_its_rate_to_the_record_however_short_the_ticks() -> None:
    flow, sent = Flow("orders", (26.0, 2.5, 0.0)), Counter[int]()
    for _ in range(256):
        sent.update(flow.due(1 / 32))
    assert sent == {0: 208, 1: 20}


def test_a_rate_that_is_set_holds_from_then_on() -> None:
    flow = Flow("orders", (1.0,))
    flow.due(1.0)
    flow.rates = (5.0,)
    assert flow.due(1.0) == [0] * 5
