"""Whatever an API server answers, or something in its place: every adapter says that it could not be learned."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Event
from kafka_consumer_scaler.kube import client
from kafka_consumer_scaler.kube.claim import Claim, Found, Missing
from kafka_consumer_scaler.kube.client import ApiError
from kafka_consumer_scaler.kube.connections import Connections
from kafka_consumer_scaler.kube.events import EventRecorder
from kafka_consumer_scaler.kube.lease import LeaseClient
from kafka_consumer_scaler.kube.pods import Pods
from kafka_consumer_scaler.kube.resources import list_scalers, scaler_named, uid_of
from kafka_consumer_scaler.kube.rivals import Rivals
from kafka_consumer_scaler.kube.scale import ScaleClient
from kafka_consumer_scaler.kube.secrets import Secret, Secrets
from kafka_consumer_scaler.kube.status import StatusWriter
from kafka_consumer_scaler.kube.target import Target
from kafka_consumer_scaler.kube.user import NotThere, events_about, read_scaler
from tests.api.manifests import CLUSTER_CONNECTION, CONNECTION
from tests.control.fakes import resource
from tests.fuzz.connections import PLANTED
from tests.fuzz.values import json_values
from tests.kube.conftest import patient

TARGET = Target("apps/v1", "Deployment", "shop", "orders-consumer")
LISTING = {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True},
                         {"name": "deployments/scale", "kind": "Scale", "namespaced": True}]}
SCALE = {"kind": "Scale", "metadata": {"name": "orders-consumer", "resourceVersion": "7"},
         "spec": {"replicas": 3}, "status": {"replicas": 3, "selector": "app=orders"}}
POD = {"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
       "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
                  "containerStatuses": [{"image": "i", "restartCount": 2, "lastState": {"terminated": {"exitCode": 1}},
                                         "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}
HPA = {"metadata": {"name": "other"}, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "X", "name": "y"}}}
CLAIM = Claim("one", 15, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z", 3)
LEASE = {"kind": "Lease", "metadata": {"name": "operators", "resourceVersion": "7"},
         "spec": {"holderIdentity": "one", "leaseDurationSeconds": 15, "acquireTime": CLAIM.acquired,
                  "renewTime": CLAIM.renewed, "leaseTransitions": 3}}
ENCODED = base64.b64encode(PLANTED.encode()).decode()
SECRET = {"kind": "Secret", "metadata": {"name": "kafka-user"}, "data": {"password": ENCODED},
          "stringData": {"password": PLANTED}}
STATUS = {"kind": "Status", "status": "Failure", "message": "no", "reason": "Invalid", "details": {"name": "x"}}
WELL = [LISTING, SCALE, STATUS, resource(), {"items": [resource(), POD]}, {"items": [POD], "metadata": {}},
        {"items": [HPA], "metadata": {"continue": ""}}, LEASE, SECRET, CONNECTION, CLUSTER_CONNECTION]


class Server:
    """A server that gives one answer to everything, but for those that are listed by path; and a client of it."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.answer: tuple[int, bytes, dict[str, str]] = (200, b"", {})
        self.well: dict[str, Any] = {}
        self.asked = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)
        await self._server.start_server()
        self.api = patient(ApiClient(Configuration(host=str(self._server.make_url("")).rstrip("/"))))

    async def stop(self) -> None:
        await self.api.close()
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.path in self.well:
            return web.json_response(self.well[request.path])
        code, content, headers = self.answer
        return web.Response(status=code, body=content, headers=headers)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pauses, client.PAUSE_SECONDS_MAX = client.PAUSE_SECONDS_MAX, 0.0
    with asyncio.Runner() as runner:
        made = Server(runner)
        runner.run(made.start())
        yield made
        runner.run(made.stop())
    client.PAUSE_SECONDS_MAX = pauses


def bent(value: Any) -> st.SearchStrategy[Any]:
    """The value with a part of it replaced or left out."""
    here = st.just(value) | json_values
    if isinstance(value, dict) and value:
        keys = st.lists(st.sampled_from(sorted(value)), unique=True)
        return here | keys.flatmap(lambda names: st.fixed_dictionaries({name: bent(value[name]) for name in names}))
    if isinstance(value, list) and value:
        return here | st.lists(bent(value[0]), max_size=3)
    return here


