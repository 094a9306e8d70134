"""Whatever a real API server accepts, the operator reads and reconciles; what it refuses is refused in good order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, KafkaConsumerScaler
from kafka_consumer_scaler.control.registry import Subject
from kafka_consumer_scaler.kube.client import ApiError
from tests.api.manifests import FULL_SPEC, SMALLEST
from tests.control.fakes import sample
from tests.fuzz.connections import kafkas
from tests.fuzz.judge import FEW, Judge, judge
from tests.fuzz.schemas import SPEC, broken, right
from tests.fuzz.test_broker_answers import looked
from tests.fuzz.values import mostly, odd_texts
from tests.fuzz.worlds import Lines, World, unfit_statuses, unfit_texts

__all__ = ["judge"]

well = st.builds(lambda spec, kafka: spec | {"kafka": kafka}, right(SPEC), kafkas)
specs = mostly(well, right(SPEC), broken(SPEC))
patterns = st.sampled_from([
    "a**", "(?P<a>b)", "(?<a>b)", r"\C", r"\pN", r"\p{Greek}", "((a{100}){100}){100}", "a{1001}", "[[:word:]]", "(?i)ſ",
    r"\Qa.b", r"\Q\E", "(?U)a+", "(?s:.)", "x{2,1}", "[z-a]", r"\z", r"\Z", r"\8", "[^\\x00-\\x{10FFFF}]",
    r"\x{110000}", "(" * 100 + ")" * 100, "|", "", "()", "(?:(?:(?:a{1,30}){1,30}){1,30})", "[a&&b]",
    r"\p{Cyrillic}{3}", r"\h", r"\K", "(?#c)", "(?=a)", "a++", r"\1", "💥{1000}", "[[:^alpha:]]",
]) | st.from_regex(r"[a-c.^$|()\[\]{}*+?\\dwWpPQEbBAzsSU0-9,<>:i!=-]{1,14}", fullmatch=True)


def problems_of(stored: dict[str, Any]) -> list[str]:
    """What goes wrong with a resource that the API server has accepted."""
    try:
        Subject.parse(stored)
        KafkaConsumerScaler.parse(stored, strict=True)
    except InvalidSpec as error:
        return [f"accepted by the API server, refused here: {error}"]
    world = World.of(stored)
    with Lines() as said:
        asyncio.run(looked(world, [(15.0, sample(lag)) for lag in (0, 5000, 10**6)]))
    least, most = stored["spec"]["minReplicas"], stored["spec"]["maxReplicas"]
    wrong = [f"{to} is written" for _, to in world.outside.writes if not least <= to <= most]
    return wrong + unfit_statuses(world.outside.statuses) + unfit_texts([*world.outside.notes, *said.lines])


def assert_handled(judge: Judge, spec: Any) -> None:
    stored = judge.stored(spec)
    if isinstance(stored, ApiError):
        assert stored.code in {400, 422}, stored
        assert_refused_in_order(spec)
    else:
        assert problems_of(stored) == [], json.dumps(spec)


def assert_refused_in_order(spec: Any) -> None:
    """An object that an older CRD let through is refused with one line, or read."""
    body = {"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "spec": spec}
    said = "spec"
    try:
        Subject.parse(body)
    except InvalidSpec as error:
        said = str(error)
    assert said.isprintable()
    assert said.startswith("spec")


@pytest.mark.cluster
@given(spec=specs)
def test_whatever_the_api_server_accepts_is_read_and_reconciled(judge: Judge, spec: Any) -> None:
    assert_handled(judge, spec)


@pytest.mark.cluster
@given(pattern=patterns)
@settings(max_examples=FEW)
def test_a_pattern_that_the_api_server_accepts_compiles_here(judge: Judge, pattern: str) -> None:
    assert_handled(judge, {**SMALLEST["spec"], "topicPattern": pattern})


@pytest.mark.cluster
@given(spec=st.sampled_from([SMALLEST["spec"], FULL_SPEC]), group=odd_texts | st.text(min_size=1, max_size=20))
@settings(max_examples=FEW)
def test_a_group_of_any_name_is_read_or_refused(judge: Judge, spec: dict[str, Any], group: str) -> None:
    assert_handled(judge, {**spec, "consumerGroup": group})


@pytest.mark.cluster
def test_the_walk_over_the_schema_draws_what_is_accepted_and_what_is_refused(judge: Judge) -> None:
    verdicts = {True: 0, False: 0}

    @given(specs)
    @settings(max_examples=FEW)
    def judged(spec: Any) -> None:
        verdicts[isinstance(judge.stored(spec), ApiError)] += 1

    judged()
    assert verdicts[True] >= FEW / 10
    assert verdicts[False] >= FEW / 10, verdicts


@given(spec=specs | st.none() | st.lists(specs, max_size=1))
def test_no_manifest_is_an_exception_other_than_invalid_spec(spec: Any) -> None:
    assert_refused_in_order(spec)
