"""Three brokers that are their own metadata quorum."""

from __future__ import annotations

import subprocess
from pathlib import Path

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

from tests.faults.layout import (
    BROKERS,
    DIRECT_SERVERS,
    HOST,
    Layout,
    controller_port,
    direct_port,
    proxy_port,
    upstream_port,
)
from tests.faults.programs import Program, WorldFailed

CLUSTER = "ZmF1bHRzLWZhdWx0cy1mYQ"
JAVA = ("java", "-Xms96m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
ANSWER_SECONDS = 5.0
OFFSETS_TOPIC = "__consumer_offsets"
"""The leader of a group's partition of it is the group's coordinator."""

# Sessions and elections that are over in a few seconds; two of three replicas must have what is acknowledged.
SETTINGS = {
    "broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "3000",
    "controller.quorum.election.timeout.ms": "1000", "controller.quorum.fetch.timeout.ms": "2000",
    "auto.create.topics.enable": "false", "auto.leader.rebalance.enable": "false", "min.insync.replicas": "2",
    "default.replication.factor": "3", "offsets.topic.num.partitions": "3", "offsets.topic.replication.factor": "3",
    "group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "1000", "num.network.threads": "2",
    "num.io.threads": "3", "log.cleaner.enable": "false", "controlled.shutdown.enable": "true",
}  # fmt: skip


def programs(layout: Layout) -> dict[int, Program]:
    """The brokers, formatted and not yet started."""
    return {number: _program(layout, number) for number in BROKERS}


def _program(layout: Layout, number: int) -> Program:
    file = layout.folder / f"broker-{number}.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in _settings(layout, number).items()))
    java = (*JAVA, "-cp", f"{layout.parts.kafka}/libs/*")
    log = layout.log(f"broker-{number}")
    _format(java, file, log)
    return Program(f"broker-{number}", (*java, "kafka.Kafka", str(file)), log)


def _settings(layout: Layout, number: int) -> dict[str, str]:
    voters = ",".join(f"{each}@{HOST}:{controller_port(each)}" for each in BROKERS)
    listeners = {"DIRECT": direct_port(number), "PROXIED": upstream_port(number), "CONTROLLER": controller_port(number)}
    advertised = {"DIRECT": direct_port(number), "PROXIED": proxy_port(number)}
    return {
        "process.roles": "broker,controller", "node.id": str(number), "controller.quorum.voters": voters,
        "log.dirs": str(layout.folder / f"broker-{number}"), "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items()),
        "advertised.listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in advertised.items()),
        "listener.security.protocol.map": "DIRECT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "DIRECT", **SETTINGS,
    }  # fmt: skip


def _format(java: tuple[str, ...], file: Path, log: Path) -> None:
    words = (*java, "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER, "--config", str(file))
    done = subprocess.run(words, capture_output=True, text=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise WorldFailed(f"formatting {file.name} failed, see {log}")


class Admin:
    """What the harness itself asks the brokers, on the side that has no proxy."""

    def __init__(self) -> None:
        self._client = AdminClient({"bootstrap.servers": DIRECT_SERVERS, "log_level": 2})

    def is_whole(self) -> bool:
        """Whether all brokers answer and every partition has all of its replicas in sync."""
        try:
            found = self._client.list_topics(timeout=ANSWER_SECONDS)
        except KafkaException:
            return False
        partitions = [one for topic in found.topics.values() for one in topic.partitions.values()]
        return len(found.brokers) == len(BROKERS) and all(len(one.isrs) == len(one.replicas) for one in partitions)

    def make_topics(self, partitions: dict[str, int]) -> None:
        """Topics of three replicas; raises WorldFailed."""
        topics = [NewTopic(name, num_partitions=number, replication_factor=3) for name, number in partitions.items()]
        for future in self._client.create_topics(topics).values():
            future.result(timeout=30)

    def leaders(self, topic: str) -> dict[int, int]:
        """The leader of each partition."""
        found = self._client.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_SECONDS)[topic].result()
        return {one.id: one.leader.id for one in found.partitions}

    def coordinator(self, group: str) -> int:
        """The broker that coordinates the group."""
        # A client of its own: the library never asks again who the coordinator is.
        client = AdminClient({"bootstrap.servers": DIRECT_SERVERS, "log_level": 2})
        found = client.describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)[group].result()
        return int(found.coordinator.id)