bodies = st.one_of([bent(each) for each in WELL]).map(lambda value: json.dumps(value).encode())
cut_off = bodies.flatmap(lambda body: st.integers(0, len(body)).map(lambda end: body[:end]))
contents = bodies | cut_off | st.binary() | st.sampled_from(
    [b"", b"null", b"[]", b"<html>\n<b>Bad Gateway</b></html>", b"[" * 100_000, b"{\"a\":" * 100_000, b"1e999", b"NaN",
     b"\xff\xfe", b"9" * 5000, b'{"spec": {"replicas": ' + b"9" * 5000 + b"}}",
     b'{"metadata": {"continue": "again"}, "items": []}'])
codes = st.sampled_from([200, 201, 204, 301, 304, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503])
headers = st.fixed_dictionaries({}, optional={
    "Retry-After": st.sampled_from(["1", "-1", "soon", "9" * 5000, "\u0661", ""]),
    "Location": st.sampled_from(["/", "//", "http://[", "file:///etc/passwd"]),
    "Content-Type": st.sampled_from(["application/json", "text/html", "application/json; charset=nonsense"])})
answers = st.tuples(codes, contents, headers)


async def everything_asked(api: ApiClient) -> None:
    """Each question to the API server once. What an adapter may answer with is checked by its type."""
    scale = ScaleClient(api)
    found = await scale.read(TARGET)
    assert isinstance(found, Unknown) or (isinstance(found, Replicas) and 0 <= found.spec < 2**31), found
    assert isinstance(await scale.write(TARGET, 4, 3), Unknown | None)
    assert isinstance(await Pods(api).trouble(TARGET), str)
    assert isinstance(await Rivals(api).other_scalers(TARGET), str | Unknown | None)
    listed = await list_scalers(api, None)
    assert isinstance(listed, Unknown) or all(isinstance(each["metadata"]["uid"], str) for each in listed)
    assert isinstance(await uid_of(api, "shop", "orders"), str | Unknown | None)
    named = await scaler_named(api, "shop", "orders")
    assert isinstance(named, Unknown | None) or named["metadata"]["name"] == "orders"
    assert isinstance(await StatusWriter(api).write(resource(), {}), Unknown | None)
    events = EventRecorder(api, "test")
    await events.post(resource(), Event(Reason.SCALED_UP, "Scaled"), TARGET)
    await events.close()
    assert isinstance(await events_about(api, "shop", "u1"), list | Unknown)
    assert isinstance(await scaler_or_error(api), dict | ApiError | NotThere)
    await a_lease_asked(LeaseClient(api, "operator", "operators", 5))
    await connections_asked(api)


async def a_lease_asked(lease: LeaseClient) -> None:
    for answer in (await lease.read(), await lease.create(CLAIM), await lease.update(CLAIM, "7")):
        assert isinstance(answer, Found | Missing | Unknown)
        if isinstance(answer, Found):
            assert type(answer.version) is type(answer.claim.holder) is type(answer.claim.renewed) is str
            assert type(answer.claim.seconds) is type(answer.claim.transitions) is int


async def connections_asked(api: ApiClient) -> None:
    """A value of a Secret is in no message, also where the whole Secret is the text of an error."""
    secret = await Secrets(api).secret("shop", "kafka-user")
    assert isinstance(secret, Secret | Unknown)
    told = [secret, secret.text("password"), secret.text("x")] if isinstance(secret, Secret) else [secret]
    unknowns = [each for each in told if isinstance(each, Unknown)]
    assert [each for each in unknowns if PLANTED in each.why or ENCODED[:8] in each.why] == []
    assert PLANTED not in repr(secret)
    for found in (await Connections(api).namespaced("shop", "shop"), await Connections(api).clusterwide("shop")):
        assert isinstance(found, Unknown) or found["metadata"]["name"] == "shop"


async def scaler_or_error(api: ApiClient) -> Any:
    try:
        return await read_scaler(api, "shop", "orders")
    except (ApiError, NotThere) as error:
        return error


@given(answer=answers, well=st.booleans())
def test_no_answer_of_an_api_server_is_an_exception(
    server: Server, answer: tuple[int, bytes, dict[str, str]], well: bool
) -> None:
    server.answer = answer
    server.well = {"/apis/apps/v1": LISTING} if well else {}
    server.asked = 0
    server.runner.run(everything_asked(server.api))
    assert server.asked < 200
