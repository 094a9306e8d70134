"""The Lease on a real API server: each change is bound to the version that was seen."""

from __future__ import annotations

import json

import pytest
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.claim import RELEASED_SECONDS, Claim, Found, Missing
from kafka_consumer_scaler.kube.lease import LeaseClient
from tests.contracts.kube_objects import Kubectl

pytestmark = pytest.mark.cluster

NOBODYS = Claim("", 15, "", "2026-01-01T00:00:00.000000Z", 0)
OURS = Claim("a_1", 15, "2026-01-01T00:00:01.000000Z", "2026-01-01T00:00:02.000000Z", 1)
RELEASED = Claim("", RELEASED_SECONDS, OURS.acquired, "2026-01-01T00:00:03.000000Z", 1)


@pytest.fixture
def lease(api: ApiClient, namespace: str) -> LeaseClient:
    return LeaseClient(api, namespace, "operators", timeout_seconds=60)


async def made(lease: LeaseClient, claim: Claim = OURS) -> Found:
    found = await lease.create(claim)
    assert isinstance(found, Found)
    return found


async def test_a_lease_that_is_not_there_is_absent_and_can_be_made_once(lease: LeaseClient) -> None:
    assert await lease.read() is Missing.ABSENT
    found = await made(lease, NOBODYS)
    assert found.claim == NOBODYS
    assert await lease.create(OURS) is Missing.CONFLICT
    assert await lease.read() == found


async def test_every_word_is_read_as_it_was_written_and_each_write_has_another_version(lease: LeaseClient) -> None:
    version = (await made(lease, NOBODYS)).version
    for claim in (OURS, RELEASED, OURS):
        found = await lease.update(claim, version)
        assert isinstance(found, Found)
        assert (found.claim, found.version != version) == (claim, True)
        version = found.version
    assert RELEASED.is_released


async def test_a_lease_that_was_changed_meanwhile_is_a_conflict_and_stays_as_it_is(
    lease: LeaseClient, kubectl: Kubectl, namespace: str
) -> None:
    version = (await made(lease)).version
    patch = json.dumps({"spec": {"holderIdentity": "stranger"}})
    kubectl("patch", "lease", "operators", "-n", namespace, "--type=merge", "-p", patch)
    assert await lease.update(OURS, version) is Missing.CONFLICT
    stolen = await lease.read()
    assert isinstance(stolen, Found)
    assert stolen.claim.holder == "stranger"


async def test_a_deleted_lease_is_absent_and_one_made_anew_is_a_conflict(
    lease: LeaseClient, kubectl: Kubectl, namespace: str
) -> None:
    version = (await made(lease)).version
    kubectl("delete", "lease", "operators", "-n", namespace)
    assert await lease.update(OURS, version) is Missing.ABSENT
    await made(lease)
    assert await lease.update(OURS, version) is Missing.CONFLICT


async def test_labels_that_others_put_on_it_stay(lease: LeaseClient, kubectl: Kubectl, namespace: str) -> None:
    await made(lease)
    kubectl("label", "lease", "operators", "-n", namespace, "team=x")
    found = await lease.read()
    assert isinstance(found, Found)
    assert isinstance(await lease.update(OURS, found.version), Found)
    labels = kubectl("get", "lease", "operators", "-n", namespace, "-o", "jsonpath={.metadata.labels.team}").stdout
    assert labels == "x"


async def test_a_role_that_lacks_a_verb_on_leases_is_told_which(api_of_nobody: ApiClient, namespace: str) -> None:
    lease = LeaseClient(api_of_nobody, namespace, "operators", timeout_seconds=60)
    answers = [await lease.read(), await lease.create(OURS), await lease.update(OURS, "1")]
    lacking = [f"the operator's role lacks {verb} on leases in namespace {namespace} (operators)"
               for verb in ("get", "create", "patch")]
    assert answers == [Unknown(why, Reason.NOT_AUTHORIZED) for why in lacking]
