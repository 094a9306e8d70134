"""A group of the secured broker, and what a connection learns of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from confluent_kafka import KafkaException
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Reading, TopicPartition, Unknown
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.sample import GroupQuery
from tests.contracts.test_lag_source import Cluster, fresh
from tests.planted import SUITE
from tests.waiting import PATIENCE_SECONDS, eventually

ODD = "s=e,c\"r'e${t} \\ [x];%41+:/ü#\t"
WRONG = SUITE.plant("planted-wrong-secret", "the secret that the broker does not know")
DEADLINE_SECONDS = 40.0
READ = Reading(end=10, committed=3, start=0)


class Asked:
    """A group that has read 3 of 10 records of a topic, and what a connection learns of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.topic, self.group = cluster.topic(), fresh("group")
        cluster.produce(self.topic, 10)
        eventually(lambda: self._committed(cluster))
        self.partition = TopicPartition(self.topic, 0)

    def _committed(self, cluster: Cluster) -> bool:
        """A broker that has just started loads its coordinators first."""
        try:
            cluster.commit(self.group, self.topic, 3)
        except KafkaException:
            return False
        return True

    async def by(self, process: PollingProcess, connection: Connection) -> Reading | Unknown:
        query = GroupQuery(self.group, topics=(self.topic,))
        [sample] = await process.poll(connection, [query], DEADLINE_SECONDS)
        return sample.partitions if isinstance(sample.partitions, Unknown) else sample.partitions[self.partition]


async def timed(asked: Asked, process: PollingProcess, connection: Connection) -> float:
    began = time.monotonic()
    assert await asked.by(process, connection) == READ
    return time.monotonic() - began


def spelled(connection: Connection, times: int) -> Connection:
    """Another connection to the same brokers, of which nothing is remembered: their address so many times."""
    return replace(connection, bootstrap_servers=",".join([connection.bootstrap_servers] * times))


async def until(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, f"not within {seconds} s"
        await asyncio.sleep(0.1)


def reason(said: Reading | Unknown) -> Reason:
    assert isinstance(said, Unknown), said
    return said.reason


def set_password(cluster: Cluster, mechanism: Mechanism, user: str, password: str) -> None:
    kind = ScramMechanism.SCRAM_SHA_256 if mechanism is Mechanism.SCRAM_SHA_256 else ScramMechanism.SCRAM_SHA_512
    secret = SUITE.plant(password, f"a password of {user}").encode()
    change = UserScramCredentialUpsertion(user, ScramCredentialInfo(kind, 4096), secret)
    cluster.admin.alter_user_scram_credentials([change])[user].result()
    eventually(lambda: _has(cluster, user))


def _has(cluster: Cluster, user: str) -> bool:
    """Whether the broker knows the user; it answers a change before it has learned of it."""
    try:
        cluster.admin.describe_user_scram_credentials([user])[user].result()
    except KafkaException:
        return False
    return True
