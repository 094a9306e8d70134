"""Both sides of the loop in one picture, in text and in HTML, of whatever the status holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafka_consumer_scaler.cli.html import explain_page
from kafka_consumer_scaler.cli.loop import Row, bar, loop_of
from kafka_consumer_scaler.core.snapshot import Replicas
from tests.cli.html import PageOf
from tests.cli.standings import HELD, NOW, QUOTAS, condition
from tests.cli.test_explain import shown, standing

TWELVE = Replicas(12, 12)


def held(status: dict[str, Any] = HELD, backpressure: Any = QUOTAS, **spec: Any) -> dict[str, Any]:
    return standing(status, TWELVE, backpressure=backpressure, **spec)


def drawn(found: dict[str, Any]) -> str:
    """The picture as text."""
    return shown(found).partition("The loop\n")[2].partition("\n\n")[0]


def without(*names: str, **instead: Any) -> dict[str, Any]:
    return {name: value for name, value in HELD.items() if name not in names} | instead


def row(found: dict[str, Any], side: str, name: str) -> Row:
    (only,) = [each for each in loop_of(found)[side] if each.name == name]
    return only


def test_producers_that_are_held_are_shown_beside_what_they_asked_for_and_what_is_sustained() -> None:
    assert drawn(held()) == """\
  producers  asked for  2,400/s  --------------------   before they were held
             arrive     1,180/s  ##########
             held to    1,200/s  #|#########            120,000 bytes/s; floor 12,000
  topic      lag         40,000
             oldest        30 s  ##########          |  of 60 s allowed
  consumers  process    1,200/s  ##########
             sustain    1,200/s  ----------             with 12 replicas
             replicas        12  ####################|  of 12 useful, 12 allowed
             bound by                                   AtMaxReplicas"""


def test_without_backpressure_producers_are_shown_by_what_arrives_alone() -> None:
    assert drawn(standing()) == """\
  producers  arrive     620/s  ####################
  topic      lag       12,400
             oldest      95 s  #############|#######  of 60 s allowed
  consumers  process    400/s  #############
             replicas       4  #######             |  of 12 allowed
             bound by                                 HotPartition"""


def test_a_rate_that_is_only_published_is_shown_as_what_would_be_safe() -> None:
    safe = {**HELD["safeRate"], "isLowerBound": True}
    found = held(without("quotaLeases", "memory", safeRate=safe), backpressure={})
    assert [each.name for each in loop_of(found)["producers"]] == ["arrive", "safe"]
    assert row(found, "producers", "safe").note == "at least"
    assert row(found, "consumers", "sustain").note == "at least, with 12 replicas"


def test_a_rate_that_no_broker_was_told_holds_nobody() -> None:
    found = held(without("quotaLeases"))
    told = row(found, "producers", "to be held to")
    assert told.note == "120,000 bytes/s; floor 12,000"
    assert told.is_wish


def test_a_floor_over_what_is_sustained_binds_the_producers() -> None:
    found = held(without(conditions=[condition("AtQuotaFloor", "True", "AtQuotaFloor", "so it is; lower it")]))
    assert row(found, "producers", "bound by").note == "AtQuotaFloor"


@pytest.mark.parametrize(("reasons", "told"), [
    (("AtMaxReplicas", "HotPartition"), "HotPartition"), (("AtMaxReplicas", "AtPartitionLimit"), "AtPartitionLimit"),
    (("ProducerSpike", "IneffectiveScaling"), "IneffectiveScaling"),
])
def test_of_several_findings_the_one_that_would_bind_without_the_others_is_told(
    reasons: tuple[str, ...], told: str
) -> None:
    found = held(without(conditions=[condition(reason, "True", reason, "a; b") for reason in reasons]))
    assert row(found, "consumers", "bound by").note == told


@pytest.mark.parametrize(("names", "gone"), [
    (("safeRate",), {"sustain"}), (("memory",), {"asked for", "held to"}), (("lag",), {"lag", "oldest"}),
    (("conditions",), {"bound by"}),
])
def test_what_is_not_known_has_no_row(names: tuple[str, ...], gone: set[str]) -> None:
    before = {each.name for rows in loop_of(held()).values() for each in rows}
    after = {each.name for rows in loop_of(held(without(*names))).values() for each in rows}
    assert before - after == gone


def test_without_any_rate_there_is_no_picture() -> None:
    found = held(without("rates"))
    assert "The loop" not in shown(found)
    assert "The loop" not in explain_page(found, NOW)


def test_an_objective_in_records_is_no_mark_on_the_age() -> None:
    oldest = row(held(target={"lagPerReplica": 500}), "topic", "oldest")
    assert (oldest.shown, oldest.amount, oldest.mark) == ("30 s", None, None)


def test_all_rates_have_one_scale() -> None:
    sides = loop_of(held())
    rates = {each.name: each.amount for side in ("producers", "consumers") for each in sides[side]
             if each.shown.endswith("/s")}
    assert rates == {"asked for": 100, "arrive": 49.17, "held to": 50, "process": 50, "sustain": 50}
    assert row(held(), "producers", "held to").mark == 5


@pytest.mark.parametrize(("one", "text"), [
    (Row("x", amount=50, mark=75), "##########     |"), (Row("x", amount=100, mark=50), "##########|##########"),
    (Row("x", amount=0), ""), (Row("x"), ""), (Row("x", amount=25, is_wish=True), "-----"),
])
def test_a_bar_is_as_long_as_its_amount_and_its_limit_stands_where_it_is(one: Row, text: str) -> None:
    assert str(bar(one)) == text


def test_the_drawing_holds_the_numbers_and_its_bars_are_to_scale() -> None:
    page = PageOf(explain_page(held(), NOW))
    texts = page.texts("text")
    for each in (each for rows in loop_of(held()).values() for each in rows):
        assert {word for word in (each.name, each.shown, each.note) if word} <= set(texts)
    assert "replicas 12 of 12 useful, 12 allowed" in page.values("svg", "aria-label")[0]
    bars = [float(attributes["width"]) for tag, attributes in page.elements
            if tag == "rect" and attributes.get("height") == "8" and "tint" not in attributes["fill"]]
    assert bars == pytest.approx([1.68 * share for share in (49.17, 50, 50, 50, 100)])
    (wish, other) = [float(attributes["width"]) for tag, attributes in page.elements
                     if tag == "rect" and attributes.get("height") == "6"]
    assert (wish, other) == pytest.approx((166, 82))


def test_what_is_drawn_is_read_of_the_status() -> None:
    found = held()
    assert found["safeRate"] == {"records": 1200, "sustained": 1200, "replicas": 12}
    assert found["throttle"] == {"records": 1200, "bytes": 120_000, "floorBytes": 12_000, "demand": 2400, "isSet": True,
                                 "since": "2030-01-02T02:58:05Z"}


@pytest.mark.parametrize("numbers", [
    {"recordBytes": 0}, {"recordBytes": 1e-300}, {"recordBytes": "x"}, {"rate": 0}, {"rate": -1}, {"demand": 1e15},
])
def test_a_memory_that_makes_no_sense_spoils_nothing(numbers: dict[str, Any]) -> None:
    memory = json.loads(HELD["memory"])
    found = held(without(memory=json.dumps(memory | {"throttling": memory["throttling"] | numbers})))
    assert "arrive" in drawn(found)
    assert PageOf(explain_page(found, NOW)).remote() == []
