"""What befalls the operator by way of the API server: people, quotas, roles, definitions, many resources, silence."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from confluent_kafka import Consumer, KafkaException
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.kube.client import call, connect, path_of
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL
from tests.cluster.polls import polls_pass
from tests.cluster.process import operator_process
from tests.cluster.workload import ROOT, Client, Workload
from tests.contracts.kube_objects import workload as nowhere
from tests.environment import Environment
from tests.sizes import full
from tests.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_installed_operator")]
DEFINITION = "kafkaconsumerscalers.kafka-consumer-scaler.dev"
SILENT_SECONDS, STALL_SECONDS = 70, 15
"""A watch that says nothing for so long is renewed; a machine that stands still meanwhile may be later by the other."""
REACTION_SECONDS = 40
"""What a living watch needs at most, on a machine with much else to do. Without one, the list of every 60 s would show
a change; of two changes one after the other it shows the second 60 s after the first."""
RESOURCES = full(1_200, 5_000)
"""More than two pages of a list: kopf asks for 500 resources at a time."""


@pytest.fixture
def shop(
    environment: Environment, custom_resource_definition: None, kubectl: Client, namespace: str
) -> Iterator[Workload]:
    """A topic of 4 partitions, a group with one member that reads nothing, and a Deployment of pods that never run."""
    story = Workload(environment, kubectl, namespace, image="")
    story.create_topic(4)
    eventually(lambda: has_committed(story), what="the topic's leaders are known")
    member = joined(story)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=nowhere("Deployment", "orders-consumer", 1))
    yield story
    member.close()
    story.delete_topic()


def has_committed(story: Workload) -> bool:
    """A group without members that has consumed everything; not yet while the topic is being made."""
    with suppress(KafkaException):
        story.commit_the_end(story.namespace)
        return True
    return False


def joined(story: Workload) -> Consumer:
    settings = {"bootstrap.servers": story.environment.kafka_bootstrap_servers, "group.id": story.namespace,
                "enable.auto.commit": False, "max.poll.interval.ms": 3_600_000}
    member = Consumer(settings)
    member.subscribe([story.namespace])
    eventually(lambda: member.poll(0.5) is None and member.assignment(), what="a member")
    member.pause(member.assignment())
    return member


def scaler(shop: Workload, **spec: Any) -> None:
    """The quick manifest, for an operator that runs on this machine."""
    shop.scaler(kafka={"bootstrapServers": shop.environment.kafka_bootstrap_servers}, **spec)


def scale(shop: Workload, replicas: int) -> None:
    """What a person does."""
    shop.kubectl("scale", "deployment/orders-consumer", "-n", shop.namespace, f"--replicas={replicas}")


def test_a_person_who_scales_to_zero_switches_scaling_off_and_one_who_scales_to_one_switches_it_on(
    shop: Workload,
) -> None:
    with operator_process(shop.environment.kubeconfig, shop.namespace) as running:
        scale(shop, 0)
        scaler(shop)
        shop.produce(400)
        eventually(lambda: "someone scaled the target to 0" in shop.status().get("lastDecision", ""), what="parked")
        assert shop.replicas_while(lambda: polls_pass(running.metrics, shop.namespace, 3)) == 0
        scale(shop, 1)
        eventually(lambda: shop.replicas() == 4, what="on again")


def test_a_target_that_is_recreated_is_scaled_again_and_said_once_to_be_missing(shop: Workload) -> None:
    with operator_process(shop.environment.kubeconfig, shop.namespace):
        scaler(shop)
        eventually(lambda: shop.condition("AbleToScale") == ("True", "AsExpected"), what="able")
        shop.kubectl("delete", "deployment", "orders-consumer", "-n", shop.namespace, "--wait")
        shop.produce(400)
        eventually(lambda: shop.condition("AbleToScale") == ("False", "TargetNotFound"), what="missing")
        again = nowhere("Deployment", "orders-consumer", 1)
        shop.kubectl("apply", "-n", shop.namespace, "-f", "-", stdin=again)
        eventually(lambda: shop.replicas() == 4, what="scaled again")
        assert shop.reasons().count("TargetNotFound") == 1
        eventually(lambda: "TargetFound" in shop.reasons(), what="found again")


def test_a_quota_that_refuses_pods_ends_the_climb(shop: Workload) -> None:
    shop.kubectl("create", "quota", "pods", "--hard=pods=1", "-n", shop.namespace)
    step = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1}], "cooldownSeconds": 0}
    with operator_process(shop.environment.kubeconfig, shop.namespace) as running:
        shop.produce(4000)
        scaler(shop, behavior={"scaleUp": step})
        eventually(lambda: shop.replicas() > 1, what="climbs")
        assert shop.replicas_while(lambda: polls_pass(running.metrics, shop.namespace, 5)) == 2
        assert "work yet" in shop.status()["lastDecision"] or "exist" in shop.status()["lastDecision"]


def test_a_role_that_is_taken_away_is_said_and_one_that_is_given_back_recovers(
    shop: Workload, tmp_path: Path
) -> None:
    config = with_roles(shop, tmp_path)
    with operator_process(config, shop.namespace):
        scaler(shop)
        eventually(lambda: shop.condition("AbleToScale") == ("True", "AsExpected"), what="able")
        shop.kubectl("delete", "rolebinding", "scales", "-n", shop.namespace)
        shop.produce(400)
        eventually(lambda: shop.condition("AbleToScale") == ("False", "TargetForbidden"), what="refused")
        [told] = [each for each in shop.status()["conditions"] if each["type"] == "AbleToScale"]
        assert "the operator's role lacks get on deployments.apps/scale" in told["message"]
        assert shop.replicas() == 1
        bind(shop, "scales")
        eventually(lambda: shop.replicas() == 4, what="scales again")
        assert shop.reasons().count("TargetForbidden") == 1
        eventually(lambda: "TargetFound" in shop.reasons(), what="found again")


def with_roles(shop: Workload, folder: Path) -> Path:
    """A kubeconfig of a service account whose role is cut in two: scales, and all the rest."""
    documents = yaml.safe_load_all((ROOT / "deploy" / "rbac.yaml").read_text())
    rules = [rule for each in documents if each["kind"] == "ClusterRole" for rule in each["rules"]]
    scales = [rule for rule in rules if any("/scale" in name for name in rule["resources"])]
    for name, some in (("scales", scales), ("rest", [rule for rule in rules if rule not in scales])):
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": some}
        shop.kubectl("apply", "-n", shop.namespace, "-f", "-", stdin=json.dumps(role))
    shop.kubectl("create", "serviceaccount", "operator", "-n", shop.namespace)
    for name in ("scales", "rest"):
        bind(shop, name)
    token = shop.kubectl("create", "token", "operator", "-n", shop.namespace).stdout.strip()
    config = yaml.safe_load(shop.environment.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def bind(shop: Workload, role: str) -> None:
    account = f"--serviceaccount={shop.namespace}:operator"
    shop.kubectl("create", "rolebinding", role, f"--role={role}", account, "-n", shop.namespace)


@pytest.fixture
def older_definition(environment: Environment, custom_resource_definition: None, kubectl: Client) -> Iterator[None]:
    """A definition that does not know of the explanation, the rates and the memory; the present one afterwards."""
    definitions = yaml.safe_load_all((ROOT / "deploy" / "crd.yaml").read_text())
    older = next(each for each in definitions if each["spec"]["names"]["kind"] == "KafkaConsumerScaler")
    [version] = older["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    for field_name in ("explanation", "rates", "memory"):
        del status[field_name]
    apply = ("apply", "--server-side", "--force-conflicts", "-f")
    kubectl(*apply, "-", stdin=json.dumps(older))
    yield
    kubectl(*apply, str(ROOT / "deploy" / "crd.yaml"))


def test_under_an_older_definition_it_scales_and_forgets_what_has_no_room(
    older_definition: None, shop: Workload
) -> None:
    with operator_process(shop.environment.kubeconfig, shop.namespace) as running:
        scaler(shop)
        shop.produce(400)
        eventually(lambda: shop.replicas() == 4, what="scaled")
        eventually(lambda: shop.condition("Ready") == ("True", "AsExpected"), what="ready")
        assert {"memory", "explanation", "rates"}.isdisjoint(shop.status())
        assert running.said("status not written") == 0
        assert running.said("reconcile failed") == 0


async def test_thousands_of_resources_at_the_start_are_all_served(
    environment: Environment, custom_resource_definition: None, shop: Workload
) -> None:
    api = await connect(str(environment.kubeconfig))
    began = time.monotonic()
    try:
        await created(api, shop, RESOURCES)
    finally:
        await api.close()
    made = time.monotonic()
    with operator_process(environment.kubeconfig, shop.namespace, ready_seconds=300) as running:
        listed = time.monotonic()
        assert running.value("kafka_consumer_scaler_resources") == RESOURCES
        await asyncio.to_thread(
            eventually, lambda: running.count("kafka_consumer_scaler_decisions_total") >= RESOURCES, 600, "served")
        served = time.monotonic()
        assert running.count("kafka_consumer_scaler_group_lag_records") == RESOURCES
        assert running.said("reconcile failed") == 0
    print(f"{RESOURCES:,} resources made in {made - began:.0f} s; ready {listed - made:.1f} s after the start, "
          f"all served after {served - made:.0f} s")


async def created(api: ApiClient, shop: Workload, count: int) -> None:
    """So many resources that only advise, of one group and one target."""
    gate = asyncio.Semaphore(10)
    spec = {
        "scaleTargetRef": {"name": "orders-consumer"}, "consumerGroup": shop.namespace, "maxReplicas": 4,
        "kafka": {"bootstrapServers": shop.environment.kafka_bootstrap_servers}, "mode": "Advisory",
        "topics": [shop.namespace], "pollingIntervalSeconds": 3600,
    }

    async def create(number: int) -> None:
        body = {"apiVersion": API_VERSION, "kind": "KafkaConsumerScaler", "metadata": {"name": f"orders-{number:04}"},
                "spec": spec}
        async with gate:
            await call(api, "POST", path_of(API_VERSION, "namespaces", shop.namespace, PLURAL), body=body)

    await asyncio.gather(*(create(number) for number in range(count)))


@dataclass
class Proxy:
    """Passes bytes on to the API server, until the connections of now are made silent; new ones are passed on."""

    server: tuple[str, int]
    listener: socket.socket = field(default_factory=socket.socket)
    connections: list[threading.Event] = field(default_factory=list)

    def start(self) -> int:
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(50)
        threading.Thread(target=self._accept, daemon=True).start()
        return int(self.listener.getsockname()[1])

    def silence(self) -> int:
        """All connections stay open and say nothing any more; how many there were."""
        for stalled in self.connections:
            stalled.set()
        return len(self.connections)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server, stalled = socket.create_connection(self.server), threading.Event()
            self.connections.append(stalled)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(one, other, stalled), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket, stalled: threading.Event) -> None:
    try:
        while data := one.recv(65536):
            if not stalled.is_set():
                other.sendall(data)
        if not stalled.is_set():
            other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_watch_that_falls_silent_is_renewed_within_seventy_seconds(shop: Workload, tmp_path: Path) -> None:
    config = yaml.safe_load(shop.environment.kubeconfig.read_text())
    there = urlsplit(config["clusters"][0]["cluster"]["server"])
    proxy = Proxy((str(there.hostname), there.port or 443))
    port = proxy.start()
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    config["clusters"][0]["cluster"]["tls-server-name"] = there.hostname
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    resources = "kafka_consumer_scaler_resources"
    with operator_process(file, shop.namespace) as running:
        scaler(shop, paused=True)
        eventually(lambda: running.value(resources) == 1, REACTION_SECONDS, "the watch tells at once")
        began = time.monotonic()
        assert proxy.silence() >= 1
        shop.scaler(name="second", paused=True, kafka={"bootstrapServers": "127.0.0.1:1"})
        until = began + SILENT_SECONDS + STALL_SECONDS
        eventually(lambda: running.value(resources) == 2, what="the silence is noticed")
        seen = time.monotonic() - began
        time.sleep(max(0.0, until - time.monotonic()))
        shop.kubectl("delete", "kcs", "second", "-n", shop.namespace)
        eventually(lambda: running.value(resources) == 1, REACTION_SECONDS, "the watch tells at once again")
        shop.scaler(name="third", paused=True, kafka={"bootstrapServers": "127.0.0.1:1"})
        eventually(lambda: running.value(resources) == 2, REACTION_SECONDS, "and once more, before any list")
    print(f"a change during the silence was seen after {seen:.0f} s")
    proxy.listener.close()
