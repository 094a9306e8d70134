"""What is the matter with pods: from what the API server says to one phrase, and how often it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.kube.pods import CACHE_SECONDS, PHRASE_MAX, PODS_MAX, Pods, start_seconds_of, trouble_of
from kafka_consumer_scaler.kube.target import Target
from tests.kube.conftest import Connect

NOW = 1_800_000_000.0
ORDERS = Target("apps/v1", "Deployment", "shop", "orders")
NODES = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims."


def at(seconds_ago: float) -> str:
    return datetime.fromtimestamp(NOW - seconds_ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(code: int, reason: str = "Error", ago: float = 60) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": at(ago)}}


def waits(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


def runs(**more: Any) -> dict[str, Any]:
    return {"state": {"running": {"startedAt": at(50)}}, **more}


def pod(*containers: dict[str, Any], ready: bool = False, since: float = 300, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": at(since)}]
    return {"metadata": {"name": "orders-1", "creationTimestamp": at(since)},
            "status": {"phase": "Running", "conditions": conditions, "containerStatuses": list(containers), **status}}


def pending(message: str | None, reason: str = "Unschedulable") -> dict[str, Any]:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return {"metadata": {"creationTimestamp": at(5)}, "status": {"phase": "Pending", "conditions": [scheduled]}}


HEALTHY = pod(runs(restartCount=0), ready=True)
CRASHING = pod(waits("CrashLoopBackOff", "back-off 40s restarting failed container", lastState=ended(1)))
KILLED = pod(runs(restartCount=2, lastState=ended(137, "OOMKilled")), ready=True)
LEAVING = {**CRASHING, "metadata": {"deletionTimestamp": at(1)}}


@pytest.mark.parametrize(("pods", "phrase"), [
    ([], ""),
    ([HEALTHY, HEALTHY], ""),
    ([HEALTHY, CRASHING, CRASHING], "2 of 3 pods in CrashLoopBackOff (exit code 1)"),
    ([CRASHING], "1 of 1 pod in CrashLoopBackOff (exit code 1)"),
    ([pod(waits("CrashLoopBackOff", lastState=ended(137, "OOMKilled")))], "1 of 1 pod in CrashLoopBackOff (OOMKilled)"),
    ([pod(waits("CrashLoopBackOff"))], "1 of 1 pod in CrashLoopBackOff"),
    ([pod(runs(), waits("CrashLoopBackOff", lastState=ended(2)))], "1 of 1 pod in CrashLoopBackOff (exit code 2)"),
    ([pod(waits("PodInitializing"), initContainerStatuses=[waits("CrashLoopBackOff", lastState=ended(3))])],
     "1 of 1 pod in CrashLoopBackOff (exit code 3)"),
    ([pod(waits("ImagePullBackOff", 'Back-off pulling image "orders:7"', image="orders:7"))],
     "1 of 1 pod in ImagePullBackOff (orders:7)"),
    ([pod(waits("ErrImagePull", "no such host", image="orders:7")), HEALTHY], "1 of 2 pods in ErrImagePull (orders:7)"),
    ([pod(waits("CreateContainerConfigError", 'secret "kafka" not found'))],
     '1 of 1 pod in CreateContainerConfigError (secret "kafka" not found)'),
    ([pending(NODES)], "1 of 1 pod unschedulable (0/3 nodes are available: 3 Insufficient memory)"),
    ([pending(None, "SchedulingGated")], "1 of 1 pod unschedulable"),
    ([KILLED], "1 of 1 pod restarted within 10 min (OOMKilled)"),
    ([pod(runs(restartCount=1, lastState=ended(0, "Completed")))], "1 of 1 pod restarted within 10 min (exit code 0)"),
    ([pod(runs(restartCount=1, lastState=ended(1, ago=600)), ready=True)],
     "1 of 1 pod restarted within 10 min (exit code 1)"),
    ([pod(runs(restartCount=1, lastState=ended(1, ago=601)), ready=True)], ""),
    ([pod({"state": ended(1), "restartCount": 0}, since=2)], "1 of 1 pod with a container that ended (exit code 1)"),
    ([pod({"state": ended(1, ago=5), "restartCount": 3, "lastState": ended(1, ago=700)})],
     "1 of 1 pod restarted within 10 min (exit code 1)"),
    ([pod(runs(), initContainerStatuses=[{"state": ended(0, "Completed")}], ready=True)], ""),
    ([pod(runs(), since=30)], "1 of 1 pod not ready"),
    ([pod(runs(), since=29)], ""),
    ([pod(waits("ContainerCreating"), since=5)], ""),
    ([pod(waits("ContainerCreating"), since=90)], "1 of 1 pod not ready"),
    ([LEAVING, HEALTHY], ""),
    ([pod(phase="Failed", reason="Evicted"), pod(phase="Succeeded"), HEALTHY], ""),
])
def test_the_phrase_says_what_is_the_matter_and_with_how_many(pods: list[dict[str, Any]], phrase: str) -> None:
    assert trouble_of(pods, NOW) == phrase


def test_the_most_telling_comes_first_and_each_pod_counts_once() -> None:
    pods = [pod(runs(), since=60), pod(runs(), since=60), pod(runs(), since=60), KILLED, pending(NODES), CRASHING]
    assert trouble_of(pods, NOW) == (
        "1 of 6 pods in CrashLoopBackOff (exit code 1), "
        "1 unschedulable (0/3 nodes are available: 3 Insufficient memory), 1 restarted within 10 min (OOMKilled)"
    ), "what is not ready has no room left"


def test_of_what_is_as_telling_the_more_frequent_comes_first() -> None:
    pods = [pod(waits("CrashLoopBackOff", lastState=ended(1))), *[pod(waits("ImagePullBackOff", image="a:1"))] * 2]
    assert trouble_of(pods, NOW) == "2 of 3 pods in ImagePullBackOff (a:1), 1 in CrashLoopBackOff (exit code 1)"


def test_pods_that_are_not_all_there_are_are_counted_as_the_first() -> None:
    assert trouble_of([CRASHING, HEALTHY], NOW, is_all=False) == (
        "1 of the first 2 pods in CrashLoopBackOff (exit code 1)"
    )


@pytest.mark.parametrize("words", ["\x1b[31mred\nsecond line", "x" * 5000, "\x00\u202e" * 500])
def test_foreign_words_become_one_printable_line_of_bounded_length(words: str) -> None:
    killed = pod(runs(restartCount=1, lastState=ended(1, words)))
    foreign = [pod(waits(words, words, image=words)), pending(words), killed]
    for phrase in (trouble_of(foreign, NOW), *(trouble_of([one], NOW) for one in foreign)):
        assert phrase.startswith("1 of ")
        assert phrase.isprintable()
        assert len(phrase) <= PHRASE_MAX


@pytest.mark.parametrize("bare", [
    {}, {"metadata": None, "status": None}, {"status": {"conditions": None, "containerStatuses": None}},
    {"status": {"containerStatuses": [{"state": None, "lastState": None, "restartCount": 1}]}},
])
def test_a_pod_of_which_nothing_is_told_is_not_ready(bare: dict[str, Any]) -> None:
    assert trouble_of([bare], NOW) == "1 of 1 pod not ready"


class Server:
    """Answers for one Deployment, and remembers what it was asked about pods."""

    def __init__(self) -> None:
        self.scale: dict[str, Any] = {"status": {"selector": "app=orders"}}
        self.pods: web.Response | None = None
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/apis/apps/v1":
            kinds = (("deployments", "Deployment"), ("deployments/scale", "Scale"))
            resources = [{"name": name, "kind": kind, "namespaced": True} for name, kind in kinds]
            return web.json_response({"resources": resources})
        if request.path == "/apis/apps/v1/namespaces/shop/deployments/orders/scale":
            return web.json_response(self.scale)
        assert request.path == "/api/v1/namespaces/shop/pods"
        self.asked.append(dict(request.query))
        return self.pods or web.json_response({"items": [CRASHING], "metadata": {}})


async def test_the_pods_of_the_scales_selector_are_listed_at_most_once_in_thirty_seconds(
    api_answering: Connect
) -> None:
    server, now = Server(), NOW
    pods = Pods(await api_answering(server.answer), clock=lambda: now)

    told = [await pods.trouble(ORDERS)]
    now += CACHE_SECONDS - 1
    told.append(await pods.trouble(ORDERS))
    assert told == ["1 of 1 pod in CrashLoopBackOff (exit code 1)"] * 2
    assert server.asked == [{"labelSelector": "app=orders", "limit": str(PODS_MAX)}]

    now += 1
    await pods.trouble(ORDERS)
    assert len(server.asked) == 2


async def test_a_clock_that_is_set_back_does_not_stop_the_asking(api_answering: Connect) -> None:
    server, now = Server(), NOW
    pods = Pods(await api_answering(server.answer), clock=lambda: now)
    await pods.trouble(ORDERS)
    now -= 3600
    await pods.trouble(ORDERS)
    assert len(server.asked) == 2


async def test_a_list_that_goes_on_is_told_as_a_part(api_answering: Connect) -> None:
    server = Server()
    server.pods = web.json_response({"items": [CRASHING, HEALTHY], "metadata": {"continue": "more"}})
    pods = Pods(await api_answering(server.answer), clock=lambda: NOW)
    assert await pods.trouble(ORDERS) == "1 of the first 2 pods in CrashLoopBackOff (exit code 1)"


@pytest.mark.parametrize("scale", [{}, {"status": {"replicas": 2}}, {"status": {"selector": ""}}])
async def test_without_a_selector_no_pods_are_listed_rather_than_all(
    api_answering: Connect, scale: dict[str, Any]
) -> None:
    server = Server()
    server.scale = scale
    assert await Pods(await api_answering(server.answer)).trouble(ORDERS) == ""
    assert server.asked == []


async def test_a_role_that_lacks_list_on_pods_is_told_once_and_survived(
    api_answering: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    server, now = Server(), NOW
    pods = Pods(await api_answering(server.answer), clock=lambda: now)
    for _ in range(2):
        server.pods = web.json_response({"message": "pods is forbidden: User cannot list"}, status=403)
        assert await pods.trouble(ORDERS) == ""
        now += CACHE_SECONDS
    assert len(server.asked) == 2
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "the operator's role lacks list on pods in namespace shop: what is the matter with them is not told"
    ]


@pytest.mark.parametrize(("code", "text"), [
    (500, "no"), (200, "no JSON"), (200, '{"items": ["no pod"]}'), (200, '{"items": {"a": 1}}'),
])
async def test_an_answer_that_makes_no_sense_is_no_trouble(api_answering: Connect, code: int, text: str) -> None:
    server = Server()
    server.pods = web.Response(status=code, text=text)
    assert await Pods(await api_answering(server.answer)).trouble(ORDERS) == ""


@pytest.mark.parametrize("target", [
    ORDERS, Target("apps/v1", "Nothing", "shop", "orders"), Target("../v1", "Deployment", "shop", ".."),
])
async def test_no_api_server_is_no_trouble(api_of_nothing: ApiClient, target: Target) -> None:
    assert await Pods(api_of_nothing).trouble(target) == ""


def started(created: float | str, ready_at: float | str, *, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    """A pod that was created, and became ready, so many seconds ago."""
    times = [at(each) if isinstance(each, float) else each for each in (created, ready_at)]
    ready_condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": times[1]}
    return {"metadata": {"creationTimestamp": times[0], **metadata},
            "status": {"phase": "Running", "conditions": [ready_condition]}}


@pytest.mark.parametrize(("pods", "seconds"), [
    ([], None),
    ([started(900.0, 300.0)], 600.0),
    ([started(900.0, 300.0), started(900.0, 870.0)], 30.0),
    ([started(900.0, 300.0, ready=False)], None),
    ([started(900.0, 300.0, deletionTimestamp=at(1))], None),
    ([started(9000.0, 5400.0)], 3600.0),
    ([started(9000.0, 5399.0)], None),
    ([started(300.0, 900.0)], None),
    ([started("yesterday", 300.0)], None),
    ([HEALTHY], 0.0),
    ([{}], None),
])
def test_a_start_takes_as_long_as_the_fastest_pod_took_to_become_ready(
    pods: list[dict[str, Any]], seconds: float | None
) -> None:
    """One that was unready later became ready again long after its start."""
    assert start_seconds_of(pods) == seconds


async def test_trouble_and_start_are_of_one_list(api_answering: Connect) -> None:
    server = Server()
    server.pods = web.json_response({"items": [CRASHING, started(900.0, 300.0)], "metadata": {}})
    pods = Pods(await api_answering(server.answer), clock=lambda: NOW)
    assert await pods.start_seconds(ORDERS) == 600.0
    assert await pods.trouble(ORDERS) == "1 of 2 pods in CrashLoopBackOff (exit code 1)"
    assert len(server.asked) == 1
