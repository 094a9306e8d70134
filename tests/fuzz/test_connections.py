"""Whatever connection a real API server accepts, with whatever its Secrets hold: a Connection, or Unknown with why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.api.reaching import ConnectionKind
from kafka_consumer_scaler.api.v1alpha1 import CONNECTIONS, InvalidSpec, parse_connection
from kafka_consumer_scaler.control.permissions import Permissions
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kube.client import ApiError
from tests.api.manifests import SMALLEST
from tests.control.fakes import resource
from tests.control.test_credentials import pki
from tests.fuzz.connections import PLANTED, Everything, kafkas, permissions, resolved, secrets, shared, unfit
from tests.fuzz.judge import FEW, Judge, judge
from tests.fuzz.test_manifests import assert_handled
from tests.fuzz.worlds import Lines

__all__ = ["judge", "pki"]

KINDS = list(ConnectionKind)


def resolved_well(body: Mapping[str, Any], vault: Everything, allowed: Permissions) -> Connection | Unknown:
    with Lines() as said:
        found = asyncio.run(resolved(body, vault, allowed))
    assert unfit(found) == []
    assert [line for line in said.lines if PLANTED in line or not line.isprintable()] == []
    assert found is not None
    return found


@pytest.mark.cluster
@given(data=st.data(), kafka=kafkas, allowed=permissions)
def test_every_way_to_kafka_that_is_accepted_is_resolved(
    judge: Judge, pki: Mapping[str, str], data: st.DataObject, kafka: Any, allowed: Permissions
) -> None:
    spec = {**SMALLEST["spec"], "kafka": kafka}
    assert_handled(judge, spec)
    stored = judge.stored(spec)
    if not isinstance(stored, ApiError):
        resolved_well(stored, Everything(held=data.draw(secrets(pki))), allowed)


@pytest.mark.cluster
@pytest.mark.parametrize("kind", KINDS)
def test_every_shared_connection_that_is_accepted_is_read_and_resolved(
    judge: Judge, pki: Mapping[str, str], kind: ConnectionKind
) -> None:
    scaler = resource(kafka={"connectionRef": {"kind": str(kind), "name": "shop"}})
    found = {"refused": 0, "a connection": 0, "unknown": 0}

    @given(shared(kind), secrets(pki), permissions)
    def judged(spec: Any, held: Any, allowed: Permissions) -> None:
        stored = judge.connection(kind, CONNECTIONS[kind], spec)
        if isinstance(stored, ApiError):
            assert stored.code in {400, 422}, stored
            found["refused"] += 1
            return
        parse_connection(kind, stored)
        answer = resolved_well(scaler, Everything(held=held, connection=stored), allowed)
        found["unknown" if isinstance(answer, Unknown) else "a connection"] += 1

    judged()
    assert min(found.values()) >= FEW / 20, found


@pytest.mark.parametrize("kind", KINDS)
def test_no_shared_connection_is_an_exception_other_than_invalid_spec(kind: ConnectionKind) -> None:
    @given(shared(kind) | st.none() | st.lists(shared(kind), max_size=1))
    @settings(max_examples=FEW)
    def read(spec: Any) -> None:
        said = "spec"
        try:
            parse_connection(kind, {"spec": spec})
        except InvalidSpec as error:
            said = str(error)
        assert said.isprintable()
        assert said.startswith("spec")

    read()
