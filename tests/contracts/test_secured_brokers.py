"""A real broker that wants TLS, passwords, tokens and ACLs: who is let in, who is not, and what is said of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclOperation,
    ResourceType,
)

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import brokers
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Tls
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.sample import GroupQuery
from tests.contracts.secured_group import DEADLINE_SECONDS, ODD, READ, WRONG, Asked, reason, set_password
from tests.contracts.test_lag_source import Cluster, fresh
from tests.environment import pki
from tests.oidc import Provider, identity_provider
from tests.proxy import CountingProxy
from tests.secured import SecuredBroker, allow
from tests.trials import awaited_in_one_of_several_trials
from tests.waiting import eventually

pytestmark = pytest.mark.cluster
WAYS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "mutual TLS")


@pytest.fixture
def connect(broker: SecuredBroker, provider: Provider) -> Callable[[str], Connection]:
    """A connection by one of the ways."""

    def connection(way: str) -> Connection:
        if way == "mutual TLS":
            return broker.by_certificate()
        return broker.by_token(provider) if way == "OAUTHBEARER" else broker.by_password(Mechanism(way))

    return connection


@pytest.mark.parametrize("way", WAYS)
async def test_offsets_are_read_by_every_way_in(
    way: str, connect: Callable[[str], Connection], process: PollingProcess, asked: Asked
) -> None:
    assert await asked.by(process, connect(way)) == READ


@pytest.mark.parametrize("way", WAYS)
def test_log_sizes_and_settings_are_told_by_every_way_in(
    way: str, connect: Callable[[str], Connection], asked: Asked
) -> None:
    told = answered_in_time(connect(way), asked, retention=True)
    assert told.log_bytes[asked.partition] > 0
    assert told.offsets_retention_seconds == 7 * 86_400


def answered_in_time(connection: Connection, asked: Asked, *, retention: bool) -> brokers.Told:
    """What brokers answer within the 5 s that they have for each question: they are asked again until they do."""
    answers = list[brokers.Told]()

    def is_whole() -> bool:
        answers.append(brokers.ask(connection, [asked.partition], retention=retention))
        return bool(answers[-1].log_bytes) and retention == (answers[-1].offsets_retention_seconds is not None)

    eventually(is_whole)
    return answers[-1]


@pytest.mark.parametrize("mechanism", [Mechanism.SCRAM_SHA_256, Mechanism.SCRAM_SHA_512])
async def test_a_password_is_taken_to_the_letter(
    mechanism: Mechanism, broker: SecuredBroker, cluster: Cluster, process: PollingProcess, asked: Asked
) -> None:
    user = fresh("us,er=")
    set_password(cluster, mechanism, user, ODD)
    allow(cluster.servers, user, (ResourceType.GROUP, asked.group, AclOperation.DESCRIBE),
          (ResourceType.TOPIC, asked.topic, AclOperation.DESCRIBE),
          (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE))  # fmt: skip
    assert await asked.by(process, broker.by_password(mechanism, user, ODD)) == READ
    assert reason(await asked.by(process, broker.by_password(mechanism, user, ODD[:-1]))) is (
        Reason.AUTHENTICATION_FAILED)  # fmt: skip
    told = answered_in_time(broker.by_password(mechanism, user, ODD), asked, retention=False)
    assert told.log_bytes[asked.partition] > 0


@pytest.mark.parametrize("way", WAYS[:4])
async def test_wrong_credentials_are_an_authentication_failure_that_does_not_show_them(
    way: str, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
) -> None:
    is_token = way == "OAUTHBEARER"
    connection = (
        broker.by_token(provider, secret=WRONG) if is_token else broker.by_password(Mechanism(way), password=WRONG)
    )
    said = await asked.by(process, connection)
    assert reason(said) is Reason.AUTHENTICATION_FAILED
    assert isinstance(said, Unknown)
    assert WRONG not in said.why
    assert "\n" not in said.why


async def test_a_token_of_somebody_else_is_an_authentication_failure(
    broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked, tmp_path: Path
) -> None:
    pki.make_signing_key(tmp_path, "foreign")
    key = (tmp_path / "foreign.key").read_text()
    with identity_provider(replace(broker.security, signing_key_pem=key), provider.clients) as foreign:
        said = await asked.by(process, broker.by_token(foreign))
    assert reason(said) is Reason.AUTHENTICATION_FAILED


class TestTls:
    """The broker must be who it says it is, and nothing is ever sent to one that is not."""

    async def test_an_unknown_authority_is_refused(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked, tmp_path: Path
    ) -> None:
        pki.make_authority(tmp_path / "foreign")
        foreign = Tls((tmp_path / "foreign" / "ca.crt").read_text())
        for tls in (foreign, Tls()):
            for connection in (broker.by_password(Mechanism.PLAIN), broker.by_certificate()):
                said = await asked.by(process, replace(connection, tls=tls))
                assert reason(said) is Reason.TLS_FAILED
            untrusting = replace(broker.by_password(Mechanism.PLAIN), tls=tls)
            assert brokers.ask(untrusting, [asked.partition], retention=True) == brokers.Told()

    async def test_a_name_that_the_certificate_does_not_have_is_refused(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        with CountingProxy(broker.security.sasl_servers) as proxy:
            elsewhere = replace(broker.by_password(Mechanism.PLAIN), bootstrap_servers=proxy.address)
            said = await asked.by(process, elsewhere)
            assert reason(said) is Reason.TLS_FAILED
            assert brokers.ask(elsewhere, [asked.partition], retention=True) == brokers.Told()

    async def test_one_broker_that_is_not_trusted_is_no_reason_against_the_others(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        good = broker.by_password(Mechanism.PLAIN)
        with CountingProxy(broker.security.sasl_servers) as proxy:
            for servers in (f"{proxy.address},{good.bootstrap_servers}", f"{good.bootstrap_servers},{proxy.address}"):
                assert await asked.by(process, replace(good, bootstrap_servers=servers)) == READ

    async def test_a_client_certificate_that_is_missing_or_of_an_unknown_authority_is_refused(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked, tmp_path: Path
    ) -> None:
        pki.make_authority(tmp_path / "foreign")
        pki.issue(tmp_path / "foreign", "operator", "/CN=operator")
        certificate, key = ((tmp_path / "foreign" / f"operator.{end}").read_text() for end in ("crt", "key"))
        for tls in (broker.tls, Tls(broker.security.ca_pem, certificate, key)):
            said = await asked.by(process, Connection(broker.security.tls_servers, tls))
            assert reason(said) is Reason.TLS_FAILED
            assert isinstance(said, Unknown)
            assert "certificate" in said.why

    async def test_what_is_no_certificate_is_an_invalid_secret_and_is_not_shown(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        security = broker.security
        for tls in (
            Tls("planted-nonsense"),
            Tls(security.ca_pem, security.client_certificate_pem, "planted-nonsense"),
            Tls(security.ca_pem, security.client_certificate_pem, security.signing_key_pem),
        ):
            said = await asked.by(process, Connection(security.tls_servers, tls))
            assert reason(said) is Reason.SECRET_INVALID
            assert isinstance(said, Unknown)
            assert "planted" not in said.why

    async def test_a_broker_without_tls_is_not_asked_without_it(
        self, broker: SecuredBroker, kafka_bootstrap_servers: str, process: PollingProcess, asked: Asked
    ) -> None:
        said = await asked.by(process, replace(broker.by_certificate(), bootstrap_servers=kafka_bootstrap_servers))
        assert reason(said) is Reason.BROKERS_UNREACHABLE


class TestAcls:
    """Who is let in may still not be allowed to look; what is missing is named."""

    async def test_a_group_that_may_not_be_seen_is_named(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        said = await asked.by(process, broker.by_password(Mechanism.SCRAM_SHA_512, "stranger"))
        assert reason(said) is Reason.NOT_AUTHORIZED
        assert isinstance(said, Unknown)
        assert f"group {asked.group}" in said.why

    async def test_a_topic_that_may_not_be_seen_is_named(
        self, broker: SecuredBroker, cluster: Cluster, process: PollingProcess, asked: Asked
    ) -> None:
        user = fresh("half")
        set_password(cluster, Mechanism.SCRAM_SHA_256, user, "half-password")
        allow(cluster.servers, user, (ResourceType.GROUP, asked.group, AclOperation.DESCRIBE))
        said = await asked.by(process, broker.by_password(Mechanism.SCRAM_SHA_256, user, "half-password"))
        assert reason(said) is Reason.NOT_AUTHORIZED
        assert isinstance(said, Unknown)
        assert f"topic {asked.topic}" in said.why

    async def test_a_group_that_is_denied_is_asked_about_after_a_pause_and_with_another_question_at_once(
        self, broker: SecuredBroker, cluster: Cluster, process: PollingProcess, asked: Asked
    ) -> None:
        """The pause is 5 s. A machine that stands still for longer than it shows nothing of it."""

        async def is_asked_after_a_pause() -> None:
            user = fresh("late")
            set_password(cluster, Mechanism.SCRAM_SHA_256, user, "late-password")
            connection = broker.by_password(Mechanism.SCRAM_SHA_256, user, "late-password")
            assert reason(await asked.by(process, connection)) is Reason.NOT_AUTHORIZED
            denied_at = time.monotonic()
            allow(cluster.servers, user, (ResourceType.GROUP, asked.group, AclOperation.DESCRIBE),
                  (ResourceType.TOPIC, asked.topic, AclOperation.DESCRIBE))
            other = GroupQuery(asked.group, (asked.topic,), isolation_level=IsolationLevel.READ_UNCOMMITTED)
            [at_once] = await process.poll(connection, [other], DEADLINE_SECONDS)
            assert at_once.partitions == {asked.partition: READ}
            denied = list[float]()
            while True:
                seconds = time.monotonic() - denied_at
                if await asked.by(process, connection) == READ:
                    break
                denied.append(seconds)
                await asyncio.sleep(0.2)
            assert denied
            assert max(denied) < 5.5

        await awaited_in_one_of_several_trials(is_asked_after_a_pause)
